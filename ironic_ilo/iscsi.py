"""An iSCSI target as the conductor addresses it."""

import re
from dataclasses import dataclass, field

from ironic_ilo.exception import InvalidInput

# RFC 3720, section 3.2.6.3, and RFC 3722: lower case, at most 223 bytes.
_IQN = re.compile(r"iqn\.[0-9]{4}-[0-9]{2}\.[a-z0-9.:-]{1,211}")
_PORTAL = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})")
_CHAP_USERNAME = re.compile(r"[A-Za-z0-9._:@-]{1,255}")
# RFC 3720, section 8.2.1: fewer than 96 bits can be guessed. Printable: it is typed into configfs.
_CHAP_SECRET = re.compile(r"[!-~]{12,255}")


@dataclass(frozen=True)
class IscsiTarget:
    """One logical unit behind one portal, and who may log in there.

    What could end an option of QEMU's (a comma, an equals sign, a blank) is refused here: parts of
    it come from a machine on the network.

    :ivar portal: ``host:port``, an IPv6 address in brackets.
    :ivar iqn: the target's name.
    :ivar initiator_iqn: the only initiator name it accepts.
    :ivar chap_secret: 12 to 255 printable ASCII characters without blanks.
    :raises InvalidInput: a value is malformed; the secret is not shown.
    """

    portal: str
    iqn: str
    initiator_iqn: str
    chap_username: str
    chap_secret: str = field(repr=False)
    lun: int = 1

    def __post_init__(self) -> None:
        self._check_portal()
        for name in (self.iqn, self.initiator_iqn):
            if not _IQN.fullmatch(name):
                raise InvalidInput(
                    f"{name!r} is no iSCSI name",
                    hint="It reads iqn.YYYY-MM.reversed.domain:name, in lower case.",
                )
        if not _CHAP_USERNAME.fullmatch(self.chap_username):
            raise InvalidInput(f"{self.chap_username!r} is no CHAP user name")
        if not _CHAP_SECRET.fullmatch(self.chap_secret):
            raise InvalidInput("The CHAP secret is not 12 to 255 printable ASCII characters")
        if not 0 <= self.lun <= 255:  # noqa: PLR2004 - one byte, SAM-2's peripheral addressing
            raise InvalidInput(f"{self.lun} is no logical unit number from 0 to 255")

    def _check_portal(self) -> None:
        match = _PORTAL.fullmatch(self.portal)
        if match is None or not 0 < int(match[1]) < 2**16:
            raise InvalidInput(
                f"{self.portal!r} is no iSCSI portal",
                hint="It reads host:port, with an IPv6 address in brackets.",
            )

    def __str__(self) -> str:
        return f"iSCSI target {self.iqn} at {self.portal}"
