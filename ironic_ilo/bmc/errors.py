"""Everything that can go wrong at an iLO, translated once into this package's errors.

Of the texts of libraries only those that cannot hold a secret are shown: proliantutils, sushy and
the HTTP libraries put URLs into theirs. An iLO's own words arrive here free of secrets already.
"""

import http.client
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple
from xml.etree.ElementTree import ParseError

from proliantutils import exception as proliant
from sushy import exceptions as sushy

from ironic_ilo.bmc.https import AnswerError
from ironic_ilo.bmc.messages import RestRefusalError
from ironic_ilo.exception import (
    BmcBusy,
    BmcError,
    BmcFeatureMissing,
    BmcLoginFailed,
    BmcUnreachable,
)

# ilo-protocol.md 1.6. Known are the statuses; what an iLO says without a licence for virtual
# media, or while its server is in POST, is not: there, words have to do.
_LOGIN_STATUSES = frozenset(proliant.IloLoginFailError.statuses)
_NO_USER = 0x000A
_NO_PRIVILEGE = 0x0023
_LICENSE_KEY = 0x002E
_NO_IMAGE = 0x0039
_NOT_SUPPORTED = 0x003C
_LOGIN_WORDS = re.compile("|".join(proliant.IloLoginFailError.messages), re.IGNORECASE)
_LICENSE_WORDS = re.compile("licen[cs]e", re.IGNORECASE)
_PRIVILEGE_WORDS = re.compile("privilege", re.IGNORECASE)
_UNSUPPORTED_WORDS = re.compile("syntax error|not supported", re.IGNORECASE)
_DISABLED_WORDS = re.compile("is disabled", re.IGNORECASE)
# Of a message's name; more than any has.
_LONGEST_NAME = 100
# POST is the power-on self-test, a word of its own and in capitals.
_BUSY_WORDS = re.compile(r"\bPOST\b|(?i:self.test|\bbusy\b|in progress|try again|not ready)")

_CHECK_NETWORK = (
    "Check that the iLO has power and network, and `ilo_address` and `client_port` in driver_info."
)
#: For certificates.
CHECK_CA = (
    "Set `ilo_verify_ca` in driver_info to the CA that signed it, and `ilo_address` to a name or "
    "address that stands in it. One that is too weak has to be renewed, or else borne with "
    "`ilo_min_tls_version`."
)
_CHECK_TLS = (
    "Check that `client_port` in driver_info is the iLO's HTTPS port. If its firmware is too old "
    "for TLS 1.2, update it, or set `ilo_min_tls_version`."
)
_CHECK_PEER = (
    "Check that `ilo_address` and `client_port` in driver_info are those of an iLO, and that its "
    "RIBCL (XML over HTTPS, iLO 4) or Redfish (iLO 5 and newer) service is enabled."
)
_CHECK_LOGIN = "Check `ilo_username` and `ilo_password` in driver_info."
_CHECK_LOGIN_OR_WAIT = (
    f"{_CHECK_LOGIN} If they are right, somebody else's are wrong, and the iLO makes all wait: "
    "try again after a minute."
)
_CHECK_PRIVILEGE = "Give the account of `ilo_username` the privilege that is missing."
_CHECK_LICENSE = "Install an iLO Advanced licence."
_CHECK_FIRMWARE = "Check the server's generation, and update the iLO's firmware."
_CHECK_BOOT_MODE = (
    "Put the server into UEFI mode ('baremetal node boot mode set <node> uefi') and start it once."
)
_CHECK_RIBCL = "Enable RIBCL (XML over HTTPS) in the iLO's access settings."
_CHECK_MEDIA = "Enable virtual media in the iLO's access settings."
_CHECK_SESSIONS = "End sessions that nobody needs in the iLO's session list, or reset the iLO."
_CHECK_LOG = "Look into the iLO's event log."
_WAIT = "Let the server finish its POST, then try again."


class RefusalError(Exception):
    """A command that an iLO answered with a status other than zero.

    :ivar status: the RIBCL status, which proliantutils drops.
    :ivar text: the iLO's words, free of secrets.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text

    @property
    def means_unsupported(self) -> bool:
        """Whether this iLO does not know the command."""
        return self.status == _NOT_SUPPORTED or bool(_UNSUPPORTED_WORDS.search(self.text))

    @property
    def means_secret(self) -> bool:
        """Whether this iLO does not know the user, or does not tell of him."""
        return self.status in (_NO_USER, _NO_PRIVILEGE) or self.means_unsupported

    @property
    def means_empty_drive(self) -> bool:
        """Whether there was no image in the drive."""
        return self.status == _NO_IMAGE


@contextmanager
def translated(name: str, action: str) -> Iterator[None]:
    """Turn what fails inside into ``BmcError``'s subclasses.

    :param name: which iLO, the start of every message.
    :param action: what is tried, as in "could not <action>".
    """
    try:
        yield
    except RefusalError as refusal:
        raise _from_refusal(refusal, f"{name}: could not {action}") from None
    except RestRefusalError as refusal:
        raise _from_rest_refusal(refusal, f"{name}: could not {action}") from None
    except FOREIGN_ERRORS as error:
        raise _from_foreign(error, f"{name}: could not {action}") from None


def _from_refusal(refusal: RefusalError, failure: str) -> BmcError:
    error, hint = _judge(refusal)
    return error(f"{failure}: it says {refusal.text!r} (0x{refusal.status:04X})", hint=hint)


# What a refusal over RIBCL is; the surest signs first.
_JUDGEMENTS: tuple[tuple[Callable[[RefusalError], object], type[BmcError], str], ...] = (
    (lambda it: it.status in _LOGIN_STATUSES, BmcLoginFailed, _CHECK_LOGIN),
    (lambda it: _LOGIN_WORDS.match(it.text), BmcLoginFailed, _CHECK_LOGIN),
    (lambda it: it.status == _NO_PRIVILEGE, BmcError, _CHECK_PRIVILEGE),
    (lambda it: _PRIVILEGE_WORDS.search(it.text), BmcError, _CHECK_PRIVILEGE),
    (lambda it: it.status == _LICENSE_KEY, BmcFeatureMissing, _CHECK_LICENSE),
    (lambda it: _LICENSE_WORDS.search(it.text), BmcFeatureMissing, _CHECK_LICENSE),
    (lambda it: _BUSY_WORDS.search(it.text), BmcBusy, _WAIT),
    (lambda it: _DISABLED_WORDS.search(it.text), BmcFeatureMissing, _CHECK_RIBCL),
    (lambda it: it.means_unsupported, BmcFeatureMissing, _CHECK_FIRMWARE),
)


def _judge(refusal: RefusalError) -> tuple[type[BmcError], str]:
    fitting = ((error, hint) for fits, error, hint in _JUDGEMENTS if fits(refusal))
    return next(fitting, (BmcError, _CHECK_LOG))


# By the names of HPE's messages, else by the status.
_REST_MESSAGES: dict[str | int, tuple[type[BmcError], str]] = {
    "NoValidSession": (BmcLoginFailed, _CHECK_LOGIN),
    "UnauthorizedLoginAttempt": (BmcLoginFailed, _CHECK_LOGIN),
    "LoginAttemptDelayed": (BmcLoginFailed, _CHECK_LOGIN_OR_WAIT),
    "LoginAttemptDelayedSeconds": (BmcLoginFailed, _CHECK_LOGIN_OR_WAIT),
    "InsufficientPrivilege": (BmcError, _CHECK_PRIVILEGE),
    "LicenseKeyRequired": (BmcFeatureMissing, _CHECK_LICENSE),
    "UnsupportedOperationInLegacyBootMode": (BmcFeatureMissing, _CHECK_BOOT_MODE),
    "UnsupportedOperation": (BmcFeatureMissing, _CHECK_FIRMWARE),
    "ActionNotSupported": (BmcFeatureMissing, _CHECK_FIRMWARE),
    "VirtualMediaIsDisabled": (BmcFeatureMissing, _CHECK_MEDIA),
    "UnableToModifyDuringSystemPOST": (BmcBusy, _WAIT),
    "InvalidOperationForSystemState": (BmcBusy, _WAIT),
    "ResourceNotReadyRetry": (BmcBusy, _WAIT),
    "SessionLimitExceeded": (BmcBusy, _CHECK_SESSIONS),
    "CreateLimitReachedForResource": (BmcBusy, _CHECK_SESSIONS),
    HTTPStatus.UNAUTHORIZED: (BmcLoginFailed, _CHECK_LOGIN),
    HTTPStatus.FORBIDDEN: (BmcError, _CHECK_PRIVILEGE),
    HTTPStatus.NOT_FOUND: (BmcFeatureMissing, _CHECK_FIRMWARE),
    HTTPStatus.SERVICE_UNAVAILABLE: (BmcBusy, _WAIT),
}


def _from_rest_refusal(refusal: RestRefusalError, failure: str) -> BmcError:
    signs = [sign for sign in (*refusal.messages, refusal.status) if sign in _REST_MESSAGES]
    error, hint = _REST_MESSAGES[signs[0]] if signs else (BmcError, _CHECK_LOG)
    words = ", ".join(name[:_LONGEST_NAME] for name in refusal.messages) or "nothing more"
    return error(f"{failure}: it says {words} (HTTP status {refusal.status})", hint=hint)


def no_ilo(name: str) -> BmcUnreachable:
    """Say that something answers which is nothing that is known."""
    return BmcUnreachable(
        f"{name}: it does not answer as an iLO 4, 5, 6 or 7 does, neither at /xmldata nor over "
        "Redfish nor over RIBCL",
        hint=_CHECK_PEER,
    )


class _Meaning(NamedTuple):
    """What a foreign error means here, and the words for it."""

    foreign: type[Exception]
    error: type[BmcError]
    hint: str
    words: str | Callable[[Any], str]


def _system_words(error: OSError) -> str:
    return f"the connection failed ({error.strerror or type(error).__name__})"


def _certificate_words(error: ssl.SSLCertVerificationError) -> str:
    return f"its certificate is not trusted ({error.verify_message})"


def _tls_words(error: ssl.SSLError) -> str:
    return f"TLS failed ({error.reason or type(error).__name__})"


def _answer_words(error: AnswerError) -> str:
    return f"its answer is {error}"


def _odd_words(error: Exception) -> str:
    return f"its answer is not what its documentation says ({type(error).__name__})"


def _missing_words(error: Exception) -> str:
    return f"it does not offer that ({type(error).__name__})"


def _class_words(error: Exception) -> str:
    return f"proliantutils failed with {type(error).__name__}"


# The first class that fits decides, so the specific stand before the general.
_MEANINGS = (
    _Meaning(TimeoutError, BmcUnreachable, _CHECK_NETWORK, str),
    _Meaning(ssl.SSLCertVerificationError, BmcUnreachable, CHECK_CA, _certificate_words),
    _Meaning(ssl.SSLError, BmcUnreachable, _CHECK_TLS, _tls_words),
    _Meaning(OSError, BmcUnreachable, _CHECK_NETWORK, _system_words),
    _Meaning(UnicodeError, BmcUnreachable, _CHECK_NETWORK, "its name cannot be looked up"),
    _Meaning(http.client.IncompleteRead, BmcUnreachable, _CHECK_PEER, "its answer is cut off"),
    _Meaning(http.client.HTTPException, BmcUnreachable, _CHECK_PEER, "its answer is not HTTP"),
    _Meaning(AnswerError, BmcUnreachable, _CHECK_PEER, _answer_words),
    _Meaning(proliant.IloLoginFailError, BmcLoginFailed, _CHECK_LOGIN, "login failed"),
    _Meaning(proliant.IloConnectionError, BmcUnreachable, _CHECK_NETWORK, _class_words),
    _Meaning(proliant.IloClientInternalError, BmcUnreachable, _CHECK_PEER, _odd_words),
    _Meaning(
        proliant.IloCommandNotSupportedInBiosError,
        BmcFeatureMissing,
        _CHECK_BOOT_MODE,
        "the server is in legacy BIOS mode",
    ),
    _Meaning(
        proliant.IloCommandNotSupportedError, BmcFeatureMissing, _CHECK_FIRMWARE, _class_words
    ),
    *(
        _Meaning(missing, BmcFeatureMissing, _CHECK_FIRMWARE, _missing_words)
        for missing in (
            sushy.MissingActionError,
            sushy.MissingAttributeError,
            sushy.InvalidParameterValueError,
        )
    ),
    _Meaning(sushy.SushyError, BmcUnreachable, _CHECK_PEER, _odd_words),
    _Meaning(proliant.ProliantUtilsException, BmcError, _CHECK_LOG, _class_words),
    _Meaning(proliant.InvalidInputError, BmcError, _CHECK_LOG, _class_words),
    # What proliantutils trips over when a reply lacks what it indexes, or is no XML.
    *(
        _Meaning(odd, BmcUnreachable, _CHECK_PEER, _odd_words)
        for odd in (
            TypeError,
            LookupError,
            AttributeError,
            ValueError,
            ParseError,
            RecursionError,
        )
    ),
)
FOREIGN_ERRORS = tuple(meaning.foreign for meaning in _MEANINGS)


def _from_foreign(error: Exception, failure: str) -> BmcError:
    meaning = next(each for each in _MEANINGS if isinstance(error, each.foreign))
    words = meaning.words if isinstance(meaning.words, str) else meaning.words(error)
    return meaning.error(f"{failure}: {words}", hint=meaning.hint)
