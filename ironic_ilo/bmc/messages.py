"""What an iLO's REST services say in the body of a refusal."""

import json
from typing import Any

from ironic_ilo.bmc.https import Reply

# Of one error; more than any has.
_MOST_MESSAGES = 10


class RestRefusalError(Exception):
    """A REST request that an iLO answered with an HTTP status other than success.

    :ivar messages: the names of its messages, such as ``LicenseKeyRequired``; none when the
        body is not one of HPE's. Their arguments are dropped: those can be URLs and passwords.
    """

    def __init__(self, status: int, messages: list[str]) -> None:
        super().__init__(status, messages)
        self.status = status
        self.messages = messages

    @property
    def means_empty_drive(self) -> bool:
        """Whether there was no image in the drive."""
        return not _NO_IMAGE.isdisjoint(self.messages)

    @property
    def means_wrong_state(self) -> bool:
        """Whether the server's power does not allow what was asked."""
        return "InvalidOperationForSystemState" in self.messages


_NO_IMAGE = {"NoVirtualMediaConnectionAvailable", "NoScriptedVirtualMediaConnectionAvailable"}


def refusal_of(reply: Reply) -> RestRefusalError:
    """Read a reply that refuses, in iLO 4's shape (ilo-protocol.md 2.1) or Redfish's (3.1)."""
    try:
        document = json.loads(reply.body)
        names = [name.rpartition(".")[2] for name in _find_names(document)[:_MOST_MESSAGES]]
    except (ValueError, LookupError, TypeError, AttributeError):
        names = []  # not one of HPE's: the status has to do
    return RestRefusalError(reply.status, names)


def _find_names(document: Any) -> list[str]:
    if "Messages" in document:
        return [message["MessageID"] for message in document["Messages"]]
    return [message["MessageId"] for message in document["error"]["@Message.ExtendedInfo"]]
