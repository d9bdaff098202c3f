"""The bench measures what it says; how fast anything is, is no matter of tests."""

import json
from pathlib import Path

import pytest

from bench.cli import main

pytestmark = pytest.mark.functional

CASE = "sparse-thin"
KEYS = {"case", "tool", "nodes", "wall_s", "cpu_s", "peak_rss_mib", "wire_bytes", "ratio"}
MIB = 1024 * 1024
# Of the disk of a quick run's image.
VIRTUAL_BYTES = 128 * MIB


def measure(case: str, path: Path) -> list[dict]:
    """Run one quick case, and give its rows."""
    printed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", printed.append)
        options = ["--quick", "--json", "--repeat", "1", "--only", case, "--dir", str(path)]
        assert main(options) == 0
    assert not list(path.iterdir())
    (text,) = printed
    return json.loads(text)


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> dict[str, dict]:
    """Run the case, and give its rows by tool."""
    return {row["tool"]: row for row in measure(CASE, tmp_path_factory.mktemp("bench"))}


def test_more_nodes_than_are_written_to_at_once(tmp_path):
    rows = measure("nodes", tmp_path)
    assert [row["nodes"] for row in rows] == [1, 2, 12]
    assert all(row["wire_bytes"] > row["nodes"] * VIRTUAL_BYTES / 10 for row in rows)


@pytest.mark.parametrize(("case", "nodes"), [("leaks", [4]), ("silent", [4, 4, 4])])
def test_many_servers_at_once(case, nodes, tmp_path):
    """That nothing is left behind is a part of measuring them."""
    rows = measure(case, tmp_path)
    assert [row["nodes"] for row in rows] == nodes


def test_all_tools_stand_side_by_side(rows):
    assert len(rows) == 5
    for row in rows.values():
        assert row.keys() >= KEYS
        assert (row["case"], row["nodes"], row["quick"]) == (CASE, 1, True)
        assert row["wall_s"].keys() == {"median", "min", "max"}
        assert row["wall_s"]["median"] > 0
        assert row["cpu_s"] >= 0


def test_wire_shows_who_sends_zeros(rows):
    """What the kernel counts of TCP is right to a percent."""
    limit = rows["limit: one TCP connection"]["wire_bytes"]
    assert limit < VIRTUAL_BYTES / 2
    for thrifty in ("ironic-ilo", "qemu-img convert"):
        assert limit < rows[thrifty]["wire_bytes"] < 1.05 * limit
    for wasteful in ("historic: raw, then dd", "as the agent writes"):
        assert VIRTUAL_BYTES < rows[wasteful]["wire_bytes"] < 1.05 * VIRTUAL_BYTES


def test_memory_of_the_tools_is_seen(rows):
    """An empty qemu-img takes some MiB; Python's own are not counted."""
    for tool in ("ironic-ilo", "qemu-img convert"):
        assert 4 < rows[tool]["peak_rss_mib"] < 200


def test_targets_are_told_and_missing_them_fails_nothing(rows):
    targets = rows["ironic-ilo"]["targets"]
    assert {target["name"] for target in targets} == {
        "time, of the best peer's",
        "wire bytes, of the data",
        "peak MiB per write",
    }
    assert all(isinstance(target["met"], bool) for target in targets)
