"""The layout of a deployed disk: arithmetic, and the bytes of its partition table.

Nothing here touches a disk. Order, alignment and labels are those of Ironic's own partition
images: swap first and root last, so that the root file system can grow; everything starts at a
multiple of 1 MiB, the first partition at 1 MiB. All offsets and sizes are in bytes unless the name
says otherwise.
"""

import enum
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from ironic_ilo.exception import DiskError, InvalidInput

MIB = 1024 * 1024
SWAP_LABEL = "swap1"

_SECTOR_SIZES = (512, 4096)
# An msdos entry counts sectors in 32 bits, and so do fdisk and the kernel.
_MSDOS_MAX_SECTORS = 2**32 - 1
# BIOS Boot Specification 1.01, section 6.5: INT 18h hands over to the next boot device. Without
# it, a server that tries this disk first executes zeros and hangs.
_NEXT_BOOT_DEVICE = bytes.fromhex("cd18f4ebfd")  # int 18h; hlt; jmp to the hlt
_SIGNATURE_OFFSET = 440
_ENTRIES_OFFSET = 446
_ENTRY_SIZE = 16
_MAGIC_OFFSET = 510
# Cylinder, head and sector say "beyond reach, use the sector numbers" (as sfdisk writes them).
_CHS_UNUSED = b"\xfe\xff\xff"


class Role(enum.Enum):
    """What a partition is for; the value is its msdos type."""

    SWAP = 0x82
    ROOT = 0x83


@dataclass(frozen=True)
class Extent:
    """A run of bytes on a disk.

    :ivar start: its first byte.
    :ivar size: how many.
    """

    start: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.start + self.size


@dataclass(frozen=True)
class Partition(Extent):
    """One partition.

    :ivar number: as Linux counts, from 1.
    """

    number: int
    role: Role


@dataclass(frozen=True)
class Layout:
    """A disk and its partitions, in the order of the disk.

    :ivar disk_size: bytes of the whole disk.
    :ivar sector_size: bytes of its logical sector.
    """

    disk_size: int
    sector_size: int
    partitions: tuple[Partition, ...]

    def find(self, role: Role) -> Partition | None:
        """Return the partition for a role, ``None`` when the layout has none."""
        return next((part for part in self.partitions if part.role is role), None)

    @property
    def root(self) -> Partition:
        """The root partition, which every layout has, as its last."""
        return self.partitions[-1]


def plan_layout(
    *, disk_size: int, root_mib: int, swap_mib: int = 0, sector_size: int = 512
) -> Layout:
    """Lay out a disk for a partition image.

    :param disk_size: bytes of the disk.
    :param root_mib: size of the root partition in MiB.
    :param swap_mib: size of the swap partition in MiB; 0: none.
    :param sector_size: bytes of the disk's logical sector, 512 or 4096.
    :raises InvalidInput: a size makes no sense, or is more than an msdos table can express.
    :raises DiskError: the disk is too small.
    """
    _check_sizes(root_mib, swap_mib, sector_size)
    end_mib = 1 + swap_mib + root_mib
    _check_fits(
        end_mib * MIB,
        disk_size,
        f"1 MiB for the table, {swap_mib} MiB of swap and {root_mib} MiB of root",
    )
    _check_msdos(end_mib * MIB, sector_size)
    wanted = [(Role.SWAP, swap_mib), (Role.ROOT, root_mib)]
    return Layout(disk_size, sector_size, tuple(_placed(wanted)))


def wipe_extents(layout: Layout, image_size: int) -> tuple[Extent, ...]:
    """Return what must read as zeros before an image goes to the root partition.

    Signatures of former contents stand at the ends of a disk and of a partition: partition
    tables, md, LVM and ZFS labels, file systems. So: everything before the first partition, the
    last MiB of the disk, both ends of swap, and of root what the image does not cover: the first
    MiB behind the image, and the last. The image itself replaces the rest of root's beginning.

    :param image_size: bytes of the image, at most the size of the root partition.
    :return: without overlaps, in the order of the disk.
    """
    root = layout.root
    image_end = root.start + image_size // MIB * MIB
    extents = [
        Extent(0, layout.partitions[0].start),
        Extent(image_end, min(2 * MIB, root.end - image_end)),
        _last_mib(image_end, root.end),
        _last_mib(0, layout.disk_size),
    ]
    if swap := layout.find(Role.SWAP):
        extents += [Extent(swap.start, MIB), _last_mib(swap.start, swap.end)]
    return _merged(extents)


def render_msdos(layout: Layout, *, disk_signature: int) -> bytes:
    """Return the first sector of a disk with an msdos partition table.

    :param disk_signature: 32 bits that tell disks apart, part of ``PARTUUID``; not 0.
    """
    sector = bytearray(layout.sector_size)
    sector[: len(_NEXT_BOOT_DEVICE)] = _NEXT_BOOT_DEVICE
    struct.pack_into("<I", sector, _SIGNATURE_OFFSET, disk_signature)
    for part in layout.partitions:
        offset = _ENTRIES_OFFSET + (part.number - 1) * _ENTRY_SIZE
        sector[offset : offset + _ENTRY_SIZE] = _entry(part, layout.sector_size)
    sector[_MAGIC_OFFSET : _MAGIC_OFFSET + 2] = b"\x55\xaa"
    return bytes(sector)


def _check_sizes(root_mib: int, swap_mib: int, sector_size: int) -> None:
    if sector_size not in _SECTOR_SIZES:
        raise InvalidInput(f"Sectors of {sector_size} bytes are not known, only 512 and 4096")
    if root_mib <= 0:
        raise InvalidInput(
            f"A root partition of {root_mib} MiB is none", hint="Set root_gb to 1 or more."
        )
    if swap_mib < 0:
        raise InvalidInput(
            f"A swap partition of {swap_mib} MiB is none", hint="Set swap_mb to 0 or more."
        )


def _check_fits(end: int, disk_size: int, parts: str) -> None:
    if end > disk_size:
        raise DiskError(
            f"The disk is too small: {parts} need {end} bytes, it has {disk_size}",
            hint=f"Ask for at least {-(-(end - disk_size) // MIB)} MiB less (root_gb, swap_mb), "
            "or choose a larger disk.",
        )


def _check_msdos(end: int, sector_size: int) -> None:
    limit = _MSDOS_MAX_SECTORS * sector_size
    if end > limit:
        raise InvalidInput(
            f"An msdos partition table reaches {limit} bytes with sectors of {sector_size}, "
            f"the layout needs {end}",
            hint="Make root_gb and swap_mb smaller.",
        )


def _placed(wanted: Iterable[tuple[Role, int]]) -> Iterable[Partition]:
    start, number = MIB, 1
    for role, mib in wanted:
        if mib:
            yield Partition(start, mib * MIB, number, role)
            start, number = start + mib * MIB, number + 1


def _last_mib(low: int, end: int) -> Extent:
    """Return at least the last MiB before ``end``, but nothing below ``low``."""
    start = max(low, (end - MIB) // MIB * MIB)
    return Extent(start, max(0, end - start))


def _merged(extents: Iterable[Extent]) -> tuple[Extent, ...]:
    merged: list[Extent] = []
    for extent in sorted((e for e in extents if e.size > 0), key=lambda e: e.start):
        if merged and extent.start <= merged[-1].end:
            start, end = merged[-1].start, max(merged[-1].end, extent.end)
            merged[-1] = Extent(start, end - start)
        else:
            merged.append(extent)
    return tuple(merged)


def _entry(part: Partition, sector_size: int) -> bytes:
    return struct.pack(
        "<B3sB3sII",
        0,  # not active: the instance boots from its boot ISO
        _CHS_UNUSED,
        part.role.value,
        _CHS_UNUSED,
        part.start // sector_size,
        part.size // sector_size,
    )
