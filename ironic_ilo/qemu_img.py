"""QEMU's disk tools on local images and on iSCSI disks: how to call them, and when to end them.

``qemu-img`` and ``qemu-io`` carry their own iSCSI initiator, so nothing here needs root or the
kernel's. Each call logs in once. The format of an image is always given: a raw image that is
probed can claim to be anything.
"""

import json
import math
import os
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from ironic_ilo import execute
from ironic_ilo.exception import DiskError, InvalidInput, ProcessError
from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.partitions import Extent
from ironic_ilo.stall import Stalled, StallGuard

ImageFormat = Literal["raw", "qcow2"]
PercentCallback = Callable[[float], None]
# Of QEMU's block layer, by name; a dot leads to a node below.
Options = dict[str, str]

# Images are hostile until proven otherwise. These suffice for any that is not: QEMU keeps a few
# MiB of metadata, and visits each cluster's entry once.
INSPECTION_LIMITS = execute.Limits(address_space=1024**3, cpu_seconds=60)
INSPECTION_TIMEOUT = 120.0
_WRITE_ADDRESS_SPACE = 2 * 1024**3
# Without it, each of QEMU's worker threads may take an arena of 64 MiB of address space.
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "3"}
# 8 requests of 2 MiB in flight, in any order: twice as fast as in order, and as fast as 16, for
# 16 MiB of buffers. The zeros between are WRITE SAME, with UNMAP where the target can.
_PARALLEL = ("-W", "-m", "8")
# For qcow2's tables, where QEMU's own would grow with the image, to 32 MiB. A table describes
# 512 MiB, and is read once.
_TABLE_CACHE = "2M"
_SECRET_ID = "chap"  # noqa: S105 - its name, not its value

_UNREACHABLE = (
    "Check the node's network and console, firewalls between conductor and node, and "
    "driver_info['iscsi_portal'] when the node is behind NAT."
)
_REFUSED = "The node runs an earlier ramdisk, or another one than this deployment's: reset it."
_NO_DISK = "The target offers no disk under this number: see the ramdisk's console."
_NO_NAME = "Give the portal as an address, or mend the name service."
_DAMAGED = "The image is damaged: check it with `qemu-img check`."
_DISK_FAILS = "The disk, or the way to it, fails: see the ramdisk's console and the health log."
# What QEMU and libiscsi print, and what to do about it.
_HINTS = {
    r"Authentication failure|Authorization failure|Target not found": _REFUSED,
    r"LOGICAL_UNIT_NOT_SUPPORTED": _NO_DISK,
    r"Can not reconnect|Failed to connect to iSCSI socket": _UNREACHABLE,
    r"Can not resolv": _NO_NAME,
    r"error while reading": _DAMAGED,
    r"WRITE_PROTECT|MEDIUM_ERROR|HARDWARE_ERROR|Input/output|while writing|write failed": (
        _DISK_FAILS
    ),
}
_OPEN_PREFIX = re.compile(r"^qemu-(?:img|io): (?:can't open: |Could not open '[^']*': )?")
_PERCENT = re.compile(r"\((\d+\.\d+)/100%\)")


def read_json(command: str, image: Path, image_format: ImageFormat, *options: str) -> Any:
    """Return what ``qemu-img <command> --output=json`` says about a local image.

    :raises InvalidInput: it is no readable image of that format.
    """
    argv = ["qemu-img", command, "--output=json", "-f", image_format, *options]
    return json.loads(inspect([*argv, os.fspath(image.absolute())], image))


def inspect(argv: Sequence[str], image: Path, *, pass_fds: Sequence[int] = ()) -> str:
    """Run a program on a local image that nobody trusts, and return its output.

    :param pass_fds: descriptors that it inherits.
    :raises InvalidInput: the program failed, or needed more than such work needs.
    """
    try:
        result = execute.execute(
            argv, timeout=INSPECTION_TIMEOUT, ok_codes=(0, 1), limits=INSPECTION_LIMITS,
            env=_ENVIRONMENT, pass_fds=pass_fds,
        )  # fmt: skip
    except ProcessError as error:
        raise InvalidInput(f"The image {image} cannot be read: {error}") from error
    if result.exit_code:
        raise InvalidInput(
            f"The image {image} cannot be read: {_reason(result)}",
            hint="Check the file, and that its disk_format is the right one.",
        )
    return result.stdout


def read_target_size(target: IscsiTarget, *, timeout: float) -> int:
    """Return the size of a target's disk in bytes.

    :raises DiskError: it cannot be reached or refuses, in ``timeout`` seconds.
    """
    options = ["--output=json", "--image-opts", _disk(target)]
    result = _run(
        ["qemu-img", "info"], options, target, action="Reading the disk's size", timeout=timeout
    )
    return int(json.loads(result.stdout)["virtual-size"])


def write_extents(
    target: IscsiTarget,
    commands: Sequence[str],
    *,
    pass_fds: Sequence[int] = (),
    action: str,
    timeout: float,
    stall_timeout: float,
) -> None:
    """Run commands of ``qemu-io`` on a target's disk, then flush it.

    All of them run, in order, even when one fails: order what depends on success by calls.

    :param commands: see :func:`zero` and :func:`copy`.
    :param pass_fds: descriptors that they name.
    :raises DiskError: one of them failed, or ran out of time.
    """
    options = [word for command in (*commands, "flush") for word in ("-c", command)]
    options += ["--image-opts", _disk(target)]
    _run(
        ["qemu-io"], options, target, action=action, timeout=timeout, stall_timeout=stall_timeout,
        pass_fds=pass_fds,
    )  # fmt: skip


def zero(extent: Extent) -> str:
    """Return the ``qemu-io`` command that zeroes an extent (WRITE SAME where the target can)."""
    return f"write -q -z {extent.start} {extent.size}"


def copy(descriptor: int, extent: Extent) -> str:
    """Return the ``qemu-io`` command that fills an extent from a file's beginning."""
    return f"write -q -s /dev/fd/{descriptor} {extent.start} {extent.size}"


def convert(
    image: Path,
    image_format: ImageFormat,
    target: IscsiTarget,
    extent: Extent,
    *,
    part: Extent | None = None,
    on_percent: PercentCallback,
    timeout: float,
    stall_timeout: float,
) -> None:
    """Write an image into an extent of a target's disk, zeros where it has none, and flush.

    Never ``--target-is-zero``: the disk held something else before. Cache mode writeback, since
    the default, unsafe, would leave out the SYNCHRONIZE CACHE at the end.

    :param part: of the image, that alone is written; ``None``: all of it.
    :param on_percent: called with the share of the image's allocated data that is written, in
        steps of about one; what it raises ends the write.
    :raises DiskError: reading, writing or flushing failed, or ran out of time.
    """
    options = ["-p", "-n", *_PARALLEL, "-t", "writeback", "--image-opts", "--target-image-opts"]
    options += [render_options(image_options(image, image_format, part)), _disk(target, extent)]
    _run(
        ["qemu-img", "convert"], options, target, action=f"Writing {image.name} to the disk",
        timeout=timeout, stall_timeout=stall_timeout, on_output=PercentReader(on_percent).feed,
    )  # fmt: skip


def write_sparse(
    descriptor: int,
    target: IscsiTarget,
    extent: Extent,
    *,
    action: str,
    timeout: float,
    stall_timeout: float,
) -> None:
    """Write the data of an open sparse file into an extent of a target's disk, and flush.

    Neither its holes nor its zeros are written: wherever the extent must read as zeros, it has to
    do so already.

    :raises DiskError: writing or flushing failed, or ran out of time.
    """
    options = ["-n", "--target-is-zero", *_PARALLEL, "-t", "writeback", "-f", "raw"]
    options += ["--target-image-opts", f"/dev/fd/{descriptor}", _disk(target, extent)]
    _run(
        ["qemu-img", "convert"], options, target, action=action, timeout=timeout,
        stall_timeout=stall_timeout, pass_fds=[descriptor],
    )  # fmt: skip


def read_extent(target: IscsiTarget, extent: Extent, *, timeout: float) -> bytes:
    """Return what an extent of a target's disk holds.

    :raises DiskError: it cannot be read in ``timeout`` seconds.
    """
    with tempfile.TemporaryFile() as content:
        content.truncate(extent.size)
        options = ["-n", "-O", "raw", "--image-opts", _disk(target, extent)]
        _run(
            ["qemu-img", "convert"], [*options, f"/dev/fd/{content.fileno()}"], target,
            action="Reading the partition table", timeout=timeout, pass_fds=[content.fileno()],
        )  # fmt: skip
        return content.read()


def _disk(target: IscsiTarget, extent: Extent | None = None) -> str:
    return render_options(disk_options(target, extent))


def disk_options(target: IscsiTarget, extent: Extent | None = None) -> Options:
    """Return what QEMU needs to know to open a target's disk or an extent of it.

    The header digest guards what TCP's checksum may miss, where the target has it: LIO does, tgt
    answers that it has none, and QEMU goes on without. QEMU has no data digest at all.
    """
    disk = {
        "driver": "iscsi",
        "transport": "tcp",
        "portal": target.portal,
        "target": target.iqn,
        "lun": str(target.lun),
        "initiator-name": target.initiator_iqn,
        "user": target.chap_username,
        "password-secret": _SECRET_ID,
        "header-digest": "crc32c",
    }
    return disk if extent is None else _cut(disk, extent)


def image_options(image: Path, image_format: ImageFormat, part: Extent | None = None) -> Options:
    """Return what QEMU needs to know to read a local image or a part of it."""
    file = {"driver": "file", "filename": os.fspath(image.absolute())}
    cache = {"cache-size": _TABLE_CACHE} if image_format == "qcow2" else {}
    top = {"driver": image_format, "read-only": "on"}
    whole = top | cache | nest_options(file, below="file")
    return whole if part is None else _cut(whole, part) | {"read-only": "on"}


def _cut(options: Options, extent: Extent) -> Options:
    part = {"driver": "raw", "offset": str(extent.start), "size": str(extent.size)}
    return part | nest_options(options, below="file")


def nest_options(options: Options, *, below: str) -> Options:
    """Return options as those of a node below another one."""
    return {f"{below}.{name}": value for name, value in options.items()}


def render_options(options: Options) -> str:
    """Return options as ``--image-opts`` takes them; a comma is doubled, so no value adds one."""
    return ",".join(f"{name}={value.replace(',', ',,')}" for name, value in options.items())


def _run(
    program: Sequence[str],
    options: Sequence[str],
    target: IscsiTarget,
    *,
    action: str,
    timeout: float,
    stall_timeout: float = math.inf,
    pass_fds: Sequence[int] = (),
    on_output: execute.OutputCallback = lambda _text: None,
) -> execute.Result:
    """Run a tool on a target.

    :raises DiskError: it failed, or ran out of time.
    """
    result = attempt(
        program, options, target, action=action, timeout=timeout, stall_timeout=stall_timeout,
        pass_fds=pass_fds, on_output=on_output,
    )  # fmt: skip
    if result.exit_code:
        raise failure(f"{action} of {target}", result)
    return result


def attempt(
    program: Sequence[str],
    options: Sequence[str],
    target: IscsiTarget,
    *,
    action: str,
    timeout: float,
    stall_timeout: float = math.inf,
    pass_fds: Sequence[int] = (),
    on_output: execute.OutputCallback = lambda _text: None,
) -> execute.Result:
    """Run a tool on a target to its end, whatever comes of it (exit codes 0 and 1).

    It reads the CHAP secret from a pipe, so it stands in no argv.

    :raises DiskError: it ran out of time, or died.
    """
    began = time.monotonic()
    with execute.secret_descriptor(target.chap_secret) as secret:
        credentials = ["--object", f"secret,id={_SECRET_ID},file=/dev/fd/{secret}"]
        try:
            return execute.execute(
                [*program, *credentials, *options], timeout=timeout, ok_codes=(0, 1),
                pass_fds=(secret, *pass_fds), env=_ENVIRONMENT, on_output=on_output,
                on_tick=StallGuard(program[0], stall_timeout),
                limits=execute.Limits(_WRITE_ADDRESS_SPACE, math.ceil(timeout)),
            )  # fmt: skip
        except ProcessError as error:
            late = time.monotonic() - began >= timeout
            raise _ended(f"{action} of {target}", error, timeout if late else None) from error


def _ended(what: str, error: ProcessError, timeout: float | None) -> DiskError:
    """Return the error for a tool that did not end by itself."""
    if isinstance(error, Stalled):
        return DiskError(f"{what} stopped: {error.message}", hint=_UNREACHABLE)
    if timeout is not None:
        return DiskError(f"{what} was not done within {timeout:g} s", hint=_UNREACHABLE)
    return DiskError(f"{what} failed: {error.message}", hint=error.hint)


def failure(what: str, result: execute.Result) -> DiskError:
    """Return the error for a tool that says that it failed, and what to do about it."""
    reason = _reason(result)
    hint = next((hint for pattern, hint in _HINTS.items() if re.search(pattern, reason)), "")
    return DiskError(f"{what} failed: {reason}", hint=hint)


def _reason(result: execute.Result) -> str:
    """Return the last thing a tool said, without the options that it could not open.

    qemu-io reports failures on its standard output, among other things.
    """
    said = result.stderr.strip().splitlines()
    said += [line for line in result.stdout.splitlines() if "failed" in line]
    return _OPEN_PREFIX.sub("", said[-1]) if said else "it printed nothing"


class PercentReader:
    """Reads the progress that ``qemu-img -p`` prints, in whatever pieces it comes."""

    def __init__(self, on_percent: PercentCallback) -> None:
        self._on_percent = on_percent
        self._rest = ""

    def feed(self, text: str) -> None:
        """Take what it printed, and call back with the last percentage in it."""
        *whole, self._rest = (self._rest + text).split("\r")
        for match in filter(None, map(_PERCENT.search, whole[-1:])):
            self._on_percent(float(match[1]))
