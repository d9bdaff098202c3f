"""The msdos table as others read it, and as it is read back."""

import json
import shutil
import struct
import subprocess

import pytest

from ironic_ilo import msdos, partitions
from ironic_ilo.exception import InvalidInput
from ironic_ilo.partitions import MIB, Layout

TOOL_TIMEOUT = 60
TABLES = [(0, 0, 1), (0, 1, 3), (2, 0, 5), (30_000, 4096, 1_900_000)]
TYPES = {"ephemeral": 0x83, "swap": 0x82, "root": 0x83}


@pytest.mark.parametrize("sizes", TABLES)
def test_sfdisk_reads_the_table_as_planned(tmp_path, sizes) -> None:
    layout, disk = _make_disk(tmp_path, 512, sizes)

    table = json.loads(_run("sfdisk", "-J", disk))["partitiontable"]

    assert (table["label"], table["id"]) == ("dos", "0x1234abcd")
    found = [(p["start"], p["size"], int(p["type"], 16)) for p in table["partitions"]]
    assert found == [
        (p.start // 512, p.size // 512, TYPES[p.role.value]) for p in layout.partitions
    ]


@pytest.mark.parametrize("sizes", TABLES)
def test_partx_reads_the_table_of_4096_byte_sectors(tmp_path, sizes) -> None:
    layout, disk = _make_disk(tmp_path, 4096, sizes)

    # partx counts in sectors of 512 bytes whatever the disk's are.
    lines = _run("partx", "-S", "4096", "-gr", "-o", "NR,START,SECTORS,TYPE", disk).splitlines()

    found = [tuple(int(word, 0) for word in line.split()) for line in lines]
    assert found == [
        (p.number, p.start // 512, p.size // 512, TYPES[p.role.value]) for p in layout.partitions
    ]


def _plan(ephemeral_mib: int, swap_mib: int, root_mib: int, sector_size: int = 512) -> Layout:
    return partitions.plan_layout(
        disk_size=(2 + ephemeral_mib + swap_mib + root_mib) * MIB,
        root_mib=root_mib,
        swap_mib=swap_mib,
        ephemeral_mib=ephemeral_mib,
        sector_size=sector_size,
    )


def _make_disk(tmp_path, sector_size, sizes) -> tuple[Layout, str]:
    layout = _plan(*sizes, sector_size)
    disk = tmp_path / "disk"
    disk.write_bytes(msdos.render_table(layout, disk_signature=0x1234ABCD))
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
    assert msdos.render_table(_plan(0, 0, 10), disk_signature=1)[:2] == b"\xcd\x18"


@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize("sizes", TABLES)
def test_a_table_made_here_is_known_again(sizes, sector_size) -> None:
    layout = _plan(*sizes, sector_size)
    msdos.require_same_table(layout, msdos.render_table(layout, disk_signature=7))


def test_geometry_active_flag_and_boot_code_do_not_matter() -> None:
    layout = _plan(2, 0, 5)
    sector = bytearray(msdos.render_table(layout, disk_signature=7))
    sector[:446] = bytes(range(223)) * 2
    for entry in (446, 462):
        sector[entry] = 0x80
        sector[entry + 1 : entry + 4] = b"\x20\x21\x00"
    msdos.require_same_table(layout, bytes(sector))


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        (_plan(3, 1, 5), r"1 \(type 0x83, 6144 from 2048\)"),
        (_plan(2, 2, 5), r"2 \(type 0x82, 4096 from 6144\)"),
        (_plan(2, 1, 6), r"3 \(type 0x83, 12288 from 8192\)"),
        (_plan(0, 1, 5), r"1 \(type 0x82, 2048 from 2048\)"),
        (_plan(2, 0, 5), r"2 \(type 0x83, 10240 from 6144\)"),
    ],
)
def test_another_layout_is_refused(other, shown) -> None:
    sector = msdos.render_table(other, disk_signature=7)

    with pytest.raises(
        InvalidInput, match=rf"has the partitions [^l]*{shown}.*, the layout asked for"
    ):
        msdos.require_same_table(_plan(2, 1, 5), sector)


def test_one_partition_more_is_refused() -> None:
    layout = _plan(2, 1, 5)
    sector = bytearray(msdos.render_table(layout, disk_signature=7))
    struct.pack_into("<B3xB3xII", sector, 446 + 3 * 16, 0, 0x83, 20480, 2048)

    with pytest.raises(InvalidInput, match=r"4 \(type 0x83, 2048 from 20480\), the layout"):
        msdos.require_same_table(layout, bytes(sector))


@pytest.mark.parametrize("sector", [bytes(512), b"\xa5" * 512])
def test_a_disk_without_a_table_is_refused(sector) -> None:
    with pytest.raises(InvalidInput, match="has the partitions none"):
        msdos.require_same_table(_plan(2, 1, 5), sector)
