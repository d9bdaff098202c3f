"""What a deploy ramdisk tells of a server's local disks, each a LUN of its target."""

import json
from dataclasses import dataclass, fields
from typing import Any

from ironic_ilo.exception import InvalidInput

_MAX_LUN = 255
_MAX_SIZE = 2**63 - 1
_MAX_SECTOR_SIZE = 2**16
_MAX_TEXT = 256
# They are kept in a node's row, which MySQL and MariaDB give 64 KiB for this and all else.
_MAX_CHARACTERS = 48 * 1024


@dataclass(frozen=True)
class LocalDisk:
    """One disk, in the words of Ironic's root device hints; what is not known is empty.

    :ivar lun: the target's logical unit that it is, from 1.
    :ivar size: bytes; 0: not known.
    :ivar sector_size: bytes of a logical sector.
    :ivar name: what the deploy ramdisk calls it, such as ``/dev/sda``.
    :ivar hctl: SCSI address: host, channel, target and LUN behind the controller.
    """

    lun: int
    size: int
    sector_size: int
    name: str
    model: str
    vendor: str
    serial: str
    wwn: str
    wwn_with_extension: str
    wwn_vendor_extension: str
    rotational: bool
    hctl: str
    by_path: str

    def __str__(self) -> str:
        maker = " ".join(part for part in (self.vendor, self.model) if part)
        serial = f"serial {self.serial}" if self.serial else ""
        size = f"{self.size / 2**30:.2f} GiB"
        return f"{self.name} ({', '.join(part for part in (size, maker, serial) if part)})"


_TYPES = {field.name: field.type for field in fields(LocalDisk)}


def read_disks(told: Any) -> tuple[dict[str, Any], ...]:
    """Check what a ramdisk told of its disks; everything of it may be hostile.

    :param told: a list of objects with the fields of :class:`LocalDisk`, or its JSON text;
        ``None`` and an empty list tell nothing.
    :return: the objects.
    :raises InvalidInput: it is something else; the message says what, and shows no text of it.
    """
    text = told if isinstance(told, str) else json.dumps(told)
    if len(text) > _MAX_CHARACTERS:
        raise InvalidInput(f"disks are described in more than {_MAX_CHARACTERS} characters")
    try:
        disks = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput("disks is not JSON") from None
    if disks is None:
        return ()
    if not isinstance(disks, list):
        raise InvalidInput("disks is not a list")
    for number, disk in enumerate(disks):
        _check(f"disks[{number}]", disk)
    luns = {disk["lun"] for disk in disks}
    if len(luns) != len(disks):
        raise InvalidInput("two of disks are the same lun")
    return tuple(disks)


def _check(where: str, disk: Any) -> None:
    if not isinstance(disk, dict) or set(disk) != set(_TYPES):
        raise InvalidInput(f"{where} is no object with {', '.join(_TYPES)}")
    for name, value in disk.items():
        if type(value) is not _TYPES[name]:
            raise InvalidInput(f"{where}: {name} has the wrong type")
        if isinstance(value, str) and not _is_short_text(value):
            raise InvalidInput(f"{where}: {name} is not {_MAX_TEXT} printable ASCII characters")
    _check_numbers(where, disk["lun"], disk["size"], disk["sector_size"])


def _is_short_text(value: str) -> bool:
    return len(value) <= _MAX_TEXT and value.isascii() and (not value or value.isprintable())


def _check_numbers(where: str, lun: int, size: int, sector_size: int) -> None:
    if not 0 < lun <= _MAX_LUN:
        raise InvalidInput(f"{where}: lun is not 1 to {_MAX_LUN}")
    if not 0 < sector_size <= _MAX_SECTOR_SIZE or sector_size & (sector_size - 1):
        raise InvalidInput(f"{where}: sector_size is no power of two up to {_MAX_SECTOR_SIZE}")
    if not 0 < size <= _MAX_SIZE or size % sector_size:
        raise InvalidInput(f"{where}: size is not a number of sectors")
