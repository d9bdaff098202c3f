"""Writing a node's disk over iSCSI: partition table, leftovers wiped, image.

No root, no kernel initiator: QEMU's tools talk to the target. The disk is taken for dirty, so
whatever the image leaves empty is zeroed, and what former tenants left at its ends is wiped. The
partition table comes last: a disk that is half written does not look deployed.

An ephemeral file system costs its metadata on the wire, and one that is preserved nothing.
"""

import enum
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ironic_ilo import execute, file_systems, gpt, msdos, partitions, qemu_img
from ironic_ilo.exception import DiskError, InvalidInput
from ironic_ilo.file_systems import FileSystemType
from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.partitions import MIB, Extent, Label, Layout, Partition, Role
from ironic_ilo.qemu_img import ImageFormat

_TOOL_TIMEOUT = 60.0
_SECONDS_BETWEEN_PROGRESS = 2.0
# The superblocks of ext2-4 (1 KiB), XFS (0) and btrfs (64 KiB) all lie in the first MiB.
_FILE_SYSTEM_HEAD = 1
# mkswap's header fills one page. Where the conductor's pages are larger than the node's, the
# node could not use it, so the size is given: that of every ProLiant with an iLO.
_SWAP_PAGE = 4096
_FLATTEN = "Make a plain one of it with `qemu-img convert -O qcow2`."
_CLUSTER = 64 * 1024  # of a qcow2 image as qemu-img makes it
_UUID = re.compile(r"[0-9A-Fa-f-]{4,36}")
_BLKID_NOTHING, _BLKID_AMBIVALENT = 2, 8


class Stage(enum.StrEnum):
    """What a write is doing, in order; FORMAT and TABLE not in every case."""

    WIPE = "wipe"
    FORMAT = "format"
    WRITE = "write"
    TABLE = "table"


@dataclass(frozen=True)
class Progress:
    """How far a write is.

    :ivar percent: of the image's allocated data.
    :ivar bytes_per_second: on average since the stage began.
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


@dataclass(frozen=True)
class ImageInfo:
    """What an image says about itself.

    :ivar virtual_size: bytes of the disk that it describes.
    :ivar allocated: bytes of it that hold data, to a cluster of 64 KiB.
    """

    virtual_size: int
    allocated: int


ProgressCallback = Callable[[Progress], None]


def read_disk_size(target: IscsiTarget, *, timeout: float) -> int:
    """Return the size in bytes of the disk behind a target.

    :raises DiskError: it cannot be reached, refuses the login, offers no disk or an empty one.
    """
    size = qemu_img.read_target_size(target, timeout=timeout)
    if not size:
        raise DiskError(f"The disk of {target} has no size", hint="See the ramdisk's console.")
    return size


def inspect_image(image: Path, image_format: ImageFormat) -> ImageInfo:
    """Return an image's sizes after checking that it stands alone.

    :raises InvalidInput: it is empty, not of that format, encrypted, or reads other files: those
        would be the conductor's.
    """
    info = _read_info(image, image_format)
    size = int(info["virtual-size"])
    return ImageInfo(size, _read_allocated(image, image_format, size))


def read_root_uuid(image: Path, image_format: ImageFormat) -> str | None:
    """Return the UUID of the file system in an image, as ``root=UUID=`` of the kernel takes it.

    Only its first MiB is read.

    :return: ``None`` when there is none, or no telling which.
    :raises InvalidInput: the image is one that :func:`inspect_image` refuses.
    """
    _read_info(image, image_format)
    with tempfile.NamedTemporaryFile(prefix="ironic-ilo-head-") as head:
        qemu_img.inspect(
            ["qemu-img", "dd", "-f", image_format, "-O", "raw", "bs=1M",
             f"count={_FILE_SYSTEM_HEAD}", f"if={image.absolute()}", f"of={head.name}"], image,
        )  # fmt: skip
        result = execute.execute(
            ["blkid", "-p", "--usages", "filesystem", "--match-tag", "UUID", "-o", "value",
             head.name], timeout=_TOOL_TIMEOUT, limits=qemu_img.INSPECTION_LIMITS,
            ok_codes=(0, _BLKID_NOTHING, _BLKID_AMBIVALENT),
        )  # fmt: skip
    uuid = result.stdout.strip()
    return uuid if _UUID.fullmatch(uuid) else None


def write_deploy_image(
    target: IscsiTarget,
    layout: Layout,
    image: Path,
    image_format: ImageFormat,
    *,
    ephemeral_format: FileSystemType | None = None,
    preserve_ephemeral: bool = False,
    on_progress: ProgressCallback,
    timeout: float,
    stall_timeout: float,
) -> WriteReport:
    """Make a node's disk what a layout and an image say, whatever was on it.

    :param ephemeral_format: of the layout's ephemeral partition; ``None``: no file system.
    :param preserve_ephemeral: write neither to the ephemeral partition nor to the partition
        table, which must be the layout's already.
    :param on_progress: called at the begin of each stage and then at most every 2 s, in this
        thread; what it raises ends the write.
    :param timeout: seconds for all of it.
    :param stall_timeout: seconds that it may stand still.
    :raises InvalidInput: the image is not what it should be, or larger than the root partition;
        or the disk is partitioned otherwise than ``preserve_ephemeral`` needs it. Nothing has
        been written.
    :raises DiskError: the target cannot be reached or refuses, the disk fails, a deadline passes.
    """
    info = inspect_image(image, image_format)
    _check_image_fits(image, info, layout.root)
    write = _Write(target, info.allocated, on_progress, timeout, stall_timeout)
    if preserve_ephemeral:
        _require_same_layout(write, layout)
    wipe = partitions.wipe_extents(
        layout, info.virtual_size, preserve_ephemeral=preserve_ephemeral
    )
    if ephemeral_format is None or preserve_ephemeral:
        _wipe(write, layout, wipe)
    else:
        _wipe_and_format(write, layout, wipe, ephemeral_format)
    with write.stage(Stage.WRITE):
        qemu_img.convert(
            image, image_format, target, layout.root, on_percent=write.report,
            timeout=write.seconds_left(), stall_timeout=stall_timeout,
        )  # fmt: skip
    if not preserve_ephemeral:
        with write.stage(Stage.TABLE):
            _write_table(write, layout)
    return WriteReport(info.allocated, write.seconds)


def _read_info(image: Path, image_format: ImageFormat) -> dict[str, Any]:
    """Return what ``qemu-img info`` says about an image that is safe to read on."""
    info: dict[str, Any] = qemu_img.read_json("info", image, image_format)
    if "backing-filename" in info:
        raise InvalidInput(f"The image {image} has a backing file", hint=_FLATTEN)
    if "data-file" in info.get("format-specific", {}).get("data", {}):
        raise InvalidInput(f"The image {image} keeps its data in another file", hint=_FLATTEN)
    if info.get("encrypted"):
        raise InvalidInput(f"The image {image} is encrypted", hint=_FLATTEN)
    if not info["virtual-size"]:
        raise InvalidInput(f"The image {image} is empty")
    return info


def _check_image_fits(image: Path, info: ImageInfo, root: Partition) -> None:
    if info.virtual_size > root.size:
        raise InvalidInput(
            f"The image {image} needs {info.virtual_size} bytes, the root partition has "
            f"{root.size}",
            hint=f"Set root_gb to {_round_up(info.virtual_size, 1024**3) // 1024**3} or more.",
        )


def _read_allocated(image: Path, image_format: ImageFormat, virtual_size: int) -> int:
    """Return the bytes that hold data: all, less what a qcow2 copy of the image would save."""
    size = qemu_img.read_json("measure", image, image_format, "-O", "qcow2")
    return int(size["required"] - size["fully-allocated"]) + _round_up(virtual_size, _CLUSTER)


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
    def stage(self, stage: Stage) -> Iterator[None]:
        """Announce a stage, and keep how long it took."""
        self._stage, self._began = stage, time.monotonic()
        self._send(100.0 if stage is Stage.TABLE else 0.0)
        yield
        self.seconds[stage] = time.monotonic() - self._began

    def report(self, percent: float) -> None:
        """Pass progress on, unless that was done a moment ago."""
        if time.monotonic() - self._last_report >= _SECONDS_BETWEEN_PROGRESS:
            self._send(percent)

    def _send(self, percent: float) -> None:
        self._last_report = time.monotonic()
        done = round(self._bytes_total * percent / 100)
        elapsed = self._last_report - self._began
        rate = done / elapsed if self._stage is Stage.WRITE and elapsed > 0 else 0.0
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
    write: _Write, layout: Layout, wipe: Sequence[Extent], kind: FileSystemType
) -> None:
    ephemeral = layout.find(Role.EPHEMERAL)
    if ephemeral is None:
        raise InvalidInput("There is a format for an ephemeral partition, and the layout has none")
    made = file_systems.make_file_system(kind, ephemeral.size, label=partitions.EPHEMERAL_LABEL)
    with made as file_system:
        zeroed = [Extent(ephemeral.start + e.start, e.size) for e in file_system.written]
        _wipe(write, layout, partitions.merge_extents([*wipe, *zeroed]))
        with write.stage(Stage.FORMAT):
            qemu_img.write_sparse(
                file_system.descriptor, write.target, ephemeral,
                action="Writing the ephemeral file system",
                timeout=write.seconds_left(), stall_timeout=write.stall_timeout,
            )  # fmt: skip


def _wipe(write: _Write, layout: Layout, extents: Sequence[Extent]) -> None:
    """Zero parts of the disk, and make swap."""
    commands = [qemu_img.zero(extent) for extent in extents]
    with write.stage(Stage.WIPE), tempfile.TemporaryFile() as header:
        if swap := layout.find(Role.SWAP):
            _make_swap(header, swap.size)
            commands.append(qemu_img.copy(header.fileno(), Extent(swap.start, _SWAP_PAGE)))
        _write_extents(write, commands, header, "Wiping the disk")


def _make_swap(file: IO[bytes], size: int) -> None:
    """Let mkswap write its header into a sparse file of the partition's size."""
    file.truncate(size)
    execute.execute(
        ["mkswap", "--label", partitions.SWAP_LABEL, "--pagesize", str(_SWAP_PAGE),
         f"/dev/fd/{file.fileno()}"], timeout=_TOOL_TIMEOUT, pass_fds=[file.fileno()],
    )  # fmt: skip


def _write_table(write: _Write, layout: Layout) -> None:
    for start, content in _render_tables(layout).items():
        with tempfile.TemporaryFile() as table:
            table.write(content)
            table.flush()
            command = qemu_img.copy(table.fileno(), Extent(start, len(content)))
            _write_extents(write, [command], table, "Writing the partition table")


def _render_tables(layout: Layout) -> Mapping[int, bytes]:
    """Return what goes where, in this order."""
    if layout.label is Label.GPT:
        return gpt.render_tables(layout)
    signature = secrets.randbelow(2**32 - 1) + 1
    return {0: msdos.render_table(layout, disk_signature=signature)}


def _write_extents(write: _Write, commands: list[str], file: IO[bytes], action: str) -> None:
    qemu_img.write_extents(
        write.target, commands, pass_fds=[file.fileno()], action=action,
        timeout=write.seconds_left(), stall_timeout=write.stall_timeout,
    )  # fmt: skip


def _round_up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
