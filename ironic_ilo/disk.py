"""Writing a node's disk over iSCSI: partition table, leftovers wiped, image.

No root, no kernel initiator: QEMU's tools talk to the target. The disk is taken for dirty, so
whatever the image leaves empty is zeroed, and what former tenants left at its ends is wiped. The
partition table comes last: a disk that is half written does not look deployed. (Where an ephemeral
partition is preserved, the table stays; there, only Ironic knows that the write failed.)

An ephemeral file system costs its metadata on the wire, and one that is preserved nothing.
"""

import enum
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ironic_ilo import (
    execute,
    file_systems,
    gpt,
    image_file,
    msdos,
    partitions,
    qemu_img,
    read_back,
    whole_disk,
)
from ironic_ilo.exception import DiskError, InvalidInput
from ironic_ilo.file_systems import FileSystem, FileSystemType
from ironic_ilo.image_file import ImageInfo
from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.partitions import CONFIGDRIVE_LABEL, MIB, Extent, Label, Layout, Partition, Role
from ironic_ilo.qemu_img import ImageFormat

_TOOL_TIMEOUT = 60.0
_HEAD = Extent(0, MIB)  # every table, and what boots in BIOS mode, begins in it
_SECONDS_BETWEEN_PROGRESS = 2.0
# mkswap's header fills one page. Where the conductor's pages are larger than the node's, the
# node could not use it, so the size is given: that of every ProLiant with an iLO.
_SWAP_PAGE = 4096


class Stage(enum.StrEnum):
    """What a write is doing, in order; VERIFY follows WRITE, and again CONFIGDRIVE."""

    WIPE = "wipe"
    FORMAT = "format"
    WRITE = "write"
    VERIFY = "verify"
    CONFIGDRIVE = "configdrive"
    TABLE = "table"


@dataclass(frozen=True)
class Progress:
    """How far a write is.

    :ivar percent: of the image's allocated data; 100 in the stages after it.
    :ivar bytes_per_second: on average since the stage began; 0: nothing of the image has moved.
    """

    stage: Stage
    percent: float
    bytes_done: int
    bytes_total: int
    bytes_per_second: float


@dataclass(frozen=True)
class WriteReport:
    """What a write did.

    :ivar bytes_written: the image's allocated data.
    :ivar seconds: by stage.
    """

    bytes_written: int
    seconds: Mapping[Stage, float]


ProgressCallback = Callable[[Progress], None]


def read_disk_size(target: IscsiTarget, *, timeout: float) -> int:
    """Return the size in bytes of the disk behind a target.

    :raises DiskError: it cannot be reached, refuses the login, offers no disk or an empty one.
    """
    size = qemu_img.read_target_size(target, timeout=timeout)
    if not size:
        raise DiskError(f"The disk of {target} has no size", hint="See the ramdisk's console.")
    return size


def write_deploy_image(
    target: IscsiTarget,
    layout: Layout,
    image: Path,
    image_format: ImageFormat,
    *,
    ephemeral_format: FileSystemType | None = None,
    preserve_ephemeral: bool = False,
    configdrive: Path | None = None,
    verify: bool = False,
    on_progress: ProgressCallback,
    timeout: float,
    stall_timeout: float,
) -> WriteReport:
    """Make a node's disk what a layout and an image say, whatever was on it.

    :param ephemeral_format: of the layout's ephemeral partition; ``None``: no file system.
    :param preserve_ephemeral: write neither to the ephemeral partition nor to the partition
        table, which must be the layout's already.
    :param configdrive: what goes to the layout's config drive partition.
    :param verify: read image, config drive and partition table back, and compare.
    :param on_progress: called at the begin of each stage and then at most every 2 s, in this
        thread; what it raises ends the write.
    :param timeout: seconds for all of it.
    :param stall_timeout: seconds that it may stand still.
    :raises InvalidInput: image or config drive are not what they should be, or larger than their
        partition; or the disk is partitioned otherwise than ``preserve_ephemeral`` needs it.
        Nothing has been written.
    :raises DiskError: the target cannot be reached or refuses, the disk fails, a deadline passes,
        or what was written reads back as something else.
    """
    info = image_file.inspect_image(image, image_format)
    _check_image_fits(image, info, layout.root)
    sources = [_Source(Stage.WRITE, image, image_format, layout.root)]
    if configdrive is not None:
        sources.append(_as_source(configdrive, layout.find(Role.CONFIGDRIVE)))
    write = _Write(target, info.allocated, on_progress, timeout, stall_timeout)
    if preserve_ephemeral:
        _require_same_layout(write, layout)
    wipe = partitions.wipe_extents(
        layout, info.virtual_size, preserve_ephemeral=preserve_ephemeral
    )
    _wipe_and_format(write, layout, wipe, None if preserve_ephemeral else ephemeral_format)
    _copy(write, sources, verify=verify)
    if not preserve_ephemeral:
        _write_table(write, _render_tables(layout), verify=verify)
    return WriteReport(info.allocated, write.seconds)


def write_whole_disk_image(
    target: IscsiTarget,
    disk_size: int,
    sector_size: int,
    image: Path,
    image_format: ImageFormat,
    *,
    configdrive: Path | None = None,
    verify: bool = False,
    on_progress: ProgressCallback,
    timeout: float,
    stall_timeout: float,
) -> WriteReport:
    """Make a node's disk what an image of a whole disk says, whatever was on it.

    A GPT's backup moves to the end of the disk. The first MiB, and that of the backup, are
    written last.

    :param disk_size: bytes of the disk.
    :param sector_size: bytes of its logical sector.
    :param configdrive: what goes to a partition at the end of the disk, which is added to the
        image's table; or to that of the image's partitions which is labelled ``config-2``.
    :raises InvalidInput: image or config drive are not what they should be, the image is made for
        other sectors, or its table has no room. Nothing has been written.
    :raises DiskError: the disk is too small, and nothing has been written; or it is as with
        :func:`write_deploy_image`, whose other parameters are the same.
    """
    info = image_file.inspect_image(image, image_format)
    _check_disk_suffices(image, info, disk_size)
    table = whole_disk.read_table(
        image_file.read_part(image, image_format, _HEAD),
        image_size=info.virtual_size, disk_size=disk_size, sector_size=sector_size,
    )  # fmt: skip
    write = _Write(target, info.allocated, on_progress, timeout, stall_timeout)
    table, drive = _place_configdrive(write, table, image, image_format, configdrive, disk_size)
    written = table.render(disk_size)
    tail, head = ends = whole_disk.find_ends(written, disk_size)
    body = Extent(head.end, min(info.virtual_size, tail.start) - head.end)
    rest = [_Source(Stage.WRITE, image, image_format, body, body)] if body.size > 0 else []
    wipe = whole_disk.wipe_extents(info.virtual_size, disk_size)
    _wipe(write, partitions.merge_extents([*wipe, *(source.extent for source in drive)]))
    _copy(write, [*rest, *drive], verify=verify)
    _write_table(write, _compose_ends(image, image_format, ends, drive, written), verify=verify)
    return WriteReport(info.allocated, write.seconds)


def _place_configdrive(  # noqa: PLR0917 - all that decides about its place
    write: "_Write",
    table: whole_disk.Table,
    image: Path,
    image_format: ImageFormat,
    configdrive: Path | None,
    disk_size: int,
) -> tuple[whole_disk.Table, list["_Source"]]:
    """Find or make a config drive's partition; return the table with it, and what goes there."""
    if configdrive is None:
        return table, []
    drive = _find_configdrive(write, table, image, image_format)
    if drive is None:
        drive = whole_disk.place_configdrive(table, disk_size)
        table = table.with_partition(drive)
    return table, [_as_source(configdrive, drive)]


def _compose_ends(
    image: Path,
    image_format: ImageFormat,
    ends: Sequence[Extent],
    drive: Sequence["_Source"],
    written: Mapping[int, bytes],
) -> dict[int, bytes]:
    """Return what goes to the ends of a disk, in their order.

    It is the image's data, of the config drive what lies there, and the table.
    """
    composed = {}
    for end in ends:
        content = image_file.read_part(image, image_format, end).ljust(end.size, b"\0")
        there = {
            source.extent.start: source.path.read_bytes()
            for source in drive
            if source.extent.start < end.end and end.start < source.extent.end
        }
        if content:
            composed[end.start] = whole_disk.overlay(content, end.start, {**there, **written})
    return composed


@dataclass(frozen=True)
class _Source:
    """A local image, or a part of it, and where on the disk it goes."""

    stage: Stage
    path: Path
    image_format: ImageFormat
    extent: Extent
    part: Extent | None = None


def _as_source(configdrive: Path, extent: Extent | None) -> _Source:
    if extent is None:
        raise InvalidInput("There is a config drive, and the layout has no partition for it")
    size = configdrive.stat().st_size
    if size > extent.size:
        raise InvalidInput(
            f"The config drive has {size} bytes, its partition {extent.size}",
            hint="Put less into it, or fetch the rest from the instance.",
        )
    return _Source(Stage.CONFIGDRIVE, configdrive, "raw", extent)


def _find_configdrive(
    write: "_Write", table: whole_disk.Table, image: Path, image_format: ImageFormat
) -> Extent | None:
    """Find the partition of an image that is meant for a config drive, as far as one can need it.

    A hostile table has thousands of partitions, and one as large as it likes.
    """
    for part in table.partitions:
        write.seconds_left()
        label = image_file.read_file_system_label(image, image_format, part)
        if label.lower() == CONFIGDRIVE_LABEL:
            return Extent(part.start, min(part.size, partitions.CONFIGDRIVE_MIB * MIB))
    return None


def _check_image_fits(image: Path, info: ImageInfo, root: Partition) -> None:
    if info.virtual_size > root.size:
        raise InvalidInput(
            f"The image {image} needs {info.virtual_size} bytes, the root partition has "
            f"{root.size}",
            hint=f"Set root_gb to {-(-info.virtual_size // 1024**3)} or more.",
        )


def _check_disk_suffices(image: Path, info: ImageInfo, disk_size: int) -> None:
    if info.virtual_size > disk_size:
        raise DiskError(
            f"The disk is too small: the image {image} needs {info.virtual_size} bytes, it has "
            f"{disk_size}",
            hint="Make the image smaller, or choose a larger disk.",
        )


class _Write:
    """A write under way: its deadline, its progress and the times of its stages."""

    def __init__(
        self,
        target: IscsiTarget,
        bytes_total: int,
        on_progress: ProgressCallback,
        timeout: float,
        stall_timeout: float,
    ) -> None:
        self.target = target
        self.stall_timeout = stall_timeout
        self.seconds: dict[Stage, float] = {}
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._bytes_total = bytes_total
        self._on_progress = on_progress
        self._stage = Stage.WIPE
        self._began = 0.0
        self._began_percent = 0.0
        self._last_report = 0.0

    def seconds_left(self) -> float:
        """Return the seconds until the deadline.

        :raises DiskError: it has passed.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DiskError(f"Writing to {self.target} was not done within {self._timeout:g} s")
        return left

    @contextmanager
    def stage(self, stage: Stage, percent: float = 0.0) -> Iterator[None]:
        """Announce a stage, how far the image is then, and keep how long it took."""
        self._stage, self._began, self._began_percent = stage, time.monotonic(), percent
        self._send(percent)
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - self._began

    def report(self, percent: float) -> None:
        """Pass progress on, unless that was done a moment ago."""
        if time.monotonic() - self._last_report >= _SECONDS_BETWEEN_PROGRESS:
            self._send(max(percent, self._began_percent))

    def _send(self, percent: float) -> None:
        self._last_report = time.monotonic()
        done = round(self._bytes_total * percent / 100)
        moved = self._bytes_total * (percent - self._began_percent) / 100
        elapsed = self._last_report - self._began
        rate = moved / elapsed if elapsed > 0 else 0.0
        self._on_progress(Progress(self._stage, percent, done, self._bytes_total, rate))


def _require_same_layout(write: _Write, layout: Layout) -> None:
    found = qemu_img.read_extent(write.target, Extent(0, MIB), timeout=write.stall_timeout)
    kind = gpt if layout.label is Label.GPT else msdos
    try:
        kind.require_same_table(layout, found)
    except InvalidInput as error:
        raise InvalidInput(
            f"preserve_ephemeral needs the disk partitioned as it was: {error.message}",
            hint="Set ephemeral_gb, swap_mb and root_gb as they were, or deploy without "
            "preserve_ephemeral, and lose what the ephemeral partition holds.",
        ) from error


def _wipe_and_format(
    write: _Write, layout: Layout, wipe: Sequence[Extent], ephemeral_format: FileSystemType | None
) -> None:
    """Zero parts of the disk, and make swap and file systems."""
    with ExitStack() as stack, tempfile.TemporaryFile() as header:
        made = {
            part: stack.enter_context(file_system)
            for part, file_system in _make_file_systems(layout, ephemeral_format)
        }
        zeroed = [Extent(p.start + e.start, e.size) for p, fs in made.items() for e in fs.written]
        commands = []
        if swap := layout.find(Role.SWAP):
            _make_swap(header, swap.size)
            commands = [qemu_img.copy(header.fileno(), Extent(swap.start, _SWAP_PAGE))]
        _wipe(write, partitions.merge_extents([*wipe, *zeroed]), commands, header)
        if made:
            with write.stage(Stage.FORMAT):
                _write_file_systems(write, made)


def _make_file_systems(
    layout: Layout, ephemeral_format: FileSystemType | None
) -> Iterator[tuple[Partition, AbstractContextManager[FileSystem]]]:
    ephemeral = layout.find(Role.EPHEMERAL)
    if ephemeral_format is not None:
        if ephemeral is None:
            raise InvalidInput("There is a format for an ephemeral partition, and no partition")
        yield (
            ephemeral,
            file_systems.make_file_system(
                ephemeral_format, ephemeral.size, label=partitions.EPHEMERAL_LABEL
            ),
        )
    if esp := layout.find(Role.ESP):
        yield (
            esp,
            file_systems.make_efi_system_partition(
                esp.size, label=partitions.ESP_LABEL, sector_size=layout.sector_size
            ),
        )


def _write_file_systems(write: _Write, made: Mapping[Partition, FileSystem]) -> None:
    for part, file_system in made.items():
        qemu_img.write_sparse(
            file_system.descriptor, write.target, part,
            action=f"Writing the file system of the {part.role.value} partition",
            timeout=write.seconds_left(), stall_timeout=write.stall_timeout,
        )  # fmt: skip


def _wipe(
    write: _Write,
    extents: Sequence[Extent],
    commands: Sequence[str] = (),
    file: IO[bytes] | None = None,
) -> None:
    """Zero parts of the disk, then run commands with a file."""
    zeroes = [qemu_img.zero(extent) for extent in extents]
    with write.stage(Stage.WIPE):
        _write_extents(write, [*zeroes, *commands], file, "Wiping the disk")


def _copy(write: _Write, sources: Sequence[_Source], *, verify: bool) -> None:
    """Write each source, and verify it before the next one replaces a part of it."""
    for source in sources:
        # Progress is the image's; a config drive is small.
        percent = 0.0 if source.stage is Stage.WRITE else 100.0
        with write.stage(source.stage, percent):
            qemu_img.convert(
                source.path, source.image_format, write.target, source.extent, part=source.part,
                on_percent=write.report, timeout=write.seconds_left(),
                stall_timeout=write.stall_timeout,
            )  # fmt: skip
        if verify:
            with write.stage(Stage.VERIFY, percent):
                read_back.compare(
                    write.target, source.extent, source.path, source.image_format,
                    part=source.part, on_percent=write.report, timeout=write.seconds_left(),
                    stall_timeout=write.stall_timeout,
                )  # fmt: skip


def _make_swap(file: IO[bytes], size: int) -> None:
    """Let mkswap write its header into a sparse file of the partition's size."""
    file.truncate(size)
    execute.execute(
        ["mkswap", "--label", partitions.SWAP_LABEL, "--pagesize", str(_SWAP_PAGE),
         f"/dev/fd/{file.fileno()}"], timeout=_TOOL_TIMEOUT, pass_fds=[file.fileno()],
    )  # fmt: skip


def _write_table(write: _Write, tables: Mapping[int, bytes], *, verify: bool) -> None:
    """Write what makes the disk complete: what goes where, in this order."""
    with write.stage(Stage.TABLE, 100.0):
        for start, content in tables.items():
            extent = Extent(start, len(content))
            with tempfile.TemporaryFile() as table:
                table.write(content)
                table.flush()
                command = qemu_img.copy(table.fileno(), extent)
                _write_extents(write, [command], table, "Writing the partition table")
            if verify:
                _verify_table(write, extent, content)


def _verify_table(write: _Write, extent: Extent, content: bytes) -> None:
    if qemu_img.read_extent(write.target, extent, timeout=write.seconds_left()) != content:
        raise DiskError(
            f"The disk of {write.target} does not hold the partition table that was written to "
            f"byte {extent.start}",
            hint="Something between conductor and disk corrupts data: see the health log.",
        )


def _render_tables(layout: Layout) -> Mapping[int, bytes]:
    """Return what goes where, in this order."""
    if layout.label is Label.GPT:
        return gpt.render_tables(layout)
    signature = secrets.randbelow(2**32 - 1) + 1
    return {0: msdos.render_table(layout, disk_signature=signature)}


def _write_extents(
    write: _Write, commands: Sequence[str], file: IO[bytes] | None, action: str
) -> None:
    qemu_img.write_extents(
        write.target, commands, pass_fds=[file.fileno()] if file else [], action=action,
        timeout=write.seconds_left(), stall_timeout=write.stall_timeout,
    )  # fmt: skip
