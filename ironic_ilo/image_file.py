"""What an image file on the conductor holds. Images are hostile: nothing is mounted or probed for
its format, and QEMU and blkid read them under limits. What is cut out of them is in files without
names: of a config drive it is secret, and a conductor that is killed must not leave it behind.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironic_ilo import execute, qemu_img
from ironic_ilo.exception import InvalidInput
from ironic_ilo.partitions import MIB, Extent
from ironic_ilo.qemu_img import ImageFormat

_TOOL_TIMEOUT = 60.0
_FLATTEN = "Make a plain one of it with `qemu-img convert -O qcow2`."
_QEMU_UNIT = 512  # QEMU rounds the size of a disk up to it
_CLUSTER = 64 * 1024  # of a qcow2 image as qemu-img makes it
_UUID = re.compile(r"[0-9A-Fa-f-]{4,36}")
_BLKID_NOTHING, _BLKID_AMBIVALENT = 2, 8
_MAX_PROBED = 1024**4  # bytes; what any file system of the conductor's can have as a hole


@dataclass(frozen=True)
class ImageInfo:
    """What an image says about itself.

    :ivar virtual_size: bytes of the disk that it describes.
    :ivar allocated: bytes of it that hold data, to a cluster of 64 KiB.
    """

    virtual_size: int
    allocated: int


def inspect_image(image: Path, image_format: ImageFormat) -> ImageInfo:
    """Return an image's sizes after checking that it stands alone.

    :raises InvalidInput: it is empty, not of that format, encrypted, or reads other files: those
        would be the conductor's.
    """
    size = _read_virtual_size(image, image_format)
    return ImageInfo(size, _read_allocated(image, image_format, size))


def read_part(image: Path, image_format: ImageFormat, part: Extent) -> bytes:
    """Return what a part of an image holds; beyond its end there is nothing.

    :raises InvalidInput: the image is one that :func:`inspect_image` refuses.
    """
    end = min(-(-part.end // _QEMU_UNIT) * _QEMU_UNIT, _read_virtual_size(image, image_format))
    if end <= part.start:
        return b""
    options = qemu_img.image_options(image, image_format, Extent(part.start, end - part.start))
    with tempfile.TemporaryFile() as content:
        content.truncate(end - part.start)
        qemu_img.inspect(
            ["qemu-img", "convert", "-n", "-O", "raw", "--image-opts",
             qemu_img.render_options(options), f"/dev/fd/{content.fileno()}"], image,
            pass_fds=[content.fileno()],
        )  # fmt: skip
        return content.read(part.size)


def read_root_uuid(image: Path, image_format: ImageFormat) -> str | None:
    """Return the UUID of the file system in an image, as ``root=UUID=`` of the kernel takes it.

    Only its first MiB is read.

    :return: ``None`` when there is none, or no telling which.
    :raises InvalidInput: the image is one that :func:`inspect_image` refuses.
    """
    uuid = _probe(image, image_format, Extent(0, MIB), "UUID")
    return uuid if _UUID.fullmatch(uuid) else None


def read_file_system_label(image: Path, image_format: ImageFormat, part: Extent) -> str:
    """Return the label of the file system in a part of an image; empty: it has none.

    Only its first MiB is read.

    :raises InvalidInput: the image is one that :func:`inspect_image` refuses.
    """
    return _probe(image, image_format, part, "LABEL")


def _probe(image: Path, image_format: ImageFormat, part: Extent, tag: str) -> str:
    """Let blkid look for a file system."""
    head = read_part(image, image_format, Extent(part.start, min(part.size, MIB)))
    with tempfile.TemporaryFile() as file:
        file.write(head)
        # blkid compares some file systems' sizes with that of where they are.
        file.truncate(min(part.size, _MAX_PROBED))
        result = execute.execute(
            ["blkid", "-p", "--usages", "filesystem", "--match-tag", tag, "-o", "value",
             f"/dev/fd/{file.fileno()}"], timeout=_TOOL_TIMEOUT, pass_fds=[file.fileno()],
            limits=qemu_img.INSPECTION_LIMITS, ok_codes=(0, _BLKID_NOTHING, _BLKID_AMBIVALENT),
        )  # fmt: skip
    return result.stdout.strip()


def _read_virtual_size(image: Path, image_format: ImageFormat) -> int:
    """Return the size of an image that is safe to read on."""
    info: dict[str, Any] = qemu_img.read_json("info", image, image_format)
    if "backing-filename" in info:
        raise InvalidInput(f"The image {image} has a backing file", hint=_FLATTEN)
    if "data-file" in info.get("format-specific", {}).get("data", {}):
        raise InvalidInput(f"The image {image} keeps its data in another file", hint=_FLATTEN)
    if info.get("encrypted"):
        raise InvalidInput(f"The image {image} is encrypted", hint=_FLATTEN)
    if not info["virtual-size"]:
        raise InvalidInput(f"The image {image} is empty")
    return int(info["virtual-size"])


def _read_allocated(image: Path, image_format: ImageFormat, virtual_size: int) -> int:
    """Return the bytes that hold data: all, less what a qcow2 copy of the image would save."""
    size = qemu_img.read_json("measure", image, image_format, "-O", "qcow2")
    whole = -(-virtual_size // _CLUSTER) * _CLUSTER
    return int(size["required"] - size["fully-allocated"]) + whole
