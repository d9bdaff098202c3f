"""The msdos partition table of a layout: its bytes, and whether a disk has it."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ironic_ilo.exception import InvalidInput
from ironic_ilo.partitions import Layout, Partition, Role

# BIOS Boot Specification 1.01, section 6.5: INT 18h hands over to the next boot device. Without
# it, a server that tries this disk first executes zeros and hangs.
_NEXT_BOOT_DEVICE = bytes.fromhex("cd18f4ebfd")  # int 18h; hlt; jmp to the hlt
_SIGNATURE_OFFSET = 440
_ENTRIES_OFFSET = 446
_ENTRY = struct.Struct("<B3sB3sII")
_ENTRIES = 4
_MAGIC_OFFSET = 510
_MAGIC = b"\x55\xaa"
# Cylinder, head and sector say "beyond reach, use the sector numbers" (as sfdisk writes them).
_CHS_UNUSED = b"\xfe\xff\xff"
_NOT_ACTIVE = 0  # the instance boots from its boot ISO
_PROTECTIVE_TYPE = 0xEE
# UEFI specification 2.10, table 5.4: the first sector's geometry is 0, 0, 2 here.
_PROTECTIVE_CHS = b"\x00\x02\x00"
_MAX_SECTORS = 2**32 - 1
_LINUX = 0x83
_TYPES = {
    Role.ESP: 0xEF,
    Role.EPHEMERAL: _LINUX,
    Role.SWAP: 0x82,
    Role.CONFIGDRIVE: _LINUX,
    Role.ROOT: _LINUX,
}


class _Entry(NamedTuple):
    """What matters of an entry: sectors, and neither geometry nor the active flag."""

    number: int
    kind: int
    first_sector: int
    sectors: int

    def __str__(self) -> str:
        return f"{self.number} (type {self.kind:#x}, {self.sectors} from {self.first_sector})"


def render_table(layout: Layout, *, disk_signature: int) -> bytes:
    """Return the first sector of a disk with a layout's partition table.

    :param disk_signature: 32 bits that tell disks apart, part of ``PARTUUID``; not 0.
    """
    sector = _empty_table(layout.sector_size)
    struct.pack_into("<I", sector, _SIGNATURE_OFFSET, disk_signature)
    for part in layout.partitions:
        number, kind, first, sectors = _entry(part, layout.sector_size)
        fields = (_NOT_ACTIVE, _CHS_UNUSED, kind, _CHS_UNUSED, first, sectors)
        _ENTRY.pack_into(sector, _ENTRIES_OFFSET + (number - 1) * _ENTRY.size, *fields)
    return bytes(sector)


def render_protective(layout: Layout) -> bytes:
    """Return the first sector of a disk with a GPT, which tells older tools that it is in use."""
    sector = _empty_table(layout.sector_size)
    sectors = min(layout.disk_size // layout.sector_size - 1, _MAX_SECTORS)
    fields = (_NOT_ACTIVE, _PROTECTIVE_CHS, _PROTECTIVE_TYPE, b"\xff\xff\xff", 1, sectors)
    _ENTRY.pack_into(sector, _ENTRIES_OFFSET, *fields)
    return bytes(sector)


def require_same_table(layout: Layout, first_sector: bytes) -> None:
    """Check that a disk is partitioned as a layout says.

    :param first_sector: what stands there on the disk.
    :raises InvalidInput: type, start or size of a partition differ; the message shows both.
    """
    wanted = [_entry(part, layout.sector_size) for part in layout.partitions]
    found = list(_read_entries(first_sector))
    if found != wanted:
        raise InvalidInput(
            f"The disk has the partitions {_shown(found)}, the layout asked for is "
            f"{_shown(wanted)} (in sectors of {layout.sector_size} bytes)"
        )


def _empty_table(sector_size: int) -> bytearray:
    sector = bytearray(sector_size)
    sector[: len(_NEXT_BOOT_DEVICE)] = _NEXT_BOOT_DEVICE
    sector[_MAGIC_OFFSET : _MAGIC_OFFSET + len(_MAGIC)] = _MAGIC
    return sector


def _entry(part: Partition, sector_size: int) -> _Entry:
    return _Entry(
        part.number, _TYPES[part.role], part.start // sector_size, part.size // sector_size
    )


def _read_entries(sector: bytes) -> Iterator[_Entry]:
    """Yield the entries in use; a disk without the magic number has none."""
    if sector[_MAGIC_OFFSET : _MAGIC_OFFSET + len(_MAGIC)] == _MAGIC:
        for number in range(1, _ENTRIES + 1):
            offset = _ENTRIES_OFFSET + (number - 1) * _ENTRY.size
            _active, _first, kind, _last, start, size = _ENTRY.unpack_from(sector, offset)
            if kind:
                yield _Entry(number, kind, start, size)


def _shown(entries: list[_Entry]) -> str:
    return ", ".join(map(str, entries)) or "none"
