"""Layouts with an ephemeral partition, on disks too large and too dirty to be copied about."""

import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ironic_ilo import disk, file_systems, msdos, partitions
from ironic_ilo.disk import Stage
from ironic_ilo.exception import DiskError, InvalidInput
from ironic_ilo.file_systems import FileSystem, FileSystemType
from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.partitions import EPHEMERAL_LABEL, ESP_LABEL, MIB, Extent, Label, Layout, Role
from tests.functional.disks import (
    SOON,
    SOURCE,
    Node,
    find_free_port,
    make_image,
    offered,
    probe,
    read_partitions,
    run_tool,
)
from tests.iscsi_relay import start_relay
from tests.tgt import Tgtd, start_tgtd

pytestmark = pytest.mark.functional

# Apart from another run of these tests on the same machine.
ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.120"
CONTROL_PORT = 6120
GIB_IN_MIB = 1024
# XFS takes 300 MiB at least.
EPHEMERAL_MIB = 320
DISK_SIZE = 400 * MIB
CHECKS = {
    FileSystemType.EXT4: ["e2fsck", "-fn"],
    FileSystemType.XFS: ["xfs_repair", "-n", "-f"],
    FileSystemType.BTRFS: ["btrfs", "check", "--readonly"],
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Tgtd]:
    with start_tgtd(f"{ADDRESS}:{find_free_port(ADDRESS)}", CONTROL_PORT) as running:
        yield running


MakeNode = Callable[..., Node]


@pytest.fixture
def make_node(daemon: Tgtd, tmp_path: Path) -> Iterator[MakeNode]:
    with ExitStack() as stack:

        def make(size: int, **options: object) -> Node:
            path = tmp_path / "node-disk"
            path.touch()
            os.truncate(path, size)
            stack.callback(path.unlink)
            return stack.enter_context(offered(daemon, path, **options))

        yield make


@pytest.fixture
def image(tmp_path: Path) -> Path:
    make_image(tmp_path / "image.raw", 16 * MIB)
    return tmp_path / "image.raw"


def plan(
    node: Node,
    *,
    ephemeral_mib: int = EPHEMERAL_MIB,
    swap_mib: int = 8,
    label: Label = Label.MSDOS,
    **options: object,
) -> Layout:
    size = disk.read_disk_size(node.target, timeout=SOON)
    return partitions.plan_layout(
        disk_size=size, root_mib=20, swap_mib=swap_mib, ephemeral_mib=ephemeral_mib, label=label,
        **options,
    )  # fmt: skip


def write(target: IscsiTarget, layout: Layout, image: Path, **options: object) -> None:
    disk.write_deploy_image(
        target, layout, image, "raw", on_progress=lambda _progress: None, timeout=SOON,
        stall_timeout=SOON, **options,
    )  # fmt: skip


def soil(path: Path, extents: list[Extent]) -> None:
    """Write garbage, other than zeros and other than any file system's."""
    garbage = random.Random(4).randbytes(MIB)
    with path.open("r+b") as file:
        for extent in extents:
            file.seek(extent.start)
            for start in range(0, extent.size, MIB):
                file.write(garbage[: min(MIB, extent.size - start)])


def find_written(kind: FileSystemType, size: int) -> tuple[Extent, ...]:
    with file_systems.make_file_system(kind, size, label=EPHEMERAL_LABEL) as made:
        return made.written


def check(kind: FileSystemType, path: Path, layout: Layout) -> None:
    """Let the file system's own tools look at the ephemeral partition, cut out of the disk."""
    part = layout.find(Role.EPHEMERAL)
    assert part is not None
    assert probe(path, part) == {"TYPE": kind, "LABEL": "ephemeral0"}
    cut = path.with_suffix(".cut")
    with cut.open("wb") as file:
        file.truncate(part.size)
    copy_data(path, part, cut)
    try:
        run_tool(*CHECKS[kind], cut)
    finally:
        cut.unlink()


def copy_data(path: Path, part: Extent, cut: Path) -> None:
    """Copy an extent, and leave holes out."""
    with cut.open("r+b") as target:
        for start, content in read_data(path, part):
            target.seek(start)
            target.write(content)


def read_data(path: Path, part: Extent) -> Iterator[tuple[int, bytes]]:
    """Yield what an extent holds, in pieces and without holes, and where in it."""
    with path.open("rb") as file:
        at = part.start
        while at < part.end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            end = min(os.lseek(file.fileno(), at, os.SEEK_HOLE), part.end)
            for start in range(at, end, MIB):
                yield start - part.start, os.pread(file.fileno(), min(MIB, end - start), start)
            at = max(at, end)


def digest_of(path: Path, part: Extent) -> str:
    """Return another digest whenever anything was written to an extent's holes or data."""
    digest = hashlib.sha256()
    for start, content in read_data(path, part):
        digest.update(f"{start} {len(content)} ".encode() + content)
    return digest.hexdigest()


@pytest.mark.parametrize("kind", FileSystemType)
def test_a_file_system_on_a_disk_full_of_garbage(make_node, image, kind) -> None:
    node = make_node(DISK_SIZE)
    soil(node.path, [Extent(0, DISK_SIZE)])
    layout = plan(node)

    write(node.target, layout, image, ephemeral_format=kind)

    check(kind, node.path, layout)
    swap = layout.find(Role.SWAP)
    assert swap is not None
    assert probe(node.path, swap) == {"TYPE": "swap", "LABEL": "swap1"}
    with node.path.open("rb") as file:
        file.seek(layout.root.start)
        assert file.read(16 * MIB) == image.read_bytes()


ROOMY = DISK_SIZE + 100 * MIB


@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize("label", Label)
def test_every_partition_on_a_disk_full_of_garbage(
    make_node, image, configdrive, label, sector_size
) -> None:
    node = make_node(ROOMY, sector_size=sector_size)
    soil(node.path, [Extent(0, ROOMY)])
    esp_mib = 32 if label is Label.GPT else 0  # msdos has room for four
    layout = plan(node, label=label, sector_size=sector_size, esp_mib=esp_mib, configdrive=True)

    write(node.target, layout, image, ephemeral_format=FileSystemType.XFS,
          configdrive=configdrive, verify=True)  # fmt: skip

    found = read_partitions(node.path, sector_size=sector_size)
    assert found == [Extent(part.start, part.size) for part in layout.partitions]
    check(FileSystemType.XFS, node.path, layout)
    check_esp(node.path, layout)
    swap, drive = layout.find(Role.SWAP), layout.find(Role.CONFIGDRIVE)
    assert swap is not None
    assert drive is not None
    assert probe(node.path, swap) == {"TYPE": "swap", "LABEL": "swap1"}
    assert probe(node.path, drive) == {"TYPE": "iso9660", "LABEL": "config-2"}
    # The file, and nothing that an earlier one held.
    wanted = configdrive.read_bytes().ljust(drive.size, b"\0")
    assert (read(node.path, drive) == wanted) is True
    root = Extent(layout.root.start, 16 * MIB)
    assert (read(node.path, root) == image.read_bytes()) is True


def check_esp(path: Path, layout: Layout) -> None:
    part = layout.find(Role.ESP)
    if part is None:
        return
    assert probe(path, part) == {"TYPE": "vfat", "LABEL": "efi-part"}
    cut = path.with_suffix(".esp")
    cut.write_bytes(read(path, part))
    try:
        assert "1 files, 0/" in run_tool("fsck.vfat", "-n", cut)
    finally:
        cut.unlink()


@pytest.fixture
def configdrive(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "user_data").write_bytes(SOURCE)
    iso = tmp_path / "drive.iso"
    run_tool("xorriso", "-as", "mkisofs", "-quiet", "-V", "config-2", "-o", iso, tree)
    return iso


@pytest.mark.parametrize(
    ("kind", "limit_mib", "sector_size"),
    [("ext4", 12, 512), ("xfs", 2, 512), ("btrfs", 2, 512), ("ext4", 12, 4096)],
)
def test_500_gib_cost_their_metadata(make_node, tmp_path, kind, limit_mib, sector_size) -> None:
    kind = FileSystemType(kind)
    node = make_node(501 * GIB_IN_MIB * MIB, thin=True, sector_size=sector_size)
    label = Label.GPT if sector_size == 4096 else Label.MSDOS
    layout = plan(node, ephemeral_mib=500 * GIB_IN_MIB, label=label, sector_size=sector_size)
    ephemeral = layout.find(Role.EPHEMERAL)
    assert ephemeral is not None
    # Garbage wherever the file system will write, and around that.
    where = [Extent(ephemeral.start + e.start, e.size + MIB)
             for e in find_written(kind, ephemeral.size)]  # fmt: skip
    soil(node.path, [Extent(0, 80 * MIB), *where[:-1]])
    image = tmp_path / "image.raw"
    image.write_bytes(SOURCE)

    with start_relay(ADDRESS, node.target.portal) as relay:
        write(replace(node.target, portal=relay.portal), layout, image, ephemeral_format=kind)

    sent = sum(session.sent for session in relay.sessions)
    assert sent < len(SOURCE) * 1.02 + limit_mib * MIB
    check(kind, node.path, layout)


def make_esp(sector_size: int) -> AbstractContextManager[FileSystem]:
    return file_systems.make_efi_system_partition(
        EPHEMERAL_MIB * MIB, label=ESP_LABEL, sector_size=sector_size
    )


MAKERS = {
    **{
        kind: partial(
            file_systems.make_file_system, kind, EPHEMERAL_MIB * MIB, label=EPHEMERAL_LABEL
        )
        for kind in FileSystemType
    },
    "esp": partial(make_esp, 512),
    "esp-4096": partial(make_esp, 4096),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_all_that_mkfs_changes_is_known(tmp_path, monkeypatch, make) -> None:
    """Hold what is sent against what the same program does to a disk full of garbage."""
    with make() as made:
        known = made.written
    path = tmp_path / "disk"
    path.touch()
    os.truncate(path, EPHEMERAL_MIB * MIB)
    soil(path, [Extent(0, EPHEMERAL_MIB * MIB)])

    # mkfs finds the garbage where it expects an empty file in memory.
    monkeypatch.setattr(os, "memfd_create", lambda _name: os.open(path, os.O_RDWR))
    with make():
        changed = list(find_changes(path))

    assert changed
    for start in changed:
        assert any(e.start <= start < e.end for e in known), f"{start} is not known"


def find_changes(path: Path) -> Iterator[int]:
    """Yield the start of each block of 4 KiB that is not what ``soil`` has left."""
    garbage = random.Random(4).randbytes(MIB)
    with path.open("rb") as file:
        for start in range(0, EPHEMERAL_MIB * MIB, MIB):
            found = file.read(MIB)
            if found != garbage:
                for at in range(0, MIB, 4096):
                    if found[at : at + 4096] != garbage[at : at + 4096]:
                        yield start + at


@pytest.mark.parametrize(
    ("label", "sector_size", "esp_mib"),
    [(Label.MSDOS, 512, 0), (Label.GPT, 4096, 32)],
)
def test_preserve_ephemeral_keeps_every_byte_of_it(  # noqa: PLR0917
    make_node, image, configdrive, tmp_path, label, sector_size, esp_mib
) -> None:
    node = make_node(ROOMY, sector_size=sector_size)
    soil(node.path, [Extent(0, 8 * MIB), Extent(ROOMY - 2 * MIB, 2 * MIB)])
    layout = plan(node, label=label, sector_size=sector_size, esp_mib=esp_mib, configdrive=True)
    write(node.target, layout, image, ephemeral_format=FileSystemType.EXT4,
          configdrive=configdrive)  # fmt: skip
    partitions = read_partitions(node.path, sector_size=sector_size)
    *_esp, ephemeral, swap, drive, root = layout.partitions
    # What the tenant, and a stranger in the rest, have written since.
    soil(node.path, list(layout.partitions))
    before = node.path.read_bytes()
    other = make_image(tmp_path / "other.raw", 12 * MIB)
    configdrive.write_bytes(SOURCE[: 2 * MIB])

    write(node.target, layout, tmp_path / "other.raw", preserve_ephemeral=True,
          configdrive=configdrive)  # fmt: skip

    after = node.path.read_bytes()
    # One comparison, since pytest would print a gigabyte.
    for kept in (slice(MIB), slice(ephemeral.start, ephemeral.end), slice(root.end, None)):
        assert (after[kept] == before[kept]) is True
    assert (after[root.start : root.start + len(other)] == other) is True
    wanted = SOURCE[: 2 * MIB].ljust(drive.size, b"\0")
    assert (after[drive.start : drive.end] == wanted) is True
    assert probe(node.path, swap) == {"TYPE": "swap", "LABEL": "swap1"}
    check_esp(node.path, layout)
    assert read_partitions(node.path, sector_size=sector_size) == partitions


@pytest.mark.parametrize("swap_mib", [9, None])
def test_preserve_ephemeral_refuses_another_layout(make_node, image, swap_mib) -> None:
    node = make_node(64 * MIB)
    soil(node.path, [Extent(0, 64 * MIB)])
    found = "none"
    if swap_mib is not None:
        other = plan(node, ephemeral_mib=16, swap_mib=swap_mib)
        with node.path.open("r+b") as file:
            file.write(msdos.render_table(other, disk_signature=1))
        found = r"1 \(type 0x83, 32768 from 2048\), 2 \(type 0x82, 18432 "
    before = digest_of(node.path, Extent(0, 64 * MIB))

    with pytest.raises(
        InvalidInput, match=rf"preserve_ephemeral needs.*partitions {found}.*Set ephemeral_gb"
    ):
        write(node.target, plan(node, ephemeral_mib=16), image, preserve_ephemeral=True)

    assert digest_of(node.path, Extent(0, 64 * MIB)) == before


def test_preserve_ephemeral_knows_what_parted_has_made(make_node, image) -> None:
    """The drivers of old partitioned with parted, which writes geometry and an active flag."""
    node = make_node(DISK_SIZE)
    subprocess.run(
        [shutil.which("sfdisk", path=os.environ["PATH"] + ":/usr/sbin:/sbin"), "-q", node.path],
        input=b"label: dos\n1M,320M,L,*\n321M,8M,S\n329M,20M,L\n", check=True, timeout=SOON,
    )  # fmt: skip
    table = node.path.read_bytes()[:512]

    write(node.target, plan(node), image, preserve_ephemeral=True)

    assert node.path.read_bytes()[:512] == table


def test_a_missing_mkfs_names_its_package_before_any_write(
    make_node, image, monkeypatch, tmp_path
) -> None:
    node = make_node(64 * MIB)
    layout = plan(node, ephemeral_mib=16)
    maker = file_systems._MAKERS[FileSystemType.XFS]
    missing = replace(maker, command=["mkfs.no-such", *maker.command[1:]])
    monkeypatch.setitem(file_systems._MAKERS, FileSystemType.XFS, missing)
    soil(node.path, [Extent(0, 64 * MIB)])
    before = digest_of(node.path, Extent(0, 64 * MIB))

    with pytest.raises(DiskError, match=r"mkfs.no-such was not found.*package xfsprogs"):
        write(node.target, layout, image, ephemeral_format=FileSystemType.XFS)

    assert digest_of(node.path, Extent(0, 64 * MIB)) == before


def test_the_stages_of_a_write_are_shown(make_node, image, configdrive) -> None:
    node = make_node(ROOMY)
    stages = []

    disk.write_deploy_image(
        node.target, plan(node, configdrive=True), image, "raw",
        ephemeral_format=FileSystemType.EXT4, configdrive=configdrive, verify=True,
        on_progress=lambda progress: stages.append(progress.stage),
        timeout=SOON, stall_timeout=SOON,
    )  # fmt: skip

    assert list(dict.fromkeys(stages)) == list(Stage)


@pytest.fixture
def nova_node(node):
    """Ask for what Nova asks for."""
    node.set("instance_info/ephemeral_gb", "1")
    node.set("instance_info/ephemeral_format", "xfs")
    return node


@pytest.fixture
def large_disk(tmp_path: Path) -> Iterator[Path]:
    """Make a disk with room for 1 GiB of ephemeral and as much of root."""
    path = tmp_path / "disk"
    path.touch()
    os.truncate(path, 2100 * MIB)
    soil(path, [Extent(0, 64 * MIB)])
    yield path
    path.unlink()


def deploy(node, tgtd: Tgtd, path: Path) -> None:
    """Be the ramdisk that offers a disk and calls back."""
    node.wait("wait call-back")
    ramdisk = node.find_ramdisk()
    ramdisk.offer_disk(tgtd, path)
    assert ramdisk.call_back().status_code == 200


def test_novas_parameters_and_a_rebuild_through_ironic(cloud, nova_node, tgtd, large_disk) -> None:
    node = nova_node
    node.provision("active")
    deploy(node, tgtd, large_disk)
    node.wait("active")
    layout = partitions.plan_layout(
        disk_size=2100 * MIB, root_mib=1024, swap_mib=32, ephemeral_mib=1024
    )
    msdos.require_same_table(layout, read(large_disk, Extent(0, 512)))
    check(FileSystemType.XFS, large_disk, layout)
    soil(large_disk, [Extent(200 * MIB, MIB), Extent(layout.root.start, 20 * MIB)])
    tenants = digest_of(large_disk, layout.partitions[0])

    # Refused when it is asked for, and nothing is touched.
    node.set("instance_info/preserve_ephemeral", True)
    node.set("instance_info/ephemeral_gb", 2)
    refused = node.try_provision("rebuild")
    assert not refused.ok
    assert "ephemeral_gb was 1 but requested value is 2" in refused.text
    assert node.show()["provision_state"] == "active"

    node.set("instance_info/ephemeral_gb", 1)
    node.provision("rebuild")
    deploy(node, tgtd, large_disk)
    node.wait("active")
    assert digest_of(large_disk, layout.partitions[0]) == tenants
    image = cloud.artifacts.raw.read_bytes()
    assert (read(large_disk, Extent(layout.root.start, len(image))) == image) is True

    # Another disk than it was: only the disk itself tells.
    with large_disk.open("r+b") as file:
        file.write(bytes(512))
    before = digest_of(large_disk, Extent(0, 2100 * MIB))
    node.provision("rebuild")
    deploy(node, tgtd, large_disk)
    error = node.wait("deploy failed")["last_error"]
    assert "preserve_ephemeral needs the disk partitioned as it was" in error
    assert "has the partitions none" in error
    assert digest_of(large_disk, Extent(0, 2100 * MIB)) == before


def read(path: Path, extent: Extent) -> bytes:
    with path.open("rb") as file:
        file.seek(extent.start)
        return file.read(extent.size)
