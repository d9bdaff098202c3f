"""The ways to write an image to a node's disk that are held side by side."""

import os
import secrets
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import sink
from bench.measure import measure
from bench.results import Sample
from bench.stores import Store, StoreKind
from bench.write_images import Image
from ironic_ilo import disk, partitions
from ironic_ilo.execute import execute
from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.partitions import MIB
from tests.tgt import LUN, Tgtd

ADDRESS = "127.0.24.90"
HISTORIC = "historic: raw, then dd"
CONVERT = "qemu-img convert"
AGENT = "as the agent writes"
_DEADLINE = 3600.0
_SECONDS_TO_LISTEN = 30.0
_INITIATOR = "iqn.2008-10.org.openstack:bench"


class Tool(ABC):
    """One way to write an image.

    :ivar name: as the table shows it.
    """

    name: str

    @abstractmethod
    def write(self, image: Image, store: Store, scratch: Path) -> Sample:
        """Write an image to a store that is ready for it, and tell what that cost.

        :param scratch: a directory for what it needs meanwhile.
        """


class Ours(Tool):
    """What a conductor runs: image inspected, ends wiped, image, partition table; with CHAP."""

    name = "ironic-ilo"

    def __init__(self, tgtd: Tgtd) -> None:
        self._tgtd = tgtd
        # tgtd keeps users as long as it runs, each with one secret.
        self._chap = (f"bench-{secrets.token_hex(4)}", secrets.token_hex(16))

    def write(self, image: Image, store: Store, scratch: Path) -> Sample:
        """See :class:`Tool`."""
        del scratch
        with self.offered(store) as target:
            return measure(
                lambda: write_as_conductor(target, store, image),
                portal=target.portal, until_stored=store.flush,
            )  # fmt: skip

    @contextmanager
    def offered(self, store: Store) -> Iterator[IscsiTarget]:
        """Offer a store as a deploy ramdisk offers its disk."""
        target = IscsiTarget(self._tgtd.portal, _new_iqn(), _INITIATOR, *self._chap, lun=LUN)
        self._tgtd.add_target(
            target.iqn, store.path, chap=self._chap, initiator_iqn=_INITIATOR,
            thin=store.kind is StoreKind.THIN,
        )  # fmt: skip
        try:
            yield target
        finally:
            self._tgtd.remove_target(target.iqn)


def write_as_conductor(target: IscsiTarget, store: Store, image: Image) -> None:
    """Do what the deploy step ``write_image`` does once the target is known."""
    size = disk.read_disk_size(target, timeout=_DEADLINE)
    layout = partitions.plan_layout(disk_size=size, root_mib=image.size // MIB)
    disk.write_deploy_image(
        target, layout, image.path, image.image_format, on_progress=lambda _progress: None,
        timeout=_DEADLINE, stall_timeout=_DEADLINE,
    )  # fmt: skip
    assert size == store.size


class _QemuTool(Tool):
    """A tool of QEMU that writes to a target which asks nobody for a secret."""

    def __init__(self, tgtd: Tgtd) -> None:
        self._tgtd = tgtd

    def write(self, image: Image, store: Store, scratch: Path) -> Sample:
        """See :class:`Tool`."""
        iqn = _new_iqn()
        self._tgtd.add_target(iqn, store.path, thin=store.kind is StoreKind.THIN)
        url = f"iscsi://{self._tgtd.portal}/{iqn}/{LUN}"
        try:
            return measure(
                lambda: self.run(image, url, scratch),
                portal=self._tgtd.portal, until_stored=store.flush,
            )  # fmt: skip
        finally:
            self._tgtd.remove_target(iqn)

    @abstractmethod
    def run(self, image: Image, url: str, scratch: Path) -> None:
        """Write an image to an iSCSI URL."""


class Historic(_QemuTool):
    """The drivers of 2014 to 2021: a raw image on the conductor's disk, then all of it by dd.

    They ran dd(1) on a disk of the kernel's initiator, as root; here qemu-img's dd stands for it.
    """

    name = HISTORIC

    def run(self, image: Image, url: str, scratch: Path) -> None:
        """See :class:`_QemuTool`."""
        raw = image.path
        if image.image_format != "raw":
            raw = scratch / "historic.raw"
            _qemu_img("convert", "-f", image.image_format, "-O", "raw", image.path, raw)
        _qemu_img("dd", "-f", "raw", "-O", "raw", "bs=1M", f"if={raw}", f"of={url}")
        if raw != image.path:
            raw.unlink()


class Convert(_QemuTool):
    """qemu-img convert with some options."""

    def __init__(self, tgtd: Tgtd, name: str, *options: str) -> None:
        super().__init__(tgtd)
        self.name = name
        self._options = options

    def run(self, image: Image, url: str, scratch: Path) -> None:
        """See :class:`_QemuTool`."""
        del scratch
        source = ["-f", image.image_format, "-O", "raw"]
        _qemu_img("convert", "-n", *self._options, *source, image.path, url)


class Limit(Tool):
    """The image's data through one TCP connection into the same store, and no more than that."""

    name = "limit: one TCP connection"

    def write(self, image: Image, store: Store, scratch: Path) -> Sample:
        """See :class:`Tool`."""
        del scratch
        with _running_sink(store.path) as port:
            return measure(
                lambda: _send(image, port), portal=f"{ADDRESS}:{port}", until_stored=store.flush
            )


def all_tools(tgtd: Tgtd) -> list[Tool]:
    """Make the tools, ours first."""
    # ironic-python-agent, qemu_img.convert_image: these options, onto the node's own disk.
    agent = ("-t", "directsync", "-S", "0", "-W")
    return [
        Ours(tgtd),
        Historic(tgtd),
        Convert(tgtd, CONVERT),
        Convert(tgtd, AGENT, *agent),
        Limit(),
    ]


@contextmanager
def _running_sink(store: Path) -> Iterator[int]:
    command = [sys.executable, "-P", sink.__file__, ADDRESS, str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _send(image: Image, port: int) -> None:
    with (
        image.path.open("rb") as file,
        socket.create_connection((ADDRESS, port), _SECONDS_TO_LISTEN) as connection,
    ):
        connection.settimeout(_DEADLINE)
        for extent, offset in image.data:
            connection.sendall(sink.HEADER.pack(extent.start, extent.size))
            connection.sendfile(file, offset, extent.size)
        connection.shutdown(socket.SHUT_WR)
        if not connection.recv(1):
            raise ConnectionError("The limit's sink has gone")


def _new_iqn() -> str:
    return f"iqn.2008-10.org.openstack:{secrets.token_hex(8)}"


def _qemu_img(*arguments: str | os.PathLike[str]) -> None:
    execute(["qemu-img", *arguments], timeout=_DEADLINE)
