"""The GPT as others read it, and as it is read back."""

import shutil
import subprocess

import pytest

from ironic_ilo import gpt, msdos, partitions
from ironic_ilo.exception import InvalidInput
from ironic_ilo.partitions import MIB, Label, Layout

TOOL_TIMEOUT = 60
SECTOR_SIZES = [512, 4096]
TABLES = [(0, 0, 1), (2, 0, 5), (40_000, 4096, 3_900_000)]
DATA, SWAP = "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"
TYPES = {"ephemeral": DATA, "swap": SWAP, "root": DATA}


def _plan(ephemeral_mib: int, swap_mib: int, root_mib: int, sector_size: int = 512) -> Layout:
    return partitions.plan_layout(
        disk_size=(2 + ephemeral_mib + swap_mib + root_mib) * MIB + 5 * sector_size,
        root_mib=root_mib,
        swap_mib=swap_mib,
        ephemeral_mib=ephemeral_mib,
        sector_size=sector_size,
        label=Label.GPT,
    )


@pytest.fixture
def disk(tmp_path, request):
    layout = request.param
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(layout.disk_size)
        for start, content in gpt.render_tables(layout).items():
            file.seek(start)
            file.write(content)
    assert path.stat().st_size == layout.disk_size
    return layout, path


def _fdisk(layout: Layout, *arguments, answers: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which("fdisk", path="/usr/sbin:/sbin:/usr/bin:/bin"),
         "-b", str(layout.sector_size), *arguments],
        check=True, capture_output=True, text=True, input=answers, timeout=TOOL_TIMEOUT,
    )  # fmt: skip


LAYOUTS = [_plan(*sizes, sector_size) for sizes in TABLES for sector_size in SECTOR_SIZES]


@pytest.mark.parametrize("disk", LAYOUTS, indirect=True)
@pytest.mark.parametrize("spoilt", [None, "primary", "backup"])
def test_fdisk_reads_both_tables_as_planned(disk, spoilt) -> None:
    layout, path = disk
    sector = layout.sector_size
    if spoilt:
        with path.open("r+b") as file:
            file.seek(sector if spoilt == "primary" else layout.disk_size - sector)
            file.write(bytes(sector))

    done = _fdisk(layout, "-l", "-o", "Start,Sectors,Type-UUID,Name,UUID", path)

    assert ("corrupt" in done.stderr) is bool(spoilt), done.stderr
    head, _blank, table = done.stdout.partition("\n\n")
    assert "Disklabel type: gpt" in head
    rows = [line.split() for line in table.splitlines()[1:]]
    assert [(int(row[0]), int(row[1]), row[2], row[3]) for row in rows] == [
        (p.start // sector, p.size // sector, TYPES[p.role.value], p.role.value)
        for p in layout.partitions
    ]
    assert len({row[4] for row in rows}) == len(rows)


@pytest.mark.parametrize("disk", LAYOUTS, indirect=True)
def test_fdisk_finds_nothing_to_complain_about(disk) -> None:
    layout, path = disk
    done = _fdisk(layout, path, answers="v\nq\n")
    assert "No errors detected" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_table_made_here_is_known_again(layout) -> None:
    gpt.require_same_table(layout, gpt.render_tables(layout)[0].ljust(MIB, b"\0"))


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (gpt.render_tables(_plan(3, 1, 5))[0], r"1 \(6144 from 2048\), .*"),
        (gpt.render_tables(_plan(2, 0, 5))[0], r"2 \(10240 from 6144\)"),
        (msdos.render_table(_plan(2, 1, 5), disk_signature=1), "none"),
        (b"", "none"),
    ],
)
def test_another_layout_is_refused(found, shown) -> None:
    with pytest.raises(InvalidInput, match=rf"has the partitions [^l]*{shown}, the layout asked"):
        gpt.require_same_table(_plan(2, 1, 5), found.ljust(MIB, b"\0"))


@pytest.mark.parametrize("offset", [512, 520, 528, 600, 1024 + 40])
def test_a_damaged_table_is_none(offset) -> None:
    layout = _plan(2, 1, 5)
    first = bytearray(gpt.render_tables(layout)[0].ljust(MIB, b"\0"))
    first[offset] ^= 1
    with pytest.raises(InvalidInput, match="has the partitions none"):
        gpt.require_same_table(layout, bytes(first))
