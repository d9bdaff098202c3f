"""Writes to a real iSCSI target over links and to disks that fail."""

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ironic_ilo import qemu_img, read_back
from ironic_ilo.exception import DiskError
from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.partitions import MIB, Extent
from ironic_ilo.qemu_img import ImageFormat
from tests.functional import disks
from tests.functional.disks import SOON, find_free_port, make_image, run_tool
from tests.iscsi_relay import WRITES, start_relay
from tests.processes import find_children, find_name
from tests.tgt import Tgtd, start_tgtd

pytestmark = pytest.mark.functional

ADDRESS = "127.0.25.1"
CONTROL_PORT = 2500
IMAGE_SIZE = 24 * MIB
# Where the image goes on the disk.
EXTENT = Extent(3 * MIB, IMAGE_SIZE)
CUT_SECONDS = 10


@pytest.fixture(scope="module")
def tgtd() -> Iterator[Tgtd]:
    with start_tgtd(f"{ADDRESS}:{find_free_port(ADDRESS)}", CONTROL_PORT) as running:
        yield running


@pytest.fixture
def node(tgtd: Tgtd, tmp_path: Path) -> Iterator[disks.Node]:
    path = tmp_path / "disk"
    path.write_bytes(random.Random(4).randbytes(30 * MIB))
    with disks.offered(tgtd, path) as made:
        yield made


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Make an image whose name could add options, if it were let."""
    raw, image = tmp_path / "raw", tmp_path / "image,snapshot=on"
    make_image(raw, IMAGE_SIZE)
    run_tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image)
    return image


def _convert(image: Path, target: IscsiTarget, *, stall_timeout: float = SOON) -> None:
    qemu_img.convert(
        image, "qcow2", target, EXTENT,
        on_percent=lambda _percent: None, timeout=2 * SOON, stall_timeout=stall_timeout,
    )  # fmt: skip


def _compare(
    image: Path,
    image_format: ImageFormat,
    target: IscsiTarget,
    *,
    stall_timeout: float = SOON,
) -> list[float]:
    seen: list[float] = []
    read_back.compare(
        target, EXTENT, image, image_format,
        on_percent=seen.append, timeout=SOON, stall_timeout=stall_timeout,
    )  # fmt: skip
    return seen


def _holds_image(node: disks.Node, image: Path) -> bool:
    written = node.path.read_bytes()[EXTENT.start : EXTENT.end]
    return written == (image.parent / "raw").read_bytes()


@pytest.mark.parametrize("failure", ["silent", "refused"])
def test_a_link_that_is_cut_for_ten_seconds(node, image, failure) -> None:
    with start_relay(ADDRESS, node.target.portal) as relay:
        fail = relay.freeze_after if failure == "silent" else relay.cut_after
        fail(5 * MIB, seconds=CUT_SECONDS)

        _convert(image, replace(node.target, portal=relay.portal))

    assert len(relay.sessions) == (1 if failure == "silent" else 2)
    assert _holds_image(node, image)


def test_a_target_that_is_withdrawn_ends_the_write(tgtd, node, image) -> None:
    with start_relay(ADDRESS, node.target.portal) as relay, ThreadPoolExecutor(1) as pool:
        relay.freeze_after(5 * MIB, seconds=1)
        pool.submit(lambda: relay.frozen.wait(SOON) and tgtd.remove_target(node.target.iqn))

        with pytest.raises(DiskError, match=r"moved no data for 3 s.*Check the node's network"):
            _convert(image, replace(node.target, portal=relay.portal), stall_timeout=3)

    assert not _find_tools()


def test_a_disk_that_fails_ends_the_write(tmp_path, image) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(30 * MIB))
    portal = f"{ADDRESS}:{find_free_port(ADDRESS)}"
    with start_tgtd(portal, CONTROL_PORT + 1) as failing, disks.offered(failing, path) as node:
        failing.fail_writes_beyond(20 * MIB)

        with pytest.raises(DiskError, match=r"error while writing at byte \d+.*health log"):
            _convert(image, node.target)

    assert not _find_tools()


def _find_tools() -> list[str]:
    """Name the tools that this process has started and not ended."""
    names = map(find_name, find_children(os.getpid()))
    return [name for name in names if name.startswith("qemu")]


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_what_was_written_reads_back(node, image, image_format) -> None:
    path = image if image_format == "qcow2" else image.parent / "raw"
    _convert(image, node.target)

    seen = _compare(path, image_format, node.target)

    assert seen[0] < seen[-1] == 100


def test_only_what_was_written_is_read_back(node, image) -> None:
    data = qemu_img.read_json("measure", image, "qcow2", "-O", "qcow2")["required"]
    _convert(image, node.target)

    with start_relay(ADDRESS, node.target.portal) as relay:
        _compare(image, "qcow2", replace(node.target, portal=relay.portal))

    (session,) = relay.sessions
    assert data / 2 < session.received < 1.02 * data
    assert not WRITES & set(session.opcodes)


@pytest.mark.parametrize("offset", [3 * MIB // 2, 2 * MIB + 4711, 4 * MIB - 1])
def test_the_byte_that_differs_is_named(node, image, offset) -> None:
    _convert(image, node.target)
    with node.path.open("r+b") as file:
        file.seek(EXTENT.start + offset)
        byte = file.read(1)[0]
        file.seek(EXTENT.start + offset)
        file.write(bytes([byte ^ 1]))

    with pytest.raises(
        DiskError, match=rf"byte {EXTENT.start + offset} of the disk .* byte {offset} of image"
    ):
        _compare(image, "qcow2", node.target)


def test_reading_back_over_a_link_that_goes_silent(node, image) -> None:
    _convert(image, node.target)
    with start_relay(ADDRESS, node.target.portal) as relay:
        relay.freeze_after(1)

        with pytest.raises(DiskError, match=r"Reading image.* back .* moved no data for 2 s"):
            _compare(image, "qcow2", replace(node.target, portal=relay.portal), stall_timeout=2)

    assert not _find_tools()
