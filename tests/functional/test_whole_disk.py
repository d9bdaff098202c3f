"""Images of whole disks against a real iSCSI target, on disks full of garbage."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from ironic_ilo import disk
from ironic_ilo.disk import Stage
from ironic_ilo.exception import DiskError, InvalidInput
from ironic_ilo.partitions import MIB, Extent
from tests.functional import disks
from tests.functional.disks import (
    SOON,
    find_free_port,
    find_signatures,
    make_image,
    make_partitioned_image,
    offered,
    read_partitions,
    run_tool,
)
from tests.iscsi_relay import WRITES, start_relay
from tests.tgt import Tgtd, start_tgtd

pytestmark = pytest.mark.functional

# Apart from another run of these tests on the same machine.
ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.121"
CONTROL_PORT = 6121
IMAGE_SIZE = 20 * MIB
CONFIGDRIVE = 64 * MIB


@pytest.fixture(scope="module")
def daemon() -> Iterator[Tgtd]:
    with start_tgtd(f"{ADDRESS}:{find_free_port(ADDRESS)}", CONTROL_PORT) as running:
        yield running


MakeNode = Callable[..., disks.Node]


@pytest.fixture
def make_node(daemon: Tgtd, tmp_path: Path) -> Iterator[MakeNode]:
    with ExitStack() as stack:

        def make(size: int, **options: object) -> disks.Node:
            path = tmp_path / "node-disk"
            garbage = random.Random(5).randbytes(MIB)
            path.write_bytes((garbage * (size // MIB + 1))[:size])
            stack.callback(path.unlink)
            return stack.enter_context(offered(daemon, path, **options))

        yield make


@pytest.fixture
def configdrive(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "user_data").write_bytes(random.Random(6).randbytes(MIB))
    iso = tmp_path / "drive.iso"
    run_tool("xorriso", "-as", "mkisofs", "-quiet", "-V", "config-2", "-o", iso, tree)
    return iso


def write(node: disks.Node, image: Path, *, sector_size: int = 512, **options: object) -> None:
    disk.write_whole_disk_image(
        node.target, node.path.stat().st_size, sector_size, image,
        "qcow2" if image.suffix == ".qcow2" else "raw",
        **{"on_progress": lambda _progress: None, "timeout": SOON, "stall_timeout": SOON}
        | options,
    )  # fmt: skip


def as_format(raw: Path, image_format: str) -> Path:
    if image_format == "raw":
        return raw
    image = raw.with_suffix(".qcow2")
    run_tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image)
    return image


def check_garbage(node: disks.Node, before: bytes, written: list[Extent]) -> None:
    """Check that nothing was written elsewhere."""
    after = node.path.read_bytes()
    end = 0
    for extent in [*sorted(written, key=lambda e: e.start), Extent(len(after), 0)]:
        if extent.start > end:
            assert (after[end : extent.start] == before[end : extent.start]) is True
        end = max(end, extent.end)


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize("table", ["gpt", "dos"])
@pytest.mark.parametrize("spare", [0, 3 * MIB + 4096 * 5], ids=["exact", "larger"])
def test_every_byte_of_a_dirty_disk(  # noqa: PLR0917
    make_node, tmp_path, table, sector_size, image_format, spare
) -> None:
    raw = make_partitioned_image(tmp_path / "i.raw", IMAGE_SIZE, table, sector_size=sector_size)
    node = make_node(IMAGE_SIZE + spare, sector_size=sector_size)
    before = node.path.read_bytes()

    write(node, as_format(raw, image_format), sector_size=sector_size, verify=True)

    after, image = node.path.read_bytes(), raw.read_bytes()
    partitions = read_partitions(node.path, sector_size=sector_size)
    assert partitions == read_partitions(raw, sector_size=sector_size)
    # The image, but for headers and protective MBR, which tell of the disk's real end.
    kept = slice(6 * 4096 + 16384 if table == "gpt" else 0, partitions[-1].end)
    assert (after[kept] == image[kept]) is True
    assert (after[:440] == image[:440]) is True
    end = (len(after) - MIB) // MIB * MIB
    behind = Extent(IMAGE_SIZE, min(2 * MIB, spare))
    assert not any(after[behind.start : behind.end]) or table == "gpt"
    check_garbage(node, before, [Extent(0, IMAGE_SIZE), behind, Extent(end, len(after) - end)])
    if table == "gpt" and sector_size == 512:
        assert "No problems found" in run_tool("sgdisk", "--verify", node.path)


@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize("table", ["gpt", "dos"])
def test_a_config_drive_behind_the_image(
    make_node, tmp_path, configdrive, table, sector_size
) -> None:
    raw = make_partitioned_image(tmp_path / "i.raw", IMAGE_SIZE, table, sector_size=sector_size)
    node = make_node(IMAGE_SIZE + 66 * MIB, sector_size=sector_size)

    write(node, raw, sector_size=sector_size, configdrive=configdrive, verify=True)

    *own, drive = read_partitions(node.path, sector_size=sector_size)
    assert own == read_partitions(raw, sector_size=sector_size)
    assert drive.size == CONFIGDRIVE
    assert drive.start >= own[-1].end
    assert drive.start % MIB == 0
    content = node.path.read_bytes()[drive.start : drive.end]
    iso = configdrive.read_bytes()
    assert (content[: len(iso)] == iso) is True
    # What an earlier one held is gone.
    assert not any(content[len(iso) :])
    if table == "gpt" and sector_size == 512:
        assert "No problems found" in run_tool("sgdisk", "--verify", node.path)
        assert "config-2" in run_tool("sgdisk", "--print", node.path)


def test_a_partition_meant_for_the_config_drive(make_node, tmp_path, configdrive) -> None:
    raw = make_partitioned_image(tmp_path / "i.raw", IMAGE_SIZE, "dos", sizes=("8M", "4M"))
    meant = read_partitions(raw)[1]
    fat = tmp_path / "fat"
    run_tool("mkfs.vfat", "-n", "CONFIG-2", "-C", fat, str(4096))
    with raw.open("r+b") as file:
        file.seek(meant.start)
        file.write(fat.read_bytes())
    node = make_node(IMAGE_SIZE)

    write(node, as_format(raw, "qcow2"), configdrive=configdrive)

    assert read_partitions(node.path) == read_partitions(raw)
    iso = configdrive.read_bytes()
    found = node.path.read_bytes()[meant.start : meant.start + len(iso)]
    assert (found == iso) is True

    with configdrive.open("ab") as file:
        file.truncate(4 * MIB + 2048)
    with pytest.raises(InvalidInput, match=r"drive has \d+ bytes, its partition 4194304"):
        write(node, raw, configdrive=configdrive)


def test_a_partition_meant_for_the_config_drive_at_the_end(
    make_node, tmp_path, configdrive
) -> None:
    """The last MiB, written after the config drive, holds a part of it, not what the image has."""
    raw = tmp_path / "i.raw"
    make_image(raw, IMAGE_SIZE)
    run_tool("sgdisk", "--clear", "-n", "1:1M:+17M", "-n", "2:18M:40926", raw)
    meant = Extent(18 * MIB, configdrive.stat().st_size)
    assert meant.end > IMAGE_SIZE - MIB
    fat = tmp_path / "fat"
    run_tool("mkfs.vfat", "-n", "CONFIG-2", "-C", fat, str(1024))
    with raw.open("r+b") as file:
        file.seek(meant.start)
        file.write(fat.read_bytes())
    node = make_node(IMAGE_SIZE)

    write(node, raw, configdrive=configdrive, verify=True)

    found = node.path.read_bytes()[meant.start : meant.end]
    assert (found == configdrive.read_bytes()) is True
    assert "No problems found" in run_tool("sgdisk", "--verify", node.path)


def test_no_table_until_all_is_written(make_node, tmp_path) -> None:
    """A write that is cut off leaves nothing that looks deployed, also at the disk's end."""
    raw = make_partitioned_image(tmp_path / "i.raw", IMAGE_SIZE, "gpt")
    node = make_node(IMAGE_SIZE)
    with node.path.open("r+b") as file:
        file.write(raw.read_bytes())
    found = []

    def look(progress: disk.Progress) -> None:
        if progress.stage is Stage.TABLE:
            found.append(find_signatures(node.path))

    with start_relay(ADDRESS, node.target.portal) as relay:
        write(replace(node, target=replace(node.target, portal=relay.portal)), raw,
              on_progress=look)  # fmt: skip

    assert found == [[]]
    assert find_signatures(node.path) == ["gpt", "gpt", "PMBR"]
    # Each end of the disk in a session of its own, with a flush.
    assert all(WRITES & set(session.opcodes) for session in relay.sessions[-2:])


@pytest.mark.parametrize(
    ("table", "made_for", "sector_size", "message"),
    [
        ("gpt", 512, 4096, "made for disks with sectors of 512 bytes, this one has .* 4096"),
        ("gpt", 4096, 512, "made for disks with sectors of 4096 bytes, this one has .* 512"),
        ("dos", 512, 4096, r"ends at byte \d+, with sectors of 4096 bytes"),
    ],
)  # fmt: skip
def test_an_image_for_other_sectors_touches_nothing(  # noqa: PLR0917
    make_node, tmp_path, table, made_for, sector_size, message
) -> None:
    raw = make_partitioned_image(tmp_path / "i.raw", IMAGE_SIZE, table, sector_size=made_for)
    node = make_node(IMAGE_SIZE, sector_size=sector_size)
    before = node.path.read_bytes()

    with pytest.raises(InvalidInput, match=message):
        write(node, raw, sector_size=sector_size)

    assert (node.path.read_bytes() == before) is True


def test_a_disk_that_is_too_small_is_not_touched(make_node, tmp_path) -> None:
    raw = make_partitioned_image(tmp_path / "i.raw", IMAGE_SIZE, "gpt")
    node = make_node(IMAGE_SIZE - 4096)
    before = node.path.read_bytes()

    with pytest.raises(DiskError, match=r"too small: the image .* needs 20971520 bytes"):
        write(node, raw)

    assert (node.path.read_bytes() == before) is True


def test_a_disk_without_room_for_the_config_drive_is_not_touched(
    make_node, tmp_path, configdrive
) -> None:
    raw = make_partitioned_image(tmp_path / "i.raw", IMAGE_SIZE, "gpt")
    node = make_node(IMAGE_SIZE + CONFIGDRIVE - MIB)
    before = node.path.read_bytes()

    with pytest.raises(DiskError, match="64 MiB for the config drive do not fit"):
        write(node, raw, configdrive=configdrive)

    assert (node.path.read_bytes() == before) is True
