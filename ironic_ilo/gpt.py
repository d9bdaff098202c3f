"""The GUID partition table of a layout: its bytes, and whether a disk has it.

Facts from the UEFI specification 2.10, section 5.3. A disk has two: one at its begin, behind a
protective MBR, and a backup at its end.
"""

import struct
import uuid
import zlib
from collections.abc import Callable
from typing import NamedTuple

from ironic_ilo import msdos
from ironic_ilo.exception import InvalidInput
from ironic_ilo.partitions import Layout, Partition, Role

_SIGNATURE = b"EFI PART"
_REVISION = 0x10000
# signature, revision, size, CRC, reserved, this LBA, other LBA, first and last usable LBA,
# disk GUID, entries' LBA, their number, size and CRC
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_HEADER_CRC_OFFSET = 16
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
