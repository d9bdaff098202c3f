"""Making a file system before the disk is at hand: no root, no mount, no loop device.

``mkfs`` works on a sparse file in memory. Afterwards the file tells what ``mkfs`` has written,
zeros included: these alone must reach the disk, and there they must replace what was there. What
it left out may hold anything.

The file is a memfd for this sake. Elsewhere written zeros can look like a hole: ext4 and XFS take
"zero this range" (fallocate) without writing, ZFS drops zeros that it compresses.
"""

import enum
import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from ironic_ilo import execute
from ironic_ilo.exception import DiskError, ProcessError
from ironic_ilo.partitions import Extent

# Seconds; 2 TiB take less than one.
_TIMEOUT = 120.0
_LIMITS = execute.Limits(address_space=1024**3, cpu_seconds=60)
# MiB of a journal or log. They are all zeros, yet must be written and stay in memory until then,
# and mkfs would make them as large as 1 GiB (ext4) or 2 GiB (XFS).
_LOG_MIB = 64


class FileSystemType(enum.StrEnum):
    """The file systems that can be made here, as ``ephemeral_format`` names them."""

    EXT4 = "ext4"
    XFS = "xfs"
    BTRFS = "btrfs"


@dataclass(frozen=True)
class _Maker:
    """How to make one.

    :ivar package: Debian's name of what provides the program.
    :ivar command: without label and file.
    """

    package: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


_MAKERS = {
    # With metadata_csum each group says how much of its inode table is in use, so the rest may
    # hold anything; the kernel zeroes it after the first mount. The journal may not: a crash
    # before it has been filled once could replay what an earlier one left there.
    FileSystemType.EXT4: _Maker(
        "e2fsprogs",
        ("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "metadata_csum",
         "-J", f"size={_LOG_MIB}",
         "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=0"),
        # Writes zeros, as to a disk. mke2fs would punch holes for them into a file.
        {"UNIX_IO_NOZEROOUT": "1"},
    ),
    # Sectors of 4096 bytes fit disks with either size.
    FileSystemType.XFS: _Maker(
        "xfsprogs",
        ("mkfs.xfs", "-q", "-f", "-K", "-s", "size=4096", "-l", f"size={_LOG_MIB}m"),
    ),
    FileSystemType.BTRFS: _Maker("btrfs-progs", ("mkfs.btrfs", "-q", "-f", "-K")),
}  # fmt: skip
_FAT = _Maker("dosfstools", ("mkfs.vfat",))


@dataclass(frozen=True)
class FileSystem:
    """A file system in a sparse file.

    :ivar descriptor: the open file.
    :ivar written: all that ``mkfs`` has written, in order; zeros in there count.
    """

    descriptor: int
    written: tuple[Extent, ...]


def make_file_system(
    kind: FileSystemType, size: int, *, label: str
) -> AbstractContextManager[FileSystem]:
    """Make a file system, and forget it at the end of the block.

    :param size: its bytes; it takes 60 to 100 MiB of memory, whatever they are.
    :raises DiskError: the program that makes it is missing, or failed.
    """
    maker = _MAKERS[kind]
    return _making(f"ephemeral file system ({kind})", maker, [*maker.command, "-L", label], size)


def make_efi_system_partition(
    size: int, *, label: str, sector_size: int
) -> AbstractContextManager[FileSystem]:
    """Make the empty FAT file system of an EFI system partition, and forget it likewise.

    :param sector_size: bytes of the disk's logical sector, which FAT must be made for.
    :raises DiskError: the program that makes it is missing, or failed.
    """
    command = [*_FAT.command, "-S", str(sector_size), "-n", label]
    return _making("EFI system partition", _FAT, command, size)


@contextmanager
def _making(what: str, maker: _Maker, command: Sequence[str], size: int) -> Iterator[FileSystem]:
    descriptor = os.memfd_create("ironic-ilo-file-system")
    try:
        os.truncate(descriptor, size)
        _run(what, maker, [*command, f"/dev/fd/{descriptor}"], descriptor)
        yield FileSystem(descriptor, tuple(_find_written(descriptor)))
    finally:
        os.close(descriptor)


def _run(what: str, maker: _Maker, argv: Sequence[str], descriptor: int) -> None:
    try:
        execute.execute(
            argv, timeout=_TIMEOUT, limits=_LIMITS, env=maker.environment, pass_fds=[descriptor]
        )
    except ProcessError as error:
        missing = isinstance(error, execute.ProgramNotFound)
        raise DiskError(
            f"The {what} cannot be made: {error.message}",
            hint=f"Install the package {maker.package} on this conductor." if missing else "",
        ) from error


def _find_written(descriptor: int) -> Iterator[Extent]:
    end = 0
    while (start := _seek(descriptor, end, os.SEEK_DATA)) is not None:
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield Extent(start, end - start)


def _seek(descriptor: int, start: int, what: int) -> int | None:
    """Return ``None`` when nothing more comes: lseek(2) says ENXIO then."""
    try:
        return os.lseek(descriptor, start, what)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
