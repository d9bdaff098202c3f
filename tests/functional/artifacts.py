"""Something to deploy: a small file system, and noise for what is only copied."""

import secrets
import subprocess
from pathlib import Path

from tests.functional.cloud import Artifacts

MIB = 1024 * 1024


def make_artifacts(directory: Path, *, content_mib: int = 8) -> Artifacts:
    """Make the files in an empty directory.

    :param content_mib: how much the file system holds.
    """
    tree = directory / "tree"
    tree.mkdir()
    (tree / "content").write_bytes(secrets.token_bytes(content_mib * MIB))
    raw, image = directory / "root.raw", directory / "root.qcow2"
    with raw.open("wb") as file:
        file.truncate(64 * MIB)
    for command in (
        ["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(raw)],
        ["qemu-img", "convert", "-O", "qcow2", str(raw), str(image)],
    ):
        subprocess.run(command, check=True, timeout=120)
    for name, size in (("kernel", 1), ("ramdisk", 2), ("deploy.iso", 3)):
        (directory / name).write_bytes(secrets.token_bytes(size * MIB))
    return Artifacts(
        directory,
        image,
        raw,
        directory / "kernel",
        directory / "ramdisk",
        directory / "deploy.iso",
    )
