"""Reading back what was written to a node's disk, and comparing it with the image.

The way to the disk has no data digests (QEMU's iSCSI has none), so a bit that falls over on it,
or in a controller's cache, shows here or never.
"""

import re
from pathlib import Path

from ironic_ilo import qemu_img
from ironic_ilo.exception import DiskError
from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.partitions import Extent
from ironic_ilo.qemu_img import ImageFormat, PercentCallback

# QEMU's blkverify driver reads from both sides whatever is read from it, compares, and ends the
# program at the first difference. What the image does not hold is not read at all, so convert, to
# a disk that takes everything, visits just what it has written; so says its progress.
# 8 requests of 2 MiB in flight, each with a buffer for either side.
_CONVERT = ("qemu-img", "convert", "-p", "-n", "--target-is-zero", "-W", "-m", "8")
_MISMATCH = re.compile(r"blkverify: .*contents mismatch at offset (\d+)")
_HINT = (
    "Something between conductor and disk corrupts data: check the network's error counters, the "
    "controller's cache and the health log, and deploy again."
)


def compare(
    target: IscsiTarget,
    extent: Extent,
    image: Path,
    image_format: ImageFormat,
    *,
    part: Extent | None = None,
    on_percent: PercentCallback,
    timeout: float,
    stall_timeout: float,
) -> None:
    """Compare an image with the extent of a target's disk that it was written to.

    Only the image's allocated data is read, in one session, with at most 32 MiB of buffers.

    :param extent: begins where the image or its part does, and is at least of its size.
    :param part: of the image, that alone was written there; ``None``: all of it.
    :param on_percent: called with the share of the image's allocated data that is compared, in
        steps of about one; what it raises ends the comparison.
    :param timeout: seconds for all of it.
    :param stall_timeout: seconds that it may stand still.
    :raises DiskError: a byte differs (of several, any), or they cannot be read in time.
    """
    action = f"Reading {image.name} back"
    options = _render_options(target, extent, image, image_format, part)
    result = qemu_img.attempt(
        _CONVERT, options, target, action=action, timeout=timeout, stall_timeout=stall_timeout,
        on_output=qemu_img.PercentReader(on_percent).feed,
    )  # fmt: skip
    if match := _MISMATCH.search(result.stderr):
        offset = int(match[1])
        raise DiskError(
            f"The disk of {target} does not hold what was written: byte {extent.start + offset} "
            f"of the disk differs from byte {offset + (part.start if part else 0)} of "
            f"{image.name}",
            hint=_HINT,
        )
    if result.exit_code:
        raise qemu_img.failure(f"{action} of {target}", result)


def _render_options(
    target: IscsiTarget,
    extent: Extent,
    image: Path,
    image_format: ImageFormat,
    part: Extent | None,
) -> list[str]:
    size = part.size if part else _read_size(image, image_format)
    image_side = qemu_img.image_options(image, image_format, part)
    disk_side = qemu_img.disk_options(target, Extent(extent.start, size))
    both = {
        "driver": "blkverify",
        **qemu_img.nest_options(image_side, below="raw"),
        **qemu_img.nest_options(disk_side, below="test"),
    }
    nowhere = {"driver": "null-co", "size": str(size)}
    rendered = [qemu_img.render_options(side) for side in (both, nowhere)]
    return ["--image-opts", "--target-image-opts", *rendered]


def _read_size(image: Path, image_format: ImageFormat) -> int:
    return int(qemu_img.read_json("info", image, image_format)["virtual-size"])
