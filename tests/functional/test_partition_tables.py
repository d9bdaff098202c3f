"""Partition tables as sfdisk, sgdisk and fdisk read them: any layout, on sparse files."""

import json
import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_ilo import gpt, msdos, partitions, whole_disk
from ironic_ilo.partitions import MIB, Extent, Label, Layout, Role
from tests.functional.disks import read_partitions, run_tool

pytestmark = pytest.mark.functional

# sfdisk's words, and sgdisk's numbers, for what each partition is.
MSDOS_TYPES = {Role.ESP: "ef", Role.SWAP: "82"}
GPT_TYPES = {Role.ESP: "EF00", Role.SWAP: "8200"}
# Each example costs two processes.
EXAMPLES = settings(max_examples=20, deadline=None)


@st.composite
def layouts(draw: st.DrawFn, label: Label) -> Layout:
    """Draw sizes up to what file systems allow a sparse file."""
    sector_size = draw(st.sampled_from([512, 4096]))
    configdrive = draw(st.booleans())
    sizes = {
        "root_mib": draw(st.integers(1, 1_500_000)),
        "swap_mib": draw(st.one_of(st.just(0), st.integers(1, 60_000))),
        "ephemeral_mib": draw(st.one_of(st.just(0), st.integers(1, 60_000))),
    }
    full = label is Label.MSDOS and configdrive and all(sizes.values())
    sizes["esp_mib"] = 0 if full else draw(st.one_of(st.just(0), st.integers(1, 1000)))
    spare = draw(st.integers(0, 10**6)) * sector_size
    return partitions.plan_layout(
        disk_size=(2 + sum(sizes.values()) + 64 * configdrive) * MIB + spare,
        configdrive=configdrive, sector_size=sector_size, label=label, **sizes,
    )  # fmt: skip


def write(path: str, size: int, written: dict[int, bytes]) -> None:
    os.truncate(path, size)
    with Path(path).open("r+b") as file:
        for start, content in written.items():
            file.seek(start)
            file.write(content)


@EXAMPLES
@given(layouts(Label.MSDOS))
def test_msdos(layout: Layout) -> None:
    with tempfile.NamedTemporaryFile() as disk:
        table = msdos.render_table(layout, disk_signature=1)
        write(disk.name, layout.disk_size, {0: table})

        found = read_partitions(Path(disk.name), sector_size=layout.sector_size)
        table = json.loads(run_tool("sfdisk", "--json", disk.name))["partitiontable"]

    assert found == [Extent(part.start, part.size) for part in layout.partitions]
    assert table["label"] == "dos"
    # sfdisk shows the numbers of sectors as they stand in the table.
    assert [(p["start"], p["size"], p["type"]) for p in table["partitions"]] == [
        (
            part.start // layout.sector_size,
            part.size // layout.sector_size,
            MSDOS_TYPES.get(part.role, "83"),
        )
        for part in layout.partitions
    ]


@EXAMPLES
@given(layouts(Label.GPT))
def test_gpt(layout: Layout) -> None:
    with tempfile.NamedTemporaryFile() as disk:
        write(disk.name, layout.disk_size, gpt.render_tables(layout))
        check_gpt(disk.name, layout)


@EXAMPLES
@given(layouts(Label.GPT), st.integers(0, 10**7))
def test_gpt_of_an_image_on_a_larger_disk(layout: Layout, more_sectors: int) -> None:
    disk_size = layout.disk_size + more_sectors * layout.sector_size
    head = gpt.render_tables(layout)[0].ljust(MIB, b"\0")
    table = whole_disk.read_table(
        head, image_size=layout.disk_size, disk_size=disk_size, sector_size=layout.sector_size
    )
    with tempfile.NamedTemporaryFile() as disk:
        write(disk.name, disk_size, {0: head} | table.render(disk_size))
        check_gpt(disk.name, layout)


def check_gpt(path: str, layout: Layout) -> None:
    found = read_partitions(Path(path), sector_size=layout.sector_size)
    assert found == [Extent(part.start, part.size) for part in layout.partitions]
    verdict = run_tool("fdisk", "-b", str(layout.sector_size), path, input="v\nq\n")
    assert "No errors detected" in verdict
    # sgdisk takes every file for a disk with sectors of 512 bytes.
    if layout.sector_size == 512:
        said = run_tool("sgdisk", "--verify", "--print", path)
        assert "No problems found" in said
        types = re.findall(r"^ +\d+ +\d+ +\d+ +[\d.]+ \w+ +(\w{4}) ", said, re.MULTILINE)
        assert types == [GPT_TYPES.get(part.role, "8300") for part in layout.partitions]
