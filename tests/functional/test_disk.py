"""The disk room against a real iSCSI target, on a disk that held something else."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ironic_ilo import disk, image_file, partitions
from ironic_ilo.disk import Progress, Stage
from ironic_ilo.exception import DiskError, InvalidInput
from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.partitions import MIB, Layout, Role
from tests.functional import disks
from tests.functional.disks import (
    SECRET,
    SOON,
    SOURCE,
    find_free_port,
    find_signatures,
    make_image,
    probe,
    run_tool,
)
from tests.iscsi_relay import SYNCHRONIZE_CACHE, WRITES, start_relay
from tests.processes import find_children, find_name
from tests.tgt import Tgtd, start_tgtd

pytestmark = pytest.mark.functional

ADDRESS = "127.0.24.1"
CONTROL_PORT = 2400
ROOT_UUID = "6fb8a0c5-9d4e-4d1a-8f64-6c5d6f1a2b3c"


@dataclass
class Node(disks.Node):
    """A disk full of garbage behind a target."""

    before: bytes


@pytest.fixture(scope="module")
def tgtd() -> Iterator[Tgtd]:
    with start_tgtd(f"{ADDRESS}:{find_free_port(ADDRESS)}", CONTROL_PORT) as running:
        yield running


MakeNode = Callable[..., Node]


@pytest.fixture
def make_node(tgtd: Tgtd, tmp_path: Path) -> Iterator[MakeNode]:
    with contextlib.ExitStack() as stack:

        def make(size: int = 40 * MIB, **options: object) -> Node:
            before = random.Random(3).randbytes(size)
            path = tmp_path / "node-disk"
            path.write_bytes(before)
            stack.callback(path.unlink)
            made = stack.enter_context(disks.offered(tgtd, path, **options))
            return Node(made.path, made.target, before)

        yield make


@pytest.fixture
def node(make_node: MakeNode) -> Node:
    return make_node()


def _convert(raw: Path, *options: str) -> Path:
    image = raw.with_suffix(".qcow2")
    run_tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, raw, image)
    return image


def _write(
    target: IscsiTarget,
    layout: Layout,
    image: Path,
    *,
    on_progress: disk.ProgressCallback = lambda _progress: None,
    timeout: float = SOON,
    stall_timeout: float = SOON,
) -> disk.WriteReport:
    image_format = "qcow2" if image.suffix == ".qcow2" else "raw"
    return disk.write_deploy_image(
        target, layout, image, image_format,
        on_progress=on_progress, timeout=timeout, stall_timeout=stall_timeout,
    )  # fmt: skip


def _plan(node: Node, *, root_mib: int, swap_mib: int = 0, sector_size: int = 512) -> Layout:
    size = disk.read_disk_size(node.target, timeout=SOON)
    assert size == len(node.before)
    return partitions.plan_layout(
        disk_size=size, root_mib=root_mib, swap_mib=swap_mib, sector_size=sector_size
    )


def _expect(node: Node, layout: Layout, image: bytes, after: bytes) -> bytes:
    """Return the whole disk as it should be: garbage, but for what a deploy must replace.

    The swap header and the table, which hold random identifiers, are taken from ``after``.
    """
    wanted = bytearray(node.before)
    root = layout.root
    end_mib = len(image) // MIB * MIB
    for start, size in (
        (0, MIB),
        (root.start + end_mib, min(2 * MIB, root.size - end_mib)),
        (max(root.start + end_mib, root.end - MIB), min(MIB, root.size - end_mib)),
        ((layout.disk_size - MIB) // MIB * MIB, layout.disk_size % MIB + MIB),
    ):
        wanted[start : start + size] = bytes(size)
    if swap := layout.find(Role.SWAP):
        wanted[swap.start : swap.start + MIB] = bytes(MIB)
        wanted[swap.end - MIB : swap.end] = bytes(MIB)
        wanted[swap.start : swap.start + 4096] = after[swap.start : swap.start + 4096]
    wanted[root.start : root.start + len(image)] = image
    wanted[: layout.sector_size] = after[: layout.sector_size]
    return bytes(wanted)


def _first_difference(one: bytes, other: bytes) -> int | None:
    """Return where two disks differ: an assertion on 100 MB would print them."""
    if one == other:
        return None
    return next((i for i, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1),
                min(len(one), len(other)))  # fmt: skip


IMAGE_SIZES = [16 * MIB, 16 * MIB + 1000, 19 * MIB + 512 * 3, 20 * MIB]


@pytest.mark.parametrize("thin", [False, True], ids=["thick", "thin"])
@pytest.mark.parametrize("image_size", IMAGE_SIZES)
@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_every_byte_of_a_dirty_disk(make_node, tmp_path, image_format, image_size, thin) -> None:
    node = make_node(40 * MIB + 77 * 512, thin=thin)
    raw = tmp_path / "image.raw"
    source = make_image(raw, image_size)
    layout = _plan(node, root_mib=20, swap_mib=5)

    _write(node.target, layout, raw if image_format == "raw" else _convert(raw))

    after = node.path.read_bytes()
    assert _first_difference(after, _expect(node, layout, source, after)) is None


def test_root_to_the_end_of_the_disk_without_swap(make_node, tmp_path) -> None:
    node = make_node(21 * MIB)
    source = make_image(tmp_path / "image.raw", 20 * MIB)
    layout = _plan(node, root_mib=20)

    _write(node.target, layout, tmp_path / "image.raw")

    after = node.path.read_bytes()
    assert after[MIB:] == source
    assert after[512:MIB] == bytes(MIB - 512)


def test_sectors_of_4096_bytes(make_node, tmp_path) -> None:
    node = make_node(40 * MIB, sector_size=4096)
    source = make_image(tmp_path / "image.raw", 16 * MIB + 512)
    layout = _plan(node, root_mib=20, swap_mib=5, sector_size=4096)

    _write(node.target, layout, _convert(tmp_path / "image.raw"))

    after = node.path.read_bytes()
    assert _first_difference(after, _expect(node, layout, source, after)) is None
    assert "0x83" in run_tool("partx", "-S", "4096", "-gro", "TYPE", node.path)


@pytest.mark.parametrize("compressed", [False, True])
def test_linux_understands_the_result(make_node, tmp_path, compressed) -> None:
    node = make_node(128 * MIB)
    _make_gpt(node.path)
    image = _make_ext4(tmp_path / "image.raw", 60)
    layout = _plan(node, root_mib=80, swap_mib=16)

    _write(node.target, layout, _convert(image, *(["-c"] if compressed else [])))

    table = json.loads(run_tool("sfdisk", "-J", node.path))["partitiontable"]
    assert [p["type"] for p in table["partitions"]] == ["82", "83"]
    swap, root = layout.partitions
    assert probe(node.path, swap) == {"TYPE": "swap", "LABEL": "swap1"}
    assert probe(node.path, root) == {"TYPE": "ext4", "LABEL": "cloudroot"}
    run_tool("e2fsck", "-fn", f"{node.path}?offset={root.start}")
    # The GPT that was there is gone at both ends.
    assert find_signatures(node.path) == ["dos"]


def _make_gpt(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(MIB))
    subprocess.run(
        [shutil.which("sfdisk", path=disks.TOOLS_PATH), "--quiet", path],
        input=b"label: gpt\n,50M\n,\n", check=True, timeout=SOON,
    )  # fmt: skip
    assert find_signatures(path) == ["gpt", "gpt", "PMBR"]


def _make_ext4(path: Path, size_mib: int) -> Path:
    content = path.parent / "content"
    content.mkdir()
    (content / "file").write_bytes(SOURCE)
    run_tool("mkfs.ext4", "-q", "-L", "cloudroot", "-U", ROOT_UUID, "-d", content, path,
         f"{size_mib}M")  # fmt: skip
    return path


def test_each_stage_ends_with_a_flush(node, tmp_path) -> None:
    make_image(tmp_path / "image.raw", 16 * MIB)
    layout = _plan(node, root_mib=20, swap_mib=5)

    with start_relay(ADDRESS, node.target.portal) as relay:
        _write(replace(node.target, portal=relay.portal), layout, tmp_path / "image.raw")

    asked = [[code for code in session.opcodes if code in WRITES | {SYNCHRONIZE_CACHE}]
             for session in relay.sessions]  # fmt: skip
    assert len(asked) == 3
    for opcodes in asked:
        assert len(opcodes) >= 2
        assert opcodes[-1] == SYNCHRONIZE_CACHE
    # The table: one write, and its flush, after all others.
    assert asked[-1][0] in WRITES
    assert set(asked[-1][1:]) == {SYNCHRONIZE_CACHE}


def test_only_data_crosses_the_wire(make_node, tmp_path) -> None:
    node = make_node(thin=True)
    image = tmp_path / "image.raw"
    image.write_bytes(SOURCE)
    with image.open("r+b") as file:
        file.truncate(30 * MIB)
    layout = _plan(node, root_mib=30)

    with start_relay(ADDRESS, node.target.portal) as relay:
        report = _write(replace(node.target, portal=relay.portal), layout, image)

    assert report.bytes_written == len(SOURCE)
    assert sum(session.sent for session in relay.sessions) < 1.02 * len(SOURCE)


def test_progress_and_report(node, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(disk, "_SECONDS_BETWEEN_PROGRESS", 0.0)
    make_image(tmp_path / "image.raw", 20 * MIB)
    seen: list[Progress] = []

    report = _write(
        node.target, _plan(node, root_mib=20), tmp_path / "image.raw", on_progress=seen.append
    )

    assert list(report.seconds) == [Stage.WIPE, Stage.WRITE, Stage.TABLE]
    assert all(seconds > 0 for seconds in report.seconds.values())
    assert report.bytes_written == 3 * len(SOURCE) + MIB  # and what is allocated, yet zero
    assert [seen[0].stage, seen[-1].stage] == [Stage.WIPE, Stage.TABLE]
    writing = [progress for progress in seen if progress.stage is Stage.WRITE]
    assert writing[0].percent == 0
    assert writing[-1].percent == 100
    assert writing[-1].bytes_done == writing[-1].bytes_total == report.bytes_written
    assert writing[-1].bytes_per_second > 0
    assert [p.percent for p in writing] == sorted(p.percent for p in writing)


def test_progress_is_not_reported_too_often(node, tmp_path) -> None:
    make_image(tmp_path / "image.raw", 20 * MIB)
    seen: list[Progress] = []
    began = time.monotonic()

    _write(node.target, _plan(node, root_mib=20), tmp_path / "image.raw", on_progress=seen.append)

    assert len(seen) <= len(Stage) + (time.monotonic() - began) / 2


def test_what_on_progress_raises_ends_the_write(node, tmp_path) -> None:
    make_image(tmp_path / "image.raw", 16 * MIB)

    def abort(progress: Progress) -> None:
        if progress.stage is Stage.WRITE:
            raise KeyError("the operator aborts")

    with pytest.raises(KeyError):
        _write(node.target, _plan(node, root_mib=20), tmp_path / "image.raw", on_progress=abort)

    assert find_signatures(node.path) == []


def test_a_link_that_goes_silent_ends_the_write(node, tmp_path) -> None:
    make_image(tmp_path / "image.raw", 20 * MIB)
    layout = _plan(node, root_mib=20)

    with start_relay(ADDRESS, node.target.portal) as relay:
        relay.freeze_after(3 * MIB)
        with pytest.raises(DiskError, match=r"moved no data for 2 s.*network") as caught:
            _write(replace(node.target, portal=relay.portal), layout, tmp_path / "image.raw",
                   stall_timeout=2)  # fmt: skip

    assert SECRET not in _everything_said(caught.value)
    assert find_signatures(node.path) == []


def test_a_target_that_goes_away_ends_the_write(node, tmp_path) -> None:
    make_image(tmp_path / "image.raw", 20 * MIB)
    layout = _plan(node, root_mib=20)

    with start_relay(ADDRESS, node.target.portal) as relay:
        relay.cut_after(3 * MIB)
        with pytest.raises(DiskError, match="moved no data for 3 s"):
            _write(replace(node.target, portal=relay.portal), layout, tmp_path / "image.raw",
                   stall_timeout=3)  # fmt: skip

    assert find_signatures(node.path) == []


def test_the_deadline_is_for_the_whole_write(node, tmp_path) -> None:
    make_image(tmp_path / "image.raw", 20 * MIB)
    layout = _plan(node, root_mib=20)

    with start_relay(ADDRESS, node.target.portal) as relay:
        relay.freeze_after(3 * MIB)
        with pytest.raises(DiskError, match=r"was not done within \d") as caught:
            _write(replace(node.target, portal=relay.portal), layout, tmp_path / "image.raw",
                   timeout=3)  # fmt: skip

    assert SECRET not in _everything_said(caught.value)


def test_a_table_that_was_there_is_gone_before_the_image_is_written(node, tmp_path) -> None:
    _make_gpt(node.path)
    make_image(tmp_path / "image.raw", 20 * MIB)
    layout = _plan(node, root_mib=20)
    found = []

    def look(progress: Progress) -> None:
        if progress.stage is Stage.WRITE:
            found.append(find_signatures(node.path))

    _write(node.target, layout, tmp_path / "image.raw", on_progress=look)

    assert found
    assert not any(found)


WRITER = """
import sys
from pathlib import Path
from ironic_ilo import disk, partitions
portal, iqn, secret, image = sys.argv[1:]
target = disk.IscsiTarget(portal=portal, iqn=iqn, chap_username="deploy-1", chap_secret=secret,
                          initiator_iqn="iqn.2008-10.org.openstack:conductor-1")
layout = partitions.plan_layout(disk_size=disk.read_disk_size(target, timeout=60), root_mib=20)
disk.write_deploy_image(target, layout, Path(image), "raw", on_progress=lambda progress: None,
                        timeout=600, stall_timeout=600)
"""


def test_no_qemu_img_outlives_its_conductor(node, tmp_path) -> None:
    make_image(tmp_path / "image.raw", 20 * MIB)
    with start_relay(ADDRESS, node.target.portal) as relay:
        relay.freeze_after(3 * MIB)
        conductor = subprocess.Popen(
            [sys.executable, "-c", WRITER, relay.portal, node.target.iqn, SECRET,
             tmp_path / "image.raw"]
        )  # fmt: skip
        try:
            assert relay.frozen.wait(SOON)
            (writer,) = find_children(conductor.pid)
            assert find_name(writer) == "qemu-img"
            argv = Path(f"/proc/{writer}/cmdline").read_bytes()
            environment = Path(f"/proc/{writer}/environ").read_bytes()
        finally:
            conductor.send_signal(signal.SIGKILL)
            conductor.wait(SOON)
        _wait_until(lambda: not Path(f"/proc/{writer}").exists() or _is_zombie(writer))

    assert SECRET.encode() not in argv + environment


def _is_zombie(pid: int) -> bool:
    """Tell whether a process has ended, though no init may have collected it."""
    with contextlib.suppress(FileNotFoundError):
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    return True


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _everything_said(error: BaseException | None) -> str:
    """Return the text of an error and of all that caused it."""
    said = []
    while error is not None:
        said.append(f"{error!r} {error}")
        error = error.__cause__ or error.__context__
    return " ".join(said)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chap_secret": SECRET[:-1] + "x"}, "Authentication failure.*earlier ramdisk"),
        ({"chap_username": "deploy-2"}, "Authentication failure"),
        ({"initiator_iqn": "iqn.2008-10.org.openstack:stranger"}, "Target not found"),
        ({"iqn": "iqn.2008-10.org.openstack:other"}, "Target not found"),
        ({"lun": 2}, "LOGICAL_UNIT_NOT_SUPPORTED.*no disk under this number"),
        ({"lun": 0}, "has no size"),
        ({"portal": f"{ADDRESS}:1"}, "iscsi_portal"),
        ({"portal": "no-such-host.invalid:3260"}, "Give the portal as an address"),
    ],
)
def test_a_target_that_refuses(node, change, message) -> None:
    target = replace(node.target, **change)

    with pytest.raises(DiskError, match=message) as caught:
        disk.read_disk_size(target, timeout=SOON)

    assert target.iqn in str(caught.value)
    assert target.chap_secret not in _everything_said(caught.value)


def test_a_portal_that_says_nothing(node) -> None:
    with socket.create_server((ADDRESS, 0)) as silent:
        target = replace(node.target, portal=f"{ADDRESS}:{silent.getsockname()[1]}")

        with pytest.raises(DiskError, match=r"was not done within 1 s.*firewalls"):
            disk.read_disk_size(target, timeout=1)


def test_an_image_larger_than_root_touches_nothing(node, tmp_path) -> None:
    make_image(tmp_path / "image.raw", 20 * MIB + 1)
    layout = _plan(node, root_mib=20)

    with pytest.raises(InvalidInput, match=r"needs \d+ bytes.*Set root_gb to 1 or more"):
        _write(node.target, layout, tmp_path / "image.raw")

    assert node.path.read_bytes() == node.before


def test_a_disk_that_shrank_is_an_error(node, tmp_path) -> None:
    make_image(tmp_path / "image.raw", 16 * MIB)
    layout = partitions.plan_layout(disk_size=200 * MIB, root_mib=150)

    with pytest.raises(
        DiskError, match=r"Wiping the disk of iSCSI target .* failed: write failed.*health log"
    ):
        _write(node.target, layout, tmp_path / "image.raw")


def test_inspect_tells_data_from_size(tmp_path) -> None:
    raw = tmp_path / "image.raw"
    raw.write_bytes(SOURCE)
    with raw.open("r+b") as file:
        file.truncate(100 * MIB)

    for image, image_format in (
        (raw, "raw"),
        (_convert(raw), "qcow2"),
        (_convert(raw, "-c"), "qcow2"),
    ):
        assert image_file.inspect_image(image, image_format) == image_file.ImageInfo(
            100 * MIB, len(SOURCE)
        )


def test_inspect_refuses_an_image_of_another_format(tmp_path) -> None:
    image = tmp_path / "image"
    image.write_bytes(SOURCE)

    with pytest.raises(InvalidInput, match=r"Image is not in qcow2 format.*disk_format"):
        image_file.inspect_image(image, "qcow2")


def test_inspect_refuses_an_empty_image(tmp_path) -> None:
    (tmp_path / "image").touch()

    with pytest.raises(InvalidInput, match="is empty"):
        image_file.inspect_image(tmp_path / "image", "raw")


def test_inspect_refuses_a_missing_image(tmp_path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        image_file.inspect_image(tmp_path / "image", "qcow2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-b", "/etc/passwd", "-F", "raw"], "has a backing file"),
        (["-o", "data_file=outside"], "data in another file"),
        (["--object", "secret,id=key,data=0123456789ab",
          "-o", "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=100"], "encrypted"),
    ],
)  # fmt: skip
def test_inspect_refuses_an_image_that_does_not_stand_alone(
    tmp_path, monkeypatch, options, message
) -> None:
    monkeypatch.chdir(tmp_path)
    run_tool("qemu-img", "create", "-q", "-f", "qcow2", *options, "image.qcow2", "64M")

    with pytest.raises(InvalidInput, match=message):
        image_file.inspect_image(tmp_path / "image.qcow2", "qcow2")
    with pytest.raises(InvalidInput, match=message):
        image_file.read_root_uuid(tmp_path / "image.qcow2", "qcow2")


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
@pytest.mark.parametrize(
    "mkfs", [["mkfs.ext4", "-q", "-U"], ["mkfs.xfs", "-q", "-m"], ["mkfs.btrfs", "-q", "-U"]]
)
def test_the_root_uuid(tmp_path, mkfs, image_format) -> None:
    raw = tmp_path / "image.raw"
    raw.touch()
    os.truncate(raw, 320 * MIB)
    uuid = f"uuid={ROOT_UUID}" if "xfs" in mkfs[0] else ROOT_UUID
    run_tool(*mkfs, uuid, raw)

    image = raw if image_format == "raw" else _convert(raw)
    assert image_file.read_root_uuid(image, image_format) == ROOT_UUID


def test_no_root_uuid_where_there_is_no_file_system(tmp_path) -> None:
    image = tmp_path / "image.raw"
    image.write_bytes(SOURCE[:1000])

    assert image_file.read_root_uuid(image, "raw") is None


def test_the_root_uuid_of_a_broken_image(tmp_path) -> None:
    image = tmp_path / "image.qcow2"
    image.write_bytes(SOURCE)

    with pytest.raises(InvalidInput, match="cannot be read"):
        image_file.read_root_uuid(image, "qcow2")
