"""proliantutils' RIBCL class, with its faults contained (ilo-protocol.md 1.4 to 1.6, 4).

It has no timeouts, drops status codes, breaks long bodies, takes answers that are no RIBCL for
success, logs image URLs and fetches them itself. Its seams (sending, serialising, judging a
reply) are replaced here; the commands are its own.
"""

import logging
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from proliantutils.ilo import ribcl

from ironic_ilo.bmc.errors import RefusalError
from ironic_ilo.bmc.https import AnswerError, Endpoint, post
from ironic_ilo.bmc.types import Access
from ironic_ilo.exception import InvalidInput

LOG = logging.getLogger(__name__)

# What proliantutils writes into its commands; the real ones take their places at the last moment,
# so that nothing it logs or raises can hold them.
_LOGIN_IN_PLACE = "-ilo-username-"
_PASSWORD_IN_PLACE = "-ilo-password-"  # noqa: S105
_SYNTAX_ERROR = re.compile("syntax error", re.IGNORECASE)
_URL = re.compile(r"\b\w+://\S+")
_LONGEST_TEXT = 300
# The words of a success without anything to say.
_NO_ERROR = "No error"

Reply = Mapping[str, Any]


class _Reply(dict[str, Any]):
    """A parsed reply that does not show itself: proliantutils logs every one, URLs and all."""

    def __repr__(self) -> str:
        return f"<reply: {', '.join(self)}>"


class RibclSession(ribcl.RIBCLOperations):
    """Sends RIBCL commands to one iLO, each over a connection of its own.

    :raises InvalidInput: the user name or password cannot be said in RIBCL.
    """

    def __init__(self, name: str, access: Access, endpoint: Endpoint) -> None:
        # cacert=None would switch warnings off for the whole process. It is not used here.
        super().__init__(name, _LOGIN_IN_PLACE, _PASSWORD_IN_PLACE, cacert="")
        self._name = name
        self._endpoint = endpoint
        self._password = access.password
        self._login_attribute = "USER_LOGIN=" + quote(access.username, "ilo_username")
        self._password_attribute = "PASSWORD=" + quote(access.password, "ilo_password")

    def insert_virtual_media(self, url: str, device: str = "FLOPPY") -> None:
        """Tell the iLO an image's URL, unlike proliantutils without a HEAD request from here.

        The conductor need not reach the address at which iLOs see the store.
        """
        arguments = {"DEVICE": device, "IMAGE_URL": url}
        self._execute_command("INSERT_VIRTUAL_MEDIA", "RIB_INFO", "write", arguments)

    def get_fw_version(self) -> Reply:
        """Read the management processor's name, firmware and licence type."""
        reply: Reply = self._execute_command("GET_FW_VERSION", "RIB_INFO", "read")
        return reply

    def get_user(self) -> Reply:
        """Read the account that is used; each may read its own."""
        arguments = {"USER_LOGIN": _LOGIN_IN_PLACE}
        reply: Reply = self._execute_command("GET_USER", "USER_INFO", "read", arguments)
        return reply

    def get_boot_order(self) -> list[Reply]:
        """Read the persistent boot order as attributes of its entries, the first tried first."""
        entries = self._get_persistent_boot()
        # A single entry is not in a list, which proliantutils' own methods overlook.
        return [entries] if isinstance(entries, dict) else list(entries)

    def set_boot_order(self, values: list[str]) -> None:
        """Write the persistent boot order, as the values of its entries."""
        self._set_persistent_boot(values)

    def _request_ilo(self, root: ET.Element, extra_headers: object = None) -> str:  # noqa: ARG002
        body = self._serialize_xml(root).encode()
        return post(self._endpoint, "/ribcl", body).decode(errors="replace")

    def _serialize_xml(self, root: ET.Element) -> str:
        """Write a command in one piece, with the login as an iLO reads it: not escaped."""
        text = ET.tostring(root, encoding="unicode")
        text = text.replace(f'USER_LOGIN="{_LOGIN_IN_PLACE}"', self._login_attribute)
        text = text.replace(f'PASSWORD="{_PASSWORD_IN_PLACE}"', self._password_attribute, 1)
        return f"{text}\r\n"

    def _parse_output(self, xml_response: str) -> _Reply | None:
        if "<?xml" not in xml_response:  # an empty body, HTML: success to proliantutils
            raise AnswerError("not RIBCL")
        parsed = super()._parse_output(xml_response)
        return None if parsed is None else _Reply(parsed)

    def _validate_message(self, message: ET.Element) -> ET.Element | None:
        """Judge one document of a reply; give it back if it carries the payload."""
        if message.tag != "RIBCL":
            raise AnswerError("not RIBCL")
        for response in message.iter("RESPONSE"):
            self._check(int(response.attrib["STATUS"], 16), response.attrib["MESSAGE"])
        payload = [child for child in message if child.tag not in ("RESPONSE", "INFORM")]
        return message if payload else None

    def _check(self, status: int, text: str) -> None:
        shown = self._without_secrets(text)
        if status:
            raise RefusalError(status, shown)
        if text != _NO_ERROR:  # such as "Host power is already ON."
            LOG.debug("%s notes: %s", self._name, shown)

    def _without_secrets(self, text: str) -> str:
        """Shorten an iLO's words to what may be shown.

        A syntax error quotes the script, which can be the line with the password.
        """
        if _SYNTAX_ERROR.search(text):
            return "syntax error"
        if self._password:
            text = text.replace(self._password, "***")
        return _URL.sub("<URL>", text)[:_LONGEST_TEXT]


def quote(value: str, key: str) -> str:
    """Quote a login attribute for RIBCL.

    An iLO does not undo XML's entities here (python-hpilo issues 51 and 221), but takes either
    quote character around a string (HPE iLO 4 scripting guide, "String").

    :param key: the driver_info key that the value comes from, for the error.
    :raises InvalidInput: the value holds both quote characters, or control characters.
    """
    delimiter = "'" if '"' in value else '"'
    if delimiter in value or not value.isprintable():
        raise InvalidInput(
            f"{key} holds both kinds of quotes, or a control character, which RIBCL cannot carry",
            hint=f"Change the account's {key} on the iLO and in driver_info.",
        )
    return f"{delimiter}{value}{delimiter}"
