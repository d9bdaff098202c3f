"""The ways to write an image to a node's disk that are held side by side."""

import os
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench import sink
from bench.measure import measure
from bench.offers import TGT_ADDRESS, Offer
from bench.results import Sample
from bench.stores import Store
from bench.write_images import Image
from ironic_ilo import disk, partitions
from ironic_ilo.execute import execute
from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.partitions import MIB

HISTORIC = "historic: raw, then dd"
CONVERT = "qemu-img convert"
AGENT = "as the agent writes"
_DEADLINE = 3600.0
_SECONDS_TO_LISTEN = 30.0


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
    """What a conductor runs: image inspected, ends wiped, image, partition table."""

    name = "ironic-ilo"

    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    def write(self, image: Image, store: Store, scratch: Path) -> Sample:
        """See :class:`Tool`."""
        del scratch
        with self._offer.offered(store) as target:
            return measure(
                lambda: write_as_conductor(target, store, image),
                portal=target.portal, until_stored=store.flush,
            )  # fmt: skip


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
    """A tool of QEMU."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    def write(self, image: Image, store: Store, scratch: Path) -> Sample:
        """See :class:`Tool`."""
        with self._offer.offered(store) as target:
            return measure(
                lambda: self.run(image, target, scratch),
                portal=target.portal, until_stored=store.flush,
            )  # fmt: skip

    @abstractmethod
    def run(self, image: Image, target: IscsiTarget, scratch: Path) -> None:
        """Write an image to an iSCSI target."""


class Historic(_QemuTool):
    """The drivers of 2014 to 2021: a raw image on the conductor's disk, then all of it by dd.

    They ran dd(1) on a disk of the kernel's initiator, as root; here qemu-img's dd stands for it.
    """

    name = HISTORIC

    def run(self, image: Image, target: IscsiTarget, scratch: Path) -> None:
        """See :class:`_QemuTool`."""
        raw = image.path
        if image.image_format != "raw":
            raw = scratch / "historic.raw"
            _qemu_img("convert", "-f", image.image_format, "-O", "raw", image.path, raw)
        options = ("-f", "raw", "-O", "raw", "bs=1M", f"if={raw}", f"of={_url(target)}")
        _qemu_img("dd", *options, env=_chap(target))
        if raw != image.path:
            raw.unlink()


class Convert(_QemuTool):
    """qemu-img convert with some options."""

    def __init__(self, offer: Offer, name: str, *options: str) -> None:
        super().__init__(offer)
        self.name = name
        self._options = options

    def run(self, image: Image, target: IscsiTarget, scratch: Path) -> None:
        """See :class:`_QemuTool`."""
        del scratch
        options = ("-n", *self._options, "-f", image.image_format, "-O", "raw")
        _qemu_img("convert", *options, image.path, _url(target), env=_chap(target))


class Limit(Tool):
    """The image's data through one TCP connection into the same store, and no more than that."""

    name = "limit: one TCP connection"

    def write(self, image: Image, store: Store, scratch: Path) -> Sample:
        """See :class:`Tool`."""
        del scratch
        with _running_sink(store.path) as port:
            return measure(
                lambda: _send(image, port),
                portal=f"{TGT_ADDRESS}:{port}",
                until_stored=store.flush,
            )


def tools_of_iscsi(offer: Offer) -> list[Tool]:
    """Make the tools that write to an iSCSI disk, ours first."""
    # ironic-python-agent, qemu_img.convert_image: these options, onto the node's own disk.
    agent = ("-t", "directsync", "-S", "0", "-W")
    return [
        Ours(offer),
        Historic(offer),
        Convert(offer, CONVERT),
        Convert(offer, AGENT, *agent),
    ]


@contextmanager
def _running_sink(store: Path) -> Iterator[int]:
    command = [sys.executable, "-P", sink.__file__, TGT_ADDRESS, str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _send(image: Image, port: int) -> None:
    with (
        image.path.open("rb") as file,
        socket.create_connection((TGT_ADDRESS, port), _SECONDS_TO_LISTEN) as connection,
    ):
        connection.settimeout(_DEADLINE)
        for extent, offset in image.data:
            connection.sendall(sink.HEADER.pack(extent.start, extent.size))
            connection.sendfile(file, offset, extent.size)
        connection.shutdown(socket.SHUT_WR)
        if not connection.recv(1):
            raise ConnectionError("The limit's sink has gone")


def _url(target: IscsiTarget) -> str:
    return f"iscsi://{target.portal}/{target.iqn}/{target.lun}"


def _chap(target: IscsiTarget) -> dict[str, str]:
    """What libiscsi reads, so that no secret stands in argv."""
    return {
        "LIBISCSI_CHAP_USERNAME": target.chap_username,
        "LIBISCSI_CHAP_PASSWORD": target.chap_secret,
    }


def _qemu_img(*arguments: str | os.PathLike[str], env: Mapping[str, str] | None = None) -> None:
    execute(["qemu-img", *arguments], timeout=_DEADLINE, env=env)
