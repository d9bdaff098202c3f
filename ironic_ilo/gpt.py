"""The GUID partition table.

Of a layout, its bytes, and whether a disk has it; and the one that a whole-disk image brings.

Facts from the UEFI specification 2.10, section 5.3. A disk has two: one at its begin, behind a
protective MBR, and a backup at its end.
"""

import struct
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ironic_ilo import msdos
from ironic_ilo.exception import InvalidInput
from ironic_ilo.partitions import (
    CONFIGDRIVE_LABEL,
    MIB,
    SECTOR_SIZES,
    Extent,
    Layout,
    Partition,
    Role,
)

_SIGNATURE = b"EFI PART"
_REVISION = 0x10000
# signature, revision, size, CRC, reserved, this LBA, other LBA, first and last usable LBA,
# disk GUID, entries' LBA, their number, size and CRC
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_HEADER_CRC_OFFSET = 16
_THIS_LBA_FIELD, _LAST_USABLE_FIELD, _ENTRIES_LBA_FIELD = 5, 8, 10
# type, GUID, first and last LBA, attributes, name
_ENTRY = struct.Struct("<16s16sQQQ72s")
_ENTRIES = 128
_ENTRIES_LBA = 2
_LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
_LINUX_SWAP = uuid.UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f")
_EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_TYPES = {
    Role.ESP: _EFI_SYSTEM,
    Role.EPHEMERAL: _LINUX_DATA,
    Role.SWAP: _LINUX_SWAP,
    Role.CONFIGDRIVE: _LINUX_DATA,
    Role.ROOT: _LINUX_DATA,
}


class _Entry(NamedTuple):
    """What matters of an entry: parted's types for the same partition changed over the years."""

    number: int
    first_sector: int
    sectors: int

    def __str__(self) -> str:
        return f"{self.number} ({self.sectors} from {self.first_sector})"


@dataclass(frozen=True)
class Table:
    """The GPT that an image brings.

    :ivar first_sector: the protective MBR.
    :ivar header: the primary header, of the size that it says.
    :ivar entries: all of them, used or not.
    :ivar sector_size: bytes of the disk's logical sector.
    """

    first_sector: bytes
    header: bytes
    entries: tuple[bytes, ...]
    sector_size: int

    @property
    def partitions(self) -> tuple[Extent, ...]:
        """Where the partitions lie on the disk."""
        return tuple(
            Extent(first * self.sector_size, (last - first + 1) * self.sector_size)
            for kind, _guid, first, last, _flags, _name in map(_unpack_entry, self.entries)
            if any(kind)
        )

    def usable_end(self, disk_size: int) -> int:
        """Return the first byte of a disk that no partition can have any more."""
        return self._backup_lba(disk_size) * self.sector_size

    def with_partition(self, extent: Extent) -> "Table":
        """Return the table with one more partition, for a config drive.

        :raises InvalidInput: it is full.
        """
        entries = list(self.entries)
        free = next((n for n, e in enumerate(entries) if not any(_unpack_entry(e)[0])), None)
        if free is None:
            raise InvalidInput(f"The image's GPT has {len(entries)} partitions, and no room left")
        first, end = extent.start // self.sector_size, extent.end // self.sector_size
        name = CONFIGDRIVE_LABEL.encode("utf-16-le")
        fields = (_LINUX_DATA.bytes_le, uuid.uuid4().bytes_le, first, end - 1, 0, name)
        entries[free] = _ENTRY.pack(*fields).ljust(len(entries[free]), b"\0")
        return replace(self, entries=tuple(entries))

    def render(self, disk_size: int) -> dict[int, bytes]:
        """Return what goes where on a disk, whose end the backup moves to."""
        last, backup_lba = disk_size // self.sector_size - 1, self._backup_lba(disk_size)
        entries_lba = _HEADER.unpack_from(self.header)[_ENTRIES_LBA_FIELD]
        backup = self._render_header(last, 1, backup_lba, backup_lba)
        primary = self._render_header(1, last, backup_lba, entries_lba)
        parts = {
            last: backup,
            backup_lba: b"".join(self.entries),
            entries_lba: b"".join(self.entries),
            1: primary,
            0: msdos.cover_disk(self.first_sector, last + 1),
        }
        return {lba * self.sector_size: content for lba, content in parts.items()}

    def _backup_lba(self, disk_size: int) -> int:
        size = len(self.entries) * len(self.entries[0])
        return disk_size // self.sector_size - 1 - -(-size // self.sector_size)

    def _render_header(self, this: int, other: int, backup_lba: int, entries_lba: int) -> bytes:
        fields = list(_HEADER.unpack_from(self.header))
        fields[_THIS_LBA_FIELD : _LAST_USABLE_FIELD + 1] = (
            this, other, fields[_LAST_USABLE_FIELD - 1], backup_lba - 1,
        )  # fmt: skip
        fields[_ENTRIES_LBA_FIELD] = entries_lba
        fields[-1] = zlib.crc32(b"".join(self.entries))
        return _with_crc(_HEADER.pack(*fields) + self.header[_HEADER.size :])


def read_table(head: bytes, sector_size: int) -> Table | None:
    """Return the GPT in an image's beginning; ``None``: there is none.

    :param head: the image's first MiB, or all of a smaller one.
    :raises InvalidInput: it is made for other sectors, or damaged.
    """
    found = [size for size in SECTOR_SIZES if head[size : size + len(_SIGNATURE)] == _SIGNATURE]
    damaged = InvalidInput(
        "The image's GPT is damaged", hint="Check it with `sgdisk --verify`, or make it anew."
    )
    if not found:
        # Its backup, if it has one, would not be at the end of the disk.
        if msdos.is_protective(head):
            raise damaged
        return None
    if sector_size not in found:
        raise InvalidInput(
            f"The image is made for disks with sectors of {found[0]} bytes, this one has sectors "
            f"of {sector_size}",
            hint="Take an image made for them, or another disk (root device hints).",
        )
    fields = _HEADER.unpack_from(head, sector_size)
    header = head[sector_size : sector_size + max(fields[2], _HEADER.size)]
    entries = _cut_entries(head, fields, sector_size)
    sound = fields[2] <= sector_size and fields[_THIS_LBA_FIELD] == 1 and entries
    if not sound or _with_crc(header) != header or zlib.crc32(b"".join(entries)) != fields[-1]:
        raise damaged
    table = Table(head[:sector_size], header, entries, sector_size)
    if any(part.size <= 0 for part in table.partitions):
        raise damaged
    return table


def _cut_entries(head: bytes, fields: Sequence[Any], sector_size: int) -> tuple[bytes, ...]:
    """Return the entries; none if they are not where, and of the size, that they can be."""
    lba, number, size = fields[_ENTRIES_LBA_FIELD : _ENTRIES_LBA_FIELD + 3]
    start, end = lba * sector_size, lba * sector_size + number * size
    if lba < _ENTRIES_LBA or size < _ENTRY.size or end > min(len(head), MIB):
        return ()
    return tuple(head[at : at + size] for at in range(start, end, size))


def _unpack_entry(entry: bytes) -> Any:
    return _ENTRY.unpack_from(entry)


def render_tables(
    layout: Layout, *, new_guid: Callable[[], uuid.UUID] = uuid.uuid4
) -> dict[int, bytes]:
    """Return both tables of a layout.

    :return: what goes where on the disk; the backup first, for the first sectors make it valid.
    """
    last = layout.disk_size // layout.sector_size - 1
    entries = b"".join(_pack_entry(p, layout.sector_size, new_guid()) for p in layout.partitions)
    entries = entries.ljust(_ENTRIES * _ENTRY.size, b"\0")
    backup_lba = last - len(entries) // layout.sector_size
    disk_guid = new_guid()

    def header(this: int, other: int, entries_lba: int) -> bytes:
        first_usable = _ENTRIES_LBA + len(entries) // layout.sector_size
        fields = (
            this, other, first_usable, backup_lba - 1, disk_guid.bytes_le, entries_lba,
            _ENTRIES, _ENTRY.size, zlib.crc32(entries),
        )  # fmt: skip
        return _with_crc(_HEADER.pack(_SIGNATURE, _REVISION, _HEADER.size, 0, 0, *fields)).ljust(
            layout.sector_size, b"\0"
        )

    primary = msdos.render_protective(layout) + header(1, last, _ENTRIES_LBA) + entries
    return {backup_lba * layout.sector_size: entries + header(last, 1, backup_lba), 0: primary}


def require_same_table(layout: Layout, first_bytes: bytes) -> None:
    """Check that a disk is partitioned as a layout says.

    :param first_bytes: what stands there on the disk, 1 MiB of it.
    :raises InvalidInput: start or size of a partition differ, or the table is damaged; the message
        shows both.
    """
    wanted = [
        _Entry(p.number, p.start // layout.sector_size, p.size // layout.sector_size)
        for p in layout.partitions
    ]
    found = _read_entries(first_bytes, layout.sector_size)
    if found != wanted:
        raise InvalidInput(
            f"The disk's GPT has the partitions {_shown(found)}, the layout asked for is "
            f"{_shown(wanted)} (in sectors of {layout.sector_size} bytes)"
        )


def _pack_entry(part: Partition, sector_size: int, guid: uuid.UUID) -> bytes:
    first, end = part.start // sector_size, part.end // sector_size
    name = part.role.value.encode("utf-16-le")
    return _ENTRY.pack(_TYPES[part.role].bytes_le, guid.bytes_le, first, end - 1, 0, name)


def _with_crc(header: bytes) -> bytes:
    """Fill in a header's CRC, which counts as zero itself."""
    low, high = header[:_HEADER_CRC_OFFSET], header[_HEADER_CRC_OFFSET + 4 :]
    return low + struct.pack("<I", zlib.crc32(low + bytes(4) + high)) + high


def _read_entries(first_bytes: bytes, sector_size: int) -> list[_Entry]:
    """Return the entries in use; a disk without a sound primary table has none."""
    header = first_bytes[sector_size : sector_size + _HEADER.size]
    fields = _HEADER.unpack(header)
    start = _ENTRIES_LBA * sector_size
    entries = first_bytes[start : start + _ENTRIES * _ENTRY.size]
    shape = (_ENTRIES_LBA, _ENTRIES, _ENTRY.size, zlib.crc32(entries))
    if fields[0] != _SIGNATURE or _with_crc(header) != header or fields[-4:] != shape:
        return []
    return [
        _Entry(number, first, last - first + 1)
        for number, (kind, _guid, first, last, _flags, _name) in enumerate(
            _ENTRY.iter_unpack(entries), 1
        )
        if any(kind)
    ]


def _shown(entries: list[_Entry]) -> str:
    return ", ".join(map(str, entries)) or "none"
