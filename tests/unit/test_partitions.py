import itertools
import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_ilo import partitions
from ironic_ilo.exception import DiskError, InvalidInput
from ironic_ilo.partitions import MIB, Extent, Layout, Role

GIB = 1024 * MIB
TOOL_TIMEOUT = 60


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    root_mib = draw(st.integers(1, 2_000_000))
    swap_mib = draw(st.one_of(st.just(0), st.integers(1, 90_000)))
    sector_size = draw(st.sampled_from([512, 4096]))
    spare_sectors = draw(st.one_of(st.integers(0, 3), st.integers(0, 10**10)))
    disk_size = (1 + swap_mib + root_mib) * MIB + spare_sectors * sector_size
    return partitions.plan_layout(
        disk_size=disk_size, root_mib=root_mib, swap_mib=swap_mib, sector_size=sector_size
    )


@given(layouts())
def test_partitions_are_aligned_apart_and_inside_the_disk(layout: Layout) -> None:
    end = MIB
    for number, part in enumerate(layout.partitions, 1):
        assert part.number == number
        assert part.start % MIB == part.size % MIB == 0
        assert part.start >= end
        assert part.size > 0
        end = part.end
    assert layout.partitions[0].start == MIB
    assert layout.root.role is Role.ROOT
    assert end <= layout.disk_size


@given(layouts(), st.data())
def test_wiped_is_what_nothing_else_will_write(layout: Layout, data: st.DataObject) -> None:
    root = layout.root
    image_size = data.draw(st.integers(1, root.size))
    extents = partitions.wipe_extents(layout, image_size)

    assert all(a.end < b.start for a, b in itertools.pairwise(extents))
    assert extents[-1].end <= layout.disk_size
    for must in _must_be_wiped(layout, root.start + image_size):
        assert any(e.start <= must.start and must.end <= e.end for e in extents), must
    # An outsider's data may only be lost at the two ends of the disk.
    assert sum(e.size for e in extents) <= 10 * MIB


def _must_be_wiped(layout: Layout, image_end: int) -> list[Extent]:
    root, swap = layout.root, layout.find(Role.SWAP)
    ends = [Extent(0, MIB), Extent(layout.disk_size - MIB, MIB)]
    ends += [Extent(image_end, min(MIB, root.end - image_end))] if image_end < root.end else []
    tail = max(image_end, root.end - MIB)
    ends += [Extent(tail, root.end - tail)] if tail < root.end else []
    if swap:
        ends += [Extent(swap.start, MIB), Extent(swap.end - MIB, MIB)]
    return ends


def test_swap_comes_first_and_root_last() -> None:
    layout = partitions.plan_layout(disk_size=20 * GIB, root_mib=10 * 1024, swap_mib=512)

    assert [(p.number, p.role, p.start, p.size) for p in layout.partitions] == [
        (1, Role.SWAP, MIB, 512 * MIB),
        (2, Role.ROOT, 513 * MIB, 10 * GIB),
    ]


def test_root_is_the_first_partition_without_swap() -> None:
    layout = partitions.plan_layout(disk_size=20 * GIB, root_mib=1024)

    assert [(p.number, p.start) for p in layout.partitions] == [(1, MIB)]
    assert layout.find(Role.SWAP) is None


def test_a_disk_that_just_fits() -> None:
    assert partitions.plan_layout(disk_size=11 * MIB, root_mib=10).root.end == 11 * MIB


def test_a_disk_too_small_by_one_byte_says_what_to_do() -> None:
    with pytest.raises(DiskError, match=r"1 MiB of swap and 10 MiB of root need 12582912 bytes, "
                       r"it has 12582911.*at least 1 MiB less"):  # fmt: skip
        partitions.plan_layout(disk_size=12 * MIB - 1, root_mib=10, swap_mib=1)


@pytest.mark.parametrize(("sector_size", "limit_mib"), [(512, 2 * 1024**2), (4096, 16 * 1024**2)])
def test_what_an_msdos_table_cannot_express_is_refused(sector_size: int, limit_mib: int) -> None:
    disk_size = 64 * 1024 * GIB
    partitions.plan_layout(disk_size=disk_size, root_mib=limit_mib - 2, sector_size=sector_size)

    with pytest.raises(InvalidInput, match="msdos partition table reaches"):
        partitions.plan_layout(
            disk_size=disk_size, root_mib=limit_mib - 1, sector_size=sector_size
        )


@pytest.mark.parametrize(
    ("root_mib", "swap_mib", "sector_size"), [(0, 0, 512), (-1, 0, 512), (1, -1, 512), (1, 0, 520)]
)
def test_sizes_that_make_no_sense_are_refused(
    root_mib: int, swap_mib: int, sector_size: int
) -> None:
    with pytest.raises(InvalidInput):
        partitions.plan_layout(
            disk_size=GIB, root_mib=root_mib, swap_mib=swap_mib, sector_size=sector_size
        )


TABLES = [(0, 1), (1, 3), (4096, 1_900_000)]


@pytest.mark.parametrize(("swap_mib", "root_mib"), TABLES)
def test_sfdisk_reads_the_table_as_planned(tmp_path, swap_mib, root_mib) -> None:
    layout, disk = _make_disk(tmp_path, 512, swap_mib, root_mib)

    table = json.loads(_run("sfdisk", "-J", disk))["partitiontable"]

    assert (table["label"], table["id"]) == ("dos", "0x1234abcd")
    found = [(p["start"], p["size"], int(p["type"], 16)) for p in table["partitions"]]
    assert found == [(p.start // 512, p.size // 512, p.role.value) for p in layout.partitions]


@pytest.mark.parametrize(("swap_mib", "root_mib"), TABLES)
def test_partx_reads_the_table_of_4096_byte_sectors(tmp_path, swap_mib, root_mib) -> None:
    layout, disk = _make_disk(tmp_path, 4096, swap_mib, root_mib)

    # partx counts in sectors of 512 bytes whatever the disk's are.
    lines = _run("partx", "-S", "4096", "-gr", "-o", "NR,START,SECTORS,TYPE", disk).splitlines()

    found = [tuple(int(word, 0) for word in line.split()) for line in lines]
    assert found == [
        (p.number, p.start // 512, p.size // 512, p.role.value) for p in layout.partitions
    ]


def _make_disk(tmp_path, sector_size, swap_mib, root_mib) -> tuple[Layout, str]:
    layout = partitions.plan_layout(
        disk_size=(2 + swap_mib + root_mib) * MIB,
        root_mib=root_mib,
        swap_mib=swap_mib,
        sector_size=sector_size,
    )
    disk = tmp_path / "disk"
    disk.write_bytes(partitions.render_msdos(layout, disk_signature=0x1234ABCD))
    with disk.open("r+b") as file:
        file.truncate(layout.disk_size)
    return layout, str(disk)


def _run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin"), *arguments],
        check=True, capture_output=True, text=True, timeout=TOOL_TIMEOUT,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def test_the_boot_code_hands_over_to_the_next_device() -> None:
    layout = partitions.plan_layout(disk_size=GIB, root_mib=10)

    assert partitions.render_msdos(layout, disk_signature=1)[:2] == b"\xcd\x18"
