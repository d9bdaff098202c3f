"""The msdos partition table.

Of a layout, its bytes, and whether a disk has it; and the one that a whole-disk image brings.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from ironic_ilo.exception import InvalidInput
from ironic_ilo.partitions import Extent, Layout, Partition, Role

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


@dataclass(frozen=True)
class Table:
    """The msdos table that an image brings; logical partitions count as the extended one.

    :ivar first_sector: at least 512 bytes.
    :ivar sector_size: bytes of the disk's logical sector.
    """

    first_sector: bytes
    sector_size: int

    @property
    def partitions(self) -> tuple[Extent, ...]:
        """Where the partitions lie on the disk."""
        return tuple(
            Extent(entry.first_sector * self.sector_size, entry.sectors * self.sector_size)
            for entry in _read_entries(self.first_sector)
        )

    def usable_end(self, disk_size: int) -> int:
        """Return the first byte of a disk that no partition can have any more."""
        return min(disk_size, _MAX_SECTORS * self.sector_size)

    def with_partition(self, extent: Extent) -> "Table":
        """Return the table with one more partition.

        :raises InvalidInput: it is full.
        """
        used = {entry.number for entry in _read_entries(self.first_sector)}
        free = next((n for n in range(1, _ENTRIES + 1) if n not in used), None)
        if free is None:
            raise InvalidInput(f"The image's msdos partition table has {_ENTRIES} partitions")
        sector = bytearray(self.first_sector)
        first, sectors = extent.start // self.sector_size, extent.size // self.sector_size
        _pack_entry(sector, _Entry(free, _LINUX, first, sectors))
        return replace(self, first_sector=bytes(sector))

    def render(self, disk_size: int) -> dict[int, bytes]:  # noqa: ARG002 - as GPT's
        """Return what goes where on a disk."""
        return {0: self.first_sector}


def read_table(head: bytes, sector_size: int) -> Table | None:
    """Return the msdos table in an image's beginning; ``None``: there is none."""
    if head[_MAGIC_OFFSET : _MAGIC_OFFSET + len(_MAGIC)] != _MAGIC:
        return None
    return Table(head[:sector_size], sector_size)


def is_protective(head: bytes) -> bool:
    """Tell whether the first sector says that the disk has a GPT, and nothing else."""
    return [entry.kind for entry in _read_entries(head)] == [_PROTECTIVE_TYPE]


def read_disk_identifier(head: bytes) -> str:
    """Return the disk signature in an image's beginning, in the form that Ironic gives it."""
    (signature,) = struct.unpack_from("<I", head, _SIGNATURE_OFFSET)
    return f"0x{signature:08x}"


def cover_disk(first_sector: bytes, sectors: int) -> bytes:
    """Let a protective MBR cover a disk; a hybrid one, with other entries, stays as it is.

    :param sectors: of the disk.
    """
    sector = bytearray(first_sector)
    if is_protective(first_sector):
        (entry,) = _read_entries(first_sector)
        offset = _ENTRIES_OFFSET + (entry.number - 1) * _ENTRY.size
        struct.pack_into("<I", sector, offset + _ENTRY.size - 4, min(sectors - 1, _MAX_SECTORS))
    return bytes(sector)


def render_table(layout: Layout, *, disk_signature: int) -> bytes:
    """Return the first sector of a disk with a layout's partition table.

    :param disk_signature: 32 bits that tell disks apart, part of ``PARTUUID``; not 0.
    """
    sector = _empty_table(layout.sector_size)
    struct.pack_into("<I", sector, _SIGNATURE_OFFSET, disk_signature)
    for part in layout.partitions:
        _pack_entry(sector, _entry(part, layout.sector_size))
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


def _pack_entry(table: bytearray, entry: _Entry) -> None:
    number, kind, first, sectors = entry
    fields = (_NOT_ACTIVE, _CHS_UNUSED, kind, _CHS_UNUSED, first, sectors)
    _ENTRY.pack_into(table, _ENTRIES_OFFSET + (number - 1) * _ENTRY.size, *fields)


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
