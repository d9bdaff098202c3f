import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_ilo import partitions
from ironic_ilo.exception import DiskError, InvalidInput
from ironic_ilo.partitions import MIB, Extent, Label, Layout, Role

GIB = 1024 * MIB


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    root_mib = draw(st.integers(1, 2_000_000))
    swap_mib = draw(st.one_of(st.just(0), st.integers(1, 30_000)))
    ephemeral_mib = draw(st.one_of(st.just(0), st.integers(1, 60_000)))
    sector_size = draw(st.sampled_from([512, 4096]))
    label = draw(st.sampled_from(Label))
    configdrive = draw(st.booleans())
    # msdos has room for four.
    full = label is Label.MSDOS and swap_mib and ephemeral_mib and configdrive
    esp_mib = 0 if full else draw(st.one_of(st.just(0), st.integers(1, 1000)))
    spare_sectors = draw(st.one_of(st.integers(0, 3), st.integers(0, 10**10)))
    wanted_mib = esp_mib + ephemeral_mib + swap_mib + 64 * configdrive + root_mib
    return partitions.plan_layout(
        disk_size=(2 + wanted_mib) * MIB + spare_sectors * sector_size,
        root_mib=root_mib, swap_mib=swap_mib, ephemeral_mib=ephemeral_mib, esp_mib=esp_mib,
        configdrive=configdrive, sector_size=sector_size, label=label,
    )  # fmt: skip


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
    assert sum(e.size for e in extents) <= (18 + 64) * MIB


@given(layouts(), st.data())
def test_preserving_spares_table_and_ephemeral(layout: Layout, data: st.DataObject) -> None:
    ephemeral = layout.find(Role.EPHEMERAL)
    image_size = data.draw(st.integers(1, layout.root.size))

    spared = partitions.wipe_extents(layout, image_size, preserve_ephemeral=True)

    assert all(e.start >= MIB and e.end <= layout.root.end for e in spared)
    if ephemeral is not None:
        assert all(e.end <= ephemeral.start or e.start >= ephemeral.end for e in spared)
    whole = partitions.wipe_extents(layout, image_size)
    assert all(any(w.start <= e.start and e.end <= w.end for w in whole) for e in spared)


@given(st.lists(st.builds(Extent, st.integers(0, 60), st.integers(0, 9))))
def test_merged_extents_cover_the_same_and_are_apart(extents: list[Extent]) -> None:
    merged = partitions.merge_extents(extents)

    assert {byte for e in merged for byte in range(e.start, e.end)} == {
        byte for e in extents for byte in range(e.start, e.end)
    }
    assert all(a.end < b.start for a, b in itertools.pairwise(merged))
    assert all(e.size > 0 for e in merged)


def _must_be_wiped(layout: Layout, image_end: int) -> list[Extent]:
    root = layout.root
    ends = [Extent(0, MIB), Extent(layout.disk_size - MIB, MIB)]
    ends += [Extent(image_end, min(MIB, root.end - image_end))] if image_end < root.end else []
    tail = max(image_end, root.end - MIB)
    ends += [Extent(tail, root.end - tail)] if tail < root.end else []
    for part in layout.partitions[:-1]:
        ends += [Extent(part.start, MIB), Extent(part.end - MIB, MIB)]
        if part.role is Role.CONFIGDRIVE:
            ends.append(part)
    return ends


def test_the_order_is_ironics() -> None:
    layout = partitions.plan_layout(
        disk_size=20 * GIB, root_mib=10 * 1024, swap_mib=512, ephemeral_mib=1024, esp_mib=200,
        configdrive=True,
    )  # fmt: skip

    assert layout.label is Label.GPT
    assert [(p.number, p.role, p.start, p.size) for p in layout.partitions] == [
        (1, Role.ESP, MIB, 200 * MIB),
        (2, Role.EPHEMERAL, 201 * MIB, GIB),
        (3, Role.SWAP, 1225 * MIB, 512 * MIB),
        (4, Role.CONFIGDRIVE, 1737 * MIB, 64 * MIB),
        (5, Role.ROOT, 1801 * MIB, 10 * GIB),
    ]


def test_msdos_has_no_room_for_five_partitions() -> None:
    sizes = {"disk_size": 20 * GIB, "root_mib": 10, "swap_mib": 5, "ephemeral_mib": 5}
    layout = partitions.plan_layout(**sizes, configdrive=True)
    assert (layout.label, len(layout.partitions)) == (Label.MSDOS, 4)

    with pytest.raises(
        InvalidInput,
        match=r"needs 5: esp, ephemeral, swap, configdrive, root.*Remove.*disk_label:msdos",
    ):
        partitions.plan_layout(**sizes, configdrive=True, esp_mib=200, label=Label.MSDOS)
    layout = partitions.plan_layout(**sizes, esp_mib=200, label=Label.MSDOS)
    assert (layout.label, len(layout.partitions)) == (Label.MSDOS, 4)


def test_root_is_the_first_partition_without_swap() -> None:
    layout = partitions.plan_layout(disk_size=20 * GIB, root_mib=1024)

    assert [(p.number, p.start) for p in layout.partitions] == [(1, MIB)]
    assert layout.find(Role.SWAP) is None


def test_a_disk_that_just_fits() -> None:
    assert partitions.plan_layout(disk_size=11 * MIB, root_mib=10).root.end == 11 * MIB


def test_a_disk_too_small_by_one_byte_says_what_to_do() -> None:
    with pytest.raises(DiskError, match=r"1 MiB of swap and 10 MiB of root, and 1 MiB for the "
                       r"table, need 12582912 bytes, it has 12582911.*at least 1 MiB less "
                       r"\(swap_mb, root_gb\)"):  # fmt: skip
        partitions.plan_layout(disk_size=12 * MIB - 1, root_mib=10, swap_mib=1)


@pytest.mark.parametrize(("sector_size", "limit_mib"), [(512, 2 * 1024**2), (4096, 16 * 1024**2)])
def test_what_an_msdos_table_cannot_express_is_refused(sector_size: int, limit_mib: int) -> None:
    disk_size = 64 * 1024 * GIB
    sizes = {"disk_size": disk_size, "sector_size": sector_size, "label": Label.MSDOS}
    partitions.plan_layout(root_mib=limit_mib - 2, **sizes)

    with pytest.raises(InvalidInput, match=r"msdos partition table reaches.*disk_label:gpt"):
        partitions.plan_layout(root_mib=limit_mib - 1, **sizes)


@pytest.mark.parametrize(
    ("disk_size", "sector_size", "label"),
    [
        (2048 * GIB - 512, 512, Label.MSDOS),
        (2048 * GIB, 512, Label.GPT),
        (2048 * GIB, 4096, Label.MSDOS),
        (16384 * GIB, 4096, Label.GPT),
    ],
)
def test_disks_too_large_for_msdos_get_a_gpt(disk_size, sector_size, label) -> None:
    layout = partitions.plan_layout(disk_size=disk_size, root_mib=10, sector_size=sector_size)
    assert layout.label is label


def test_gpt_needs_room_at_the_end_for_its_backup() -> None:
    partitions.plan_layout(disk_size=12 * MIB, root_mib=10, label=Label.GPT)

    with pytest.raises(DiskError, match="2 MiB for the table"):
        partitions.plan_layout(disk_size=12 * MIB - 512, root_mib=10, label=Label.GPT)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"root_mib": 0}, "Set root_gb to 1 or more"),
        ({"root_mib": -1}, "Set root_gb to 1 or more"),
        ({"swap_mib": -1}, "Set swap_mb to 0 or more"),
        ({"ephemeral_mib": -1}, "Set ephemeral_gb to 0 or more"),
        ({"esp_mib": -1}, r"Set \[ilo\]efi_system_partition_mib to 0 or more"),
        ({"sector_size": 520}, "520 bytes are not known"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        partitions.plan_layout(**({"disk_size": GIB, "root_mib": 1} | sizes))
