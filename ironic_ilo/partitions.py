"""The layout of a deployed disk: arithmetic alone.

Nothing here touches a disk. Order, alignment and labels are those of Ironic's own partition
images: EFI system partition, ephemeral, swap, config drive, and root last, so that the root file
system can grow; everything starts at a multiple of 1 MiB, the first partition at 1 MiB. All
offsets and sizes are in bytes unless the name says otherwise.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ironic_ilo.exception import DiskError, InvalidInput

MIB = 1024 * 1024
EPHEMERAL_LABEL = "ephemeral0"
SWAP_LABEL = "swap1"
ESP_LABEL = "efi-part"
# By this label of its file system, cloud-init finds a config drive.
CONFIGDRIVE_LABEL = "config-2"
# What Ironic allows a config drive at most. The partition always has this size: so a rebuild with
# preserve_ephemeral finds the same layout, whatever its config drive needs.
CONFIGDRIVE_MIB = 64

SECTOR_SIZES = (512, 4096)
# An msdos entry counts sectors in 32 bits, and so do fdisk and the kernel.
_MSDOS_MAX_SECTORS = 2**32 - 1
_MSDOS_MAX_PARTITIONS = 4


class Label(enum.StrEnum):
    """The kinds of partition table, as the capability ``disk_label`` names them."""

    MSDOS = "msdos"
    GPT = "gpt"


class Role(enum.Enum):
    """What a partition is for, in the order of the disk."""

    ESP = "esp"
    EPHEMERAL = "ephemeral"
    SWAP = "swap"
    CONFIGDRIVE = "configdrive"
    ROOT = "root"


# At the begin of the disk, and for GPT's backup at its end, too.
_TABLE_MIB = {Label.MSDOS: 1, Label.GPT: 2}
# What asks for each, in a node's instance_info or in ironic.conf.
_FIELDS = {
    Role.ESP: "[ilo]efi_system_partition_mib",
    Role.EPHEMERAL: "ephemeral_gb",
    Role.SWAP: "swap_mb",
    Role.CONFIGDRIVE: "configdrive",
    Role.ROOT: "root_gb",
}


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
    label: Label
    partitions: tuple[Partition, ...]

    def find(self, role: Role) -> Partition | None:
        """Return the partition for a role, ``None`` when the layout has none."""
        return next((part for part in self.partitions if part.role is role), None)

    @property
    def root(self) -> Partition:
        """The root partition, which every layout has, as its last."""
        return self.partitions[-1]


def plan_layout(
    *,
    disk_size: int,
    root_mib: int,
    swap_mib: int = 0,
    ephemeral_mib: int = 0,
    esp_mib: int = 0,
    configdrive: bool = False,
    sector_size: int = 512,
    label: Label | None = None,
) -> Layout:
    """Lay out a disk for a partition image.

    :param disk_size: bytes of the disk.
    :param root_mib: size of the root partition in MiB.
    :param swap_mib: size of the swap partition in MiB; 0: none.
    :param ephemeral_mib: size of the ephemeral partition in MiB; 0: none.
    :param esp_mib: size of the EFI system partition in MiB; 0: none.
    :param configdrive: whether there is a partition for a config drive.
    :param sector_size: bytes of the disk's logical sector, 512 or 4096.
    :param label: the kind of partition table; ``None``: msdos, or GPT with an EFI system
        partition, and on a disk that is larger than msdos can express.
    :raises InvalidInput: a size makes no sense, or is more than an msdos table can express.
    :raises DiskError: the disk is too small.
    """
    wanted = {
        Role.ESP: esp_mib,
        Role.EPHEMERAL: ephemeral_mib,
        Role.SWAP: swap_mib,
        Role.CONFIGDRIVE: CONFIGDRIVE_MIB if configdrive else 0,
        Role.ROOT: root_mib,
    }
    _check_sizes(wanted, sector_size)
    if label is None:
        needs_gpt = esp_mib or disk_size > _MSDOS_MAX_SECTORS * sector_size
        label = Label.GPT if needs_gpt else Label.MSDOS
    end = (sum(wanted.values()) + _TABLE_MIB[label]) * MIB
    _check_fits(end, disk_size, wanted, _TABLE_MIB[label])
    if label is Label.MSDOS:
        _check_msdos(end, sector_size, wanted)
    return Layout(disk_size, sector_size, label, tuple(_placed(wanted)))


def wipe_extents(
    layout: Layout, image_size: int, *, preserve_ephemeral: bool = False
) -> tuple[Extent, ...]:
    """Return what must read as zeros before an image goes to the root partition.

    Signatures of former contents stand at the ends of a disk and of a partition: partition
    tables, md, LVM and ZFS labels, file systems. So: everything before the first partition, the
    last MiB of the disk, both ends of the EFI system partition, ephemeral and swap, and of root
    what the image does not cover: the first MiB behind the image, and the last. The image itself
    replaces the rest of root's beginning. Of a config drive nothing may remain, for it holds
    secrets.

    :param image_size: bytes of the image, at most the size of the root partition.
    :param preserve_ephemeral: spare the partition table and the ephemeral partition.
    :return: without overlaps, in the order of the disk.
    """
    root = layout.root
    image_end = root.start + image_size // MIB * MIB
    extents = [
        Extent(image_end, min(2 * MIB, root.end - image_end)),
        last_mib(image_end, root.end),
    ]
    wiped = {Role.ESP, Role.SWAP}
    if not preserve_ephemeral:
        wiped.add(Role.EPHEMERAL)
        extents += [Extent(0, layout.partitions[0].start), last_mib(0, layout.disk_size)]
    for part in layout.partitions:
        if part.role in wiped:
            extents += [Extent(part.start, MIB), last_mib(part.start, part.end)]
        elif part.role is Role.CONFIGDRIVE:
            extents.append(Extent(part.start, part.size))
    return merge_extents(extents)


def merge_extents(extents: Iterable[Extent]) -> tuple[Extent, ...]:
    """Return extents in the order of the disk, without empty ones and overlaps."""
    merged: list[Extent] = []
    for extent in sorted((e for e in extents if e.size > 0), key=lambda e: e.start):
        if merged and extent.start <= merged[-1].end:
            start, end = merged[-1].start, max(merged[-1].end, extent.end)
            merged[-1] = Extent(start, end - start)
        else:
            merged.append(extent)
    return tuple(merged)


def last_mib(low: int, end: int) -> Extent:
    """Return at least the last MiB before ``end``, but nothing below ``low``."""
    start = max(low, (end - MIB) // MIB * MIB)
    return Extent(start, max(0, end - start))


def _check_sizes(wanted: Mapping[Role, int], sector_size: int) -> None:
    if sector_size not in SECTOR_SIZES:
        raise InvalidInput(f"Sectors of {sector_size} bytes are not known, only 512 and 4096")
    for role, mib in wanted.items():
        least = 1 if role is Role.ROOT else 0
        if mib < least:
            raise InvalidInput(
                f"A partition of {mib} MiB for {role.value} is none",
                hint=f"Set {_FIELDS[role]} to {least} or more.",
            )


def _check_fits(end: int, disk_size: int, wanted: Mapping[Role, int], table_mib: int) -> None:
    if end > disk_size:
        parts = " and ".join(f"{mib} MiB of {role.value}" for role, mib in wanted.items() if mib)
        raise DiskError(
            f"The disk is too small: {parts}, and {table_mib} MiB for the table, need {end} "
            f"bytes, it has {disk_size}",
            hint=f"Ask for at least {-(-(end - disk_size) // MIB)} MiB less "
            f"({', '.join(_FIELDS[role] for role, mib in wanted.items() if mib)}), or choose a "
            "larger disk.",
        )


def _check_msdos(end: int, sector_size: int, wanted: Mapping[Role, int]) -> None:
    roles = [role.value for role, mib in wanted.items() if mib]
    if len(roles) > _MSDOS_MAX_PARTITIONS:
        raise InvalidInput(
            f"An msdos partition table has room for {_MSDOS_MAX_PARTITIONS} partitions, the "
            f"layout needs {len(roles)}: {', '.join(roles)}",
            hint="Remove the capability disk_label:msdos, or set it to gpt.",
        )
    limit = _MSDOS_MAX_SECTORS * sector_size
    if end > limit:
        raise InvalidInput(
            f"An msdos partition table reaches {limit} bytes with sectors of {sector_size}, "
            f"the layout needs {end}",
            hint="Set the capability disk_label:gpt, or make ephemeral_gb, swap_mb, root_gb "
            "smaller.",
        )


def _placed(wanted: Mapping[Role, int]) -> Iterable[Partition]:
    start, number = MIB, 1
    for role, mib in wanted.items():
        if mib:
            yield Partition(start, mib * MIB, number, role)
            start, number = start + mib * MIB, number + 1
