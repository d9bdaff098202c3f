"""How far a write is, told stage by stage."""

import time

import pytest

from ironic_ilo import disk, qemu_img, read_back
from ironic_ilo.disk import Progress, Stage
from ironic_ilo.partitions import MIB, Extent


@pytest.fixture
def told(monkeypatch, tmp_path) -> list[Progress]:
    """Write an image and a config drive to nowhere, verify both, and return all that was told."""
    monkeypatch.setattr(disk, "_SECONDS_BETWEEN_PROGRESS", 0.0)

    def move(*_arguments: object, on_percent, **_options: object) -> None:
        time.sleep(0.001)
        on_percent(50.0)
        on_percent(100.0)

    monkeypatch.setattr(qemu_img, "convert", move)
    monkeypatch.setattr(read_back, "compare", move)
    seen: list[Progress] = []
    write = disk._Write(None, 100 * MIB, seen.append, 60.0, 60.0)
    sources = [
        disk._Source(stage, tmp_path, "raw", Extent(0, MIB))
        for stage in (Stage.WRITE, Stage.CONFIGDRIVE)
    ]
    disk._copy(write, sources, verify=True)
    assert list(write.seconds) == [Stage.WRITE, Stage.VERIFY, Stage.CONFIGDRIVE]
    return seen


def test_progress_is_the_image_s(told) -> None:
    assert [(p.stage.value, p.percent, p.bytes_done // MIB) for p in told] == [
        (stage, percent, percent)
        for stage, percents in [
            ("write", (0, 50, 100)),
            ("verify", (0, 50, 100)),
            ("configdrive", (100, 100, 100)),
            ("verify", (100, 100, 100)),
        ]
        for percent in percents
    ]


def test_a_rate_is_known_while_the_image_moves(told) -> None:
    moving = [p for p in told[:6] if p.percent]
    assert all(p.bytes_per_second > 0 for p in moving)
    assert [p.bytes_per_second for p in told if p not in moving] == [0.0] * 8
