"""What lies behind the iSCSI target: files, thin or thick, on one disk of this machine."""

import os
import random
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ironic_ilo.exception import InvalidInput

MIB = 1024 * 1024
_BLOCK = 512  # the unit of st_blocks, stat(3)
_PIECE = random.Random(1).randbytes(4 * MIB)
# What else runs here must not find the disk full.
_SPARE_BYTES = 2 * 1024 * MIB


class StoreKind(StrEnum):
    """How a store begins.

    A thin one is all holes, and takes UNMAP. A thick one is allocated, full of garbage, and
    takes none.
    """

    THIN = "thin"
    THICK = "thick"


@dataclass(frozen=True)
class Store:
    """The file behind one disk of a node."""

    path: Path
    size: int
    kind: StoreKind

    def prepare(self) -> None:
        """Make it what it is to be before a write, with nothing left to be written back."""
        if self.kind is StoreKind.THIN:
            self.path.write_bytes(b"")
            os.truncate(self.path, self.size)
        elif self._allocated() < self.size:
            self._fill()
        self.flush()

    def flush(self) -> None:
        """Wait until all that was written to it is on the disk below."""
        descriptor = os.open(self.path, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _allocated(self) -> int:
        return self.path.stat().st_blocks * _BLOCK if self.path.exists() else 0

    def _fill(self) -> None:
        with self.path.open("wb") as file:
            while file.tell() < self.size:
                file.write(_PIECE[: self.size - file.tell()])


def require_space(directory: Path, needed: int, what: str) -> None:
    """Check that a disk has room.

    :param needed: bytes.
    :raises InvalidInput: it has not.
    """
    free = shutil.disk_usage(directory).free
    if free < needed + _SPARE_BYTES:
        raise InvalidInput(
            f"{what} needs {needed // MIB} MiB in {directory}, and {_SPARE_BYTES // MIB} MiB to "
            f"spare; {free // MIB} MiB are free",
            hint="Make room, choose another disk with --dir, or measure less with --only or "
            "--quick.",
        )
