"""How the partition table of a whole-disk image fits a disk: arithmetic alone.

The image goes to the beginning of the disk as it is, but for its table: a GPT's backup moves to
the end of the disk, and a config drive gets a partition there. All offsets and sizes are in bytes.
"""

from collections.abc import Mapping
from typing import Protocol

from ironic_ilo import gpt, msdos
from ironic_ilo.exception import DiskError, InvalidInput
from ironic_ilo.partitions import CONFIGDRIVE_MIB, MIB, Extent, last_mib, merge_extents

_USUAL_SECTOR = 512


class Table(Protocol):
    """What both kinds of table can do; see ``gpt.Table``."""

    @property
    def partitions(self) -> tuple[Extent, ...]:
        """Where the partitions lie on the disk."""

    def usable_end(self, disk_size: int) -> int:
        """Return the first byte of a disk that no partition can have any more."""

    def with_partition(self, extent: Extent) -> "Table":
        """Return the table with one more partition."""

    def render(self, disk_size: int) -> dict[int, bytes]:
        """Return what goes where on a disk."""


def read_disk_identifier(head: bytes) -> str:
    """Return what tells the disks of an image apart: the signature in its first sector.

    :param head: the image's first MiB, or all of a smaller one.
    :raises InvalidInput: it has no partition table.
    """
    if msdos.read_table(head, _USUAL_SECTOR) is None:
        raise InvalidInput(
            "The image has no partition table, so it is no whole-disk image",
            hint="For a partition image, set kernel and ramdisk, or image_type to partition.",
        )
    return msdos.read_disk_identifier(head)


def read_table(head: bytes, *, image_size: int, disk_size: int, sector_size: int) -> Table:
    """Return the table that an image brings.

    :param head: the image's first MiB, or all of a smaller one.
    :param sector_size: bytes of the disk's logical sector.
    :raises InvalidInput: it has none, a damaged one, or one for other sectors or a larger disk.
    """
    read_disk_identifier(head)
    table = gpt.read_table(head, sector_size) or msdos.read_table(head, sector_size)
    assert table is not None  # noqa: S101 - it has an identifier
    _check_ends(table, image_size, disk_size, sector_size)
    return table


def _check_ends(table: Table, image_size: int, disk_size: int, sector_size: int) -> None:
    """Check that the partitions end where they can.

    An msdos table does not say for what sectors it is made. Read with larger ones, its partitions
    end behind the image. With the usual ones it is taken as it is: some tables (isohybrid) lie.
    """
    if isinstance(table, gpt.Table):
        limit = table.usable_end(disk_size)
    elif sector_size != _USUAL_SECTOR:
        limit = image_size
    else:
        return
    end = _end_of_partitions(table)
    if end > limit:
        raise InvalidInput(
            f"A partition of the image ends at byte {end}, with sectors of {sector_size} bytes as "
            f"this disk has them; the last that it can have is {limit}",
            hint="Take an image made for disks with such sectors, or mend its table.",
        )


def place_configdrive(table: Table, disk_size: int) -> Extent:
    """Return where a config drive's partition fits at the end of a disk.

    :raises DiskError: there is no room behind the image's partitions.
    """
    start = table.usable_end(disk_size) // MIB * MIB - CONFIGDRIVE_MIB * MIB
    taken = _end_of_partitions(table)
    if start < max(MIB, taken):
        raise DiskError(
            f"The disk is too small: behind the image's last partition, which ends at byte "
            f"{taken}, {CONFIGDRIVE_MIB} MiB for the config drive do not fit",
            hint="Make the image smaller, or choose a larger disk.",
        )
    return Extent(start, CONFIGDRIVE_MIB * MIB)


def find_ends(written: Mapping[int, bytes], disk_size: int) -> tuple[Extent, Extent]:
    """Return the parts of a disk that make it complete, and are written last; in this order.

    :param written: what of the table goes where on the disk.
    :return: the end with GPT's backup, empty without one; and the first MiB.
    """
    start = min((at for at in written if at >= MIB), default=None)
    tail = disk_size if start is None else start // MIB * MIB
    return Extent(tail, disk_size - tail), Extent(0, MIB)


def wipe_extents(image_size: int, disk_size: int) -> tuple[Extent, ...]:
    """Return what must read as zeros before an image goes to a disk: see ``partitions``."""
    end = image_size // MIB * MIB
    behind = Extent(end, min(2 * MIB, disk_size - end))
    return merge_extents([Extent(0, MIB), behind, last_mib(0, disk_size)])


def overlay(content: bytes, start: int, written: Mapping[int, bytes]) -> bytes:
    """Return a part of a disk with what is written to it.

    :param content: of the part.
    :param start: where on the disk it begins.
    :param written: what goes where on the disk, the last wins; what lies outside of the part is
        left out.
    """
    result = bytearray(content)
    for at, data in written.items():
        low, high = max(at, start), min(at + len(data), start + len(content))
        if low < high:
            result[low - start : high - start] = data[low - at : high - at]
    return bytes(result)


def _end_of_partitions(table: Table) -> int:
    return max((part.end for part in table.partitions), default=0)
