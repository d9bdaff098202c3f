"""What the lab deploys: a partition image with the kernel and ramdisk that boot it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ironic_ilo.execute import execute

_SECONDS_TO_MAKE = 600.0


@dataclass(frozen=True)
class InstanceImage:
    """A root file system, and what boots it; files beside each other in one directory.

    :ivar root: qcow2, holding one ext4 file system.
    :ivar login_prompt: what its serial console says when it is up.
    :ivar root_gib: room that it needs on a disk.
    """

    directory: Path
    login_prompt: str
    root_gib: int

    @property
    def root(self) -> Path:
        return self.directory / "root.qcow2"

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def ramdisk(self) -> Path:
        return self.directory / "initrd.img"

    def checksum(self) -> str:
        """Compute the SHA-256 of the root file system's image."""
        with self.root.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def make_root_image(tree: Path, image: Path, *, label: str, mib: int, fill: str) -> None:
    """Make a qcow2 image of an ext4 file system.

    No root and no mounts: under fakeroot, all files belong to whom they should.

    :param tree: directory, made here, that stands for ``/`` of the file system.
    :param mib: size of the file system.
    :param fill: shell commands that fill the tree, run in it.
    """
    raw = image.with_suffix(".ext4")
    tree.mkdir()
    # Blocks of 4096 bytes fit disks with sectors of either size; small ones are mke2fs's choice
    # for small file systems.
    make = 'mke2fs -q -t ext4 -b 4096 -L "$3" -d . "$2" "$4"'
    script = f'set -e; cd "$1"; {fill}; {make}'
    execute(
        ["fakeroot", "sh", "-c", script, "make-root-image", tree, raw, label, f"{mib}M"],
        timeout=_SECONDS_TO_MAKE,
    )
    execute(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image], timeout=_SECONDS_TO_MAKE
    )
    raw.unlink()
