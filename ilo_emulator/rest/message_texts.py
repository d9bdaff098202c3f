"""What the messages say, for the registries. The names are HPE's and DMTF's, the words ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ilo_emulator.rest.message import BASE, COMMON, ILO

_PLACE = re.compile(r"%\d")
_NOTHING = "Nothing is to be done."
_MEND = "Mend the request, and send it again."
_LATER = "Send it again later."
_LOG_IN = "Log in, and send it again with the session's token."


@dataclass(frozen=True)
class Text:
    """One message of a registry.

    :ivar message: with ``%1`` and so on where its arguments go.
    :ivar severity: ``OK``, ``Warning`` or ``Critical``.
    """

    message: str
    resolution: str = _MEND
    severity: str = "Warning"

    @property
    def args(self) -> int:
        """How many arguments it has."""
        return len(set(_PLACE.findall(self.message)))


#: By registry and name.
TEXTS: Mapping[str, Mapping[str, Text]] = {
    BASE: {
        "Success": Text("The request was carried out.", _NOTHING, "OK"),
        "Created": Text("The resource was made.", _NOTHING, "OK"),
        "SessionTerminated": Text("The session has ended.", _NOTHING, "OK"),
        "NoValidSession": Text("There is no such session, or no login.", _LOG_IN, "Critical"),
        "InsufficientPrivilege": Text("The user may not do this.", severity="Critical"),
        "SessionLimitExceeded": Text(
            "There are as many sessions as there can be.", "End one, or wait.", "Critical"
        ),
        "MalformedJSON": Text("The body is no JSON object.", severity="Critical"),
        "ResourceMissingAtURI": Text("There is nothing at %1."),
        "ActionNotSupported": Text("The resource does not do %1."),
        "ActionParameterMissing": Text("The action %1 needs the parameter %2."),
        "ActionParameterUnknown": Text("The action %1 has no parameter %2."),
        "ActionParameterValueTypeError": Text(
            "The value %1 of the parameter %2 of the action %3 has the wrong type."
        ),
        "PropertyValueNotInList": Text("The value %1 is none that %2 can have."),
        "PreconditionFailed": Text(
            "The resource has changed: its tag is another.", "Read it again, then decide."
        ),
        "InternalError": Text(
            "The service has failed.", "Send it again; look into the log.", "Critical"
        ),
    },
    ILO: {
        "SystemResetRequired": Text(
            "The change applies at the server's next start.", "Reset the server.", "OK"
        ),
        "UnauthorizedLoginAttempt": Text(
            "The login was refused: the name or the password is wrong.", severity="Critical"
        ),
        "LoginAttemptDelayed": Text(
            "After logins that were refused, all logins have to wait.", _LATER, "Critical"
        ),
        "LicenseKeyRequired": Text(
            "The licence does not include this.", "Install an iLO Advanced licence."
        ),
        "InvalidOperationForSystemState": Text(
            "The server's power does not allow this.", "Change the power first."
        ),
        "UnableToModifyDuringSystemPOST": Text(
            "The server is in POST, during which nothing can be changed.", _LATER
        ),
        "UnsupportedOperationInLegacyBootMode": Text(
            "The server has started in legacy mode, which does not have this.",
            "Change the boot mode to UEFI, and reset the server.",
        ),
        "PropertyNotWritableOrUnknown": Text("The property %1 cannot be written, or is none."),
        "ActionParameterValueNotInList": Text("The value %1 is none that the parameter %2 has."),
        "MaxVirtualMediaConnectionEstablished": Text(
            "There is a medium in the drive.", "Eject it first."
        ),
        "NoVirtualMediaConnectionAvailable": Text(
            "There is no medium in the drive.", "Insert one first."
        ),
    },
    COMMON: {
        "ResourceNotReadyRetry": Text("The resource is not ready for %1 seconds.", _LATER),
    },
}
