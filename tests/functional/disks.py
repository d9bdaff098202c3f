"""Disks behind a real iSCSI target, images to write on them, and Linux's view of the result."""

import json
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.partitions import MIB, Extent, Partition
from tests.tgt import Tgtd

SECRET = "c4nary-0123456789abcdef"
# Several times what anything takes here: CI's cores are shared.
SOON = 60.0
SOURCE = random.Random(2).randbytes(4 * MIB)
_USER = "deploy-1"
TOOLS_PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


@dataclass
class Node:
    """A disk behind a target.

    :ivar path: the target's backing file.
    """

    path: Path
    target: IscsiTarget


@contextmanager
def offered(tgtd: Tgtd, path: Path, **options: object) -> Iterator[Node]:
    """Offer a file as a node's disk."""
    target = IscsiTarget(
        portal=tgtd.portal,
        iqn=f"iqn.2008-10.org.openstack:{random.randbytes(8).hex()}",
        initiator_iqn="iqn.2008-10.org.openstack:conductor-1",
        chap_username=_USER,
        chap_secret=SECRET,
    )
    tgtd.add_target(
        target.iqn, path, chap=(_USER, SECRET), initiator_iqn=target.initiator_iqn, **options
    )
    try:
        yield Node(path, target)
    finally:
        tgtd.remove_target(target.iqn)


def find_free_port(address: str) -> int:
    """Find a TCP port that nobody listens on."""
    with socket.create_server((address, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def make_image(path: Path, size: int) -> bytes:
    """Make a raw image of random data, holes, and data that is zero; return its bytes."""
    with path.open("wb") as file:
        file.truncate(size)
        for start in range(3 * MIB // 2, size, 7 * MIB):
            file.seek(start)
            file.write(SOURCE[: min(len(SOURCE), size - start)])
        file.seek(13 * MIB // 2)
        file.write(bytes(MIB))
        file.truncate(size)
    return path.read_bytes()


def run_tool(program: str, *arguments: str | Path, input: str = "") -> str:  # noqa: A002
    """Run a program that must succeed and find nothing corrupt, and return its output."""
    done = subprocess.run(
        [shutil.which(program, path=TOOLS_PATH), *arguments],
        check=True, capture_output=True, text=True, timeout=SOON, input=input,
    )  # fmt: skip
    assert "corrupt" not in done.stderr, done.stderr
    return done.stdout


def probe(path: Path, part: Partition) -> dict[str, str]:
    """Tell what blkid finds in a partition."""
    lines = run_tool(
        "blkid", "-p", "-O", str(part.start), "-S", str(part.size), "-s", "TYPE", "-s", "LABEL",
        "-o", "export", path,
    ).splitlines()  # fmt: skip
    return dict(line.split("=", 1) for line in lines if not line.startswith("DEVNAME="))


def find_signatures(path: Path) -> list[str]:
    """Name what wipefs finds on a disk."""
    found = json.loads(run_tool("wipefs", "--json", "--no-act", path))["signatures"]
    return [signature["type"] for signature in found]


def make_partitioned_image(
    path: Path, size: int, table: str, *, sector_size: int = 512, sizes: tuple[str, ...] = ("8M",)
) -> Path:
    """Make a raw image of a whole disk: random data, holes, and a partition table.

    :param table: ``gpt`` or ``dos``.
    :param sizes: of the partitions before the last, which takes the rest.
    """
    make_image(path, size)
    with path.open("r+b") as file:
        file.write(bytes(MIB))
    number = "n\np\n{}\n\n{}\n" if table == "dos" else "n\n{}\n\n{}\n"
    ends = [*(f"+{size}" for size in sizes), ""]
    answers = "".join(number.format(n, end) for n, end in enumerate(ends, 1))
    start = "o" if table == "dos" else "g"
    run_tool("fdisk", "-w", "never", "-b", str(sector_size), path,
             input=f"{start}\n{answers}w\n")  # fmt: skip
    return path


def read_partitions(path: Path, *, sector_size: int = 512) -> list[Extent]:
    """Tell where fdisk finds the partitions of a disk, and that it finds nothing wrong."""
    done = run_tool("fdisk", "-b", str(sector_size), "-l", "-o", "Start,Sectors", path)
    _head, _blank, table = done.rpartition("\n\n")
    rows = [line.split() for line in table.splitlines()[1:]]
    return [Extent(int(start) * sector_size, int(size) * sector_size) for start, size in rows]
