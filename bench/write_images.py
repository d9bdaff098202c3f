"""The images that are written: like those that operators have, of noise and of holes."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.stores import MIB
from ironic_ilo.execute import execute
from ironic_ilo.partitions import Extent

ImageFormat = Literal["raw", "qcow2"]

# Of the runs of data, as files of an operating system leave them.
_RUN_SIZES = tuple(kib * 1024 for kib in (64, 256, 1024, 4096, 16384))
_SECONDS_TO_MAKE = 600.0


@dataclass(frozen=True)
class Image:
    """An image in a file.

    :ivar size: bytes of the disk that it describes.
    :ivar data: where the file holds what: extents of the disk, and their offsets in the file.
    """

    path: Path
    image_format: ImageFormat
    size: int
    data: tuple[tuple[Extent, int], ...]

    @property
    def allocated(self) -> int:
        """Bytes of the disk that hold data."""
        return sum(extent.size for extent, _offset in self.data)

    def warm(self) -> None:
        """Read it, so that no tool waits for this machine's disk where others did not."""
        with self.path.open("rb") as file:
            while file.read(4 * MIB):
                pass


def make_sparse(path: Path, *, size: int, data: int) -> Image:
    """Make a qcow2 image with data here and there.

    :param size: bytes of its disk.
    :param data: bytes of them that hold data, about.
    """
    raw = path.with_suffix(".raw")
    chance = random.Random(4)
    noise = chance.randbytes(_RUN_SIZES[-1])
    with raw.open("wb") as file:
        file.truncate(size)
        while file.tell() < size:
            run = chance.choice(_RUN_SIZES)
            file.write(noise[: min(run, size - file.tell())])
            file.seek(round(run * (size / data - 1) / 65536) * 65536, 1)
        file.truncate(size)
    execute(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path],
            timeout=_SECONDS_TO_MAKE)  # fmt: skip
    raw.unlink()
    return _mapped(path, "qcow2", size)


def make_dense(path: Path, *, size: int) -> Image:
    """Make a raw image that is all data."""
    piece = random.Random(5).randbytes(4 * MIB)
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(piece[: size - file.tell()])
    return _mapped(path, "raw", size)


def _mapped(path: Path, image_format: ImageFormat, size: int) -> Image:
    # The result would keep only the end of a long output.
    printed: list[str] = []
    execute(
        ["qemu-img", "map", "--output=json", "-f", image_format, path], timeout=_SECONDS_TO_MAKE,
        on_output=printed.append,
    )  # fmt: skip
    entries = json.loads("".join(printed))
    data = tuple(
        (Extent(entry["start"], entry["length"]), entry["offset"])
        for entry in entries
        if entry["data"] and not entry["zero"]
    )
    return Image(path, image_format, size, data)
