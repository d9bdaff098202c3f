"""The table that a whole-disk image brings, and what becomes of it."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_ilo import gpt, msdos, partitions, whole_disk
from ironic_ilo.exception import DiskError, InvalidInput
from ironic_ilo.partitions import CONFIGDRIVE_MIB, MIB, Extent, Label, Layout

SECTOR_SIZES = [512, 4096]


def plan(image_mib: int, sector_size: int = 512, label: Label = Label.GPT) -> Layout:
    """Lay out an image, 5 MiB of swap before root."""
    return partitions.plan_layout(
        disk_size=image_mib * MIB, root_mib=image_mib - 7, swap_mib=5, sector_size=sector_size,
        label=label,
    )  # fmt: skip


def head_of(layout: Layout) -> bytes:
    if layout.label is Label.GPT:
        return gpt.render_tables(layout)[0].ljust(MIB, b"\0")
    return msdos.render_table(layout, disk_signature=0xC0FFEE).ljust(MIB, b"\0")


def read(layout: Layout, disk_size: int, head: bytes | None = None) -> whole_disk.Table:
    return whole_disk.read_table(
        head_of(layout) if head is None else head, image_size=layout.disk_size,
        disk_size=disk_size, sector_size=layout.sector_size,
    )  # fmt: skip


@given(
    st.integers(8, 5_000_000),
    st.one_of(st.integers(0, 9), st.integers(0, 10**10)),
    st.sampled_from(SECTOR_SIZES),
    st.sampled_from(Label),
)
def test_the_partitions_stay_and_the_backup_moves(image_mib, spare, sector_size, label) -> None:
    label = Label.GPT if image_mib > 2_000_000 else label
    layout = plan(image_mib, sector_size, label)
    disk_size = layout.disk_size + spare * sector_size

    table = read(layout, disk_size)
    written = table.render(disk_size)

    assert table.partitions == tuple(Extent(p.start, p.size) for p in layout.partitions)
    ends = whole_disk.find_ends(written, disk_size)
    for at, content in written.items():
        assert any(end.start <= at and at + len(content) <= end.end for end in ends)
    moved = whole_disk.overlay(head_of(layout), 0, written)
    assert len(moved) == MIB
    if label is Label.MSDOS:
        assert moved == head_of(layout)
        assert ends == (Extent(disk_size, 0), Extent(0, MIB))
    else:
        # Read again, it is sound and the same; header and entries of both are at the ends.
        assert read(layout, disk_size, moved).partitions == table.partitions
        last = disk_size // sector_size - 1
        backup = struct.unpack_from("<QQQQ", written[last * sector_size], 24)
        primary = struct.unpack_from("<QQQQ", written[sector_size], 24)
        assert (backup[:2], primary[:2]) == ((last, 1), (1, last))
        assert backup[2:] == primary[2:]
        assert (backup[3] + 1) * sector_size == table.usable_end(disk_size)
        assert all(part.end <= table.usable_end(disk_size) for part in table.partitions)


@given(
    st.integers(8, 5_000_000),
    st.integers(0, 5_000_000),
    st.sampled_from(SECTOR_SIZES),
    st.sampled_from(Label),
)
def test_a_config_drive_lies_behind_the_image(image_mib, spare_mib, sector_size, label) -> None:
    label = Label.GPT if image_mib > 2_000_000 else label
    layout = plan(image_mib, sector_size, label)
    disk_size = layout.disk_size + spare_mib * MIB + 4096
    table = read(layout, disk_size)
    try:
        drive = whole_disk.place_configdrive(table, disk_size)
    except DiskError:
        assert spare_mib < CONFIGDRIVE_MIB
        return

    assert drive.size == CONFIGDRIVE_MIB * MIB
    assert drive.start % MIB == 0
    assert drive.start >= layout.root.end
    assert drive.end <= table.usable_end(disk_size)
    assert table.with_partition(drive).partitions == (*table.partitions, drive)
    written = table.with_partition(drive).render(disk_size)
    again = whole_disk.overlay(head_of(layout), 0, written)
    found = whole_disk.read_table(
        again, image_size=disk_size, disk_size=disk_size, sector_size=sector_size
    )
    assert found.partitions[-1] == drive


@pytest.mark.parametrize("offset", [512, 512 + 16, 512 + 40, 512 + 72, 1024 + 40])
def test_a_damaged_gpt_is_refused(offset) -> None:
    layout = plan(20)
    head = bytearray(head_of(layout))
    head[offset] ^= 1
    with pytest.raises(InvalidInput, match="GPT is damaged"):
        read(layout, layout.disk_size, bytes(head))


@pytest.mark.parametrize(
    ("field", "value"), [("<QIII", (2, 2**31, 128, 0)), ("<QIII", (2**40, 128, 128, 0)),
                         ("<QIII", (2, 128, 1, 0)), ("<QIII", (0, 128, 128, 0))],
)  # fmt: skip
def test_a_hostile_gpt_is_refused(field, value) -> None:
    layout = plan(20)
    head = bytearray(head_of(layout))
    struct.pack_into(field, head, 512 + 72, *value)
    head[528:532] = bytes(4)
    head[528:532] = struct.pack("<I", zlib.crc32(head[512 : 512 + 92]))
    with pytest.raises(InvalidInput, match="GPT is damaged"):
        read(layout, layout.disk_size, bytes(head))


def test_a_partition_that_ends_before_it_begins_is_refused() -> None:
    layout = plan(20)
    head = bytearray(head_of(layout))
    struct.pack_into("<Q", head, 1024 + 40, 5)
    struct.pack_into("<I", head, 512 + 88, zlib.crc32(head[1024 : 1024 + 128 * 128]))
    head[528:532] = bytes(4)
    head[528:532] = struct.pack("<I", zlib.crc32(head[512 : 512 + 92]))
    with pytest.raises(InvalidInput, match="GPT is damaged"):
        read(layout, layout.disk_size, bytes(head))


def test_a_partition_beyond_the_disk_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"ends at byte 19922944.*the last that it can have"):
        read(plan(20), 19 * MIB)


def test_no_table_is_no_whole_disk() -> None:
    for head in (bytes(MIB), b"", b"\x53\xef" * 1000):
        with pytest.raises(InvalidInput, match=r"no partition table.*set kernel and ramdisk"):
            whole_disk.read_disk_identifier(head)


def test_the_disk_identifier_is_as_ironic_has_it() -> None:
    assert whole_disk.read_disk_identifier(head_of(plan(20, label=Label.MSDOS))) == "0x00c0ffee"


def test_a_part_gets_what_lies_in_it() -> None:
    """A config drive can begin before the last MiB; the table wins over it."""
    written = {0: b"before", 8: b"DRIVE", 12: b"TABLE", 20: b"behind"}
    assert whole_disk.overlay(bytes(6), 10, written) == b"IVTABL"
    assert whole_disk.overlay(bytes(2), 6, written) == bytes(2)


def test_a_full_table_has_no_room() -> None:
    table = msdos.read_table(head_of(plan(20, label=Label.MSDOS)), 512)
    assert table is not None
    full = table.with_partition(Extent(MIB, MIB)).with_partition(Extent(MIB, MIB))
    with pytest.raises(InvalidInput, match="has 4 partitions"):
        full.with_partition(Extent(MIB, MIB))


def test_a_hybrid_mbr_stays_as_it_is() -> None:
    layout = plan(20)
    head = bytearray(head_of(layout))
    head[462 + 4] = 0x83
    table = read(layout, 99 * MIB, bytes(head))
    assert table.render(99 * MIB)[0] == head[:512]
