"""The deploy ISO erases the disks of a QEMU machine; then their files are read."""

import json
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.functional.disks import find_signatures, run_tool
from tests.ramdisk_machine import IQN, Call, boot, start_conductor

pytestmark = pytest.mark.e2e

MIB = 1 << 20
EDGE = 16 * MIB
GARBAGE = random.Random(4).randbytes(MIB)
AGENT_TOKEN = "a-Token_of43characters0123456789abcdefghijk"


def make_disk(path: Path, mib: int) -> Path:
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(GARBAGE)
    return path


def attach(disk: Path, name: str, device: str, options: str = "") -> tuple[str, ...]:
    """Give QEMU's options for a disk; what is discarded becomes a hole."""
    drive = f"if=none,id={name},format=raw,cache=unsafe,file={disk}{options}"
    return ("-drive", drive, "-device", f"{device},drive={name}")


def wait_for_the_end(conductor, machine) -> list[Call]:
    """Wait until the ramdisk has erased."""
    machine.wait_until_said("erased: ")
    return list(conductor.calls.queue)


def partition(disk: Path, label: str, partitions: Sequence[str]) -> list[tuple[int, int]]:
    """Make a partition table; give start and size of each partition, in bytes."""
    script = "\n".join((f"label: {label}", *partitions))
    subprocess.run(
        ["sfdisk", "--quiet", "--wipe", "never", disk], input=script, text=True, check=True,
        capture_output=True, timeout=60,
    )  # fmt: skip
    table = json.loads(run_tool("sfdisk", "--json", disk))["partitiontable"]
    return [(part["start"] * 512, part["size"] * 512) for part in table["partitions"]]


def read(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


def describe_erased(erased: list[dict[str, Any]]) -> dict[str, tuple[str, int]]:
    """Give method and size by serial number."""
    for disk in erased:
        assert set(disk) == {"name", "serial", "size", "method", "verified"}
        assert "zeros" in disk["verified"]
    return {disk["serial"]: (disk["method"], disk["size"]) for disk in erased}


def test_metadata_of_every_disk_and_partition(tmp_path, deploy_iso):
    gpt, msdos = make_disk(tmp_path / "gpt", 80), make_disk(tmp_path / "msdos", 60)
    parts = partition(gpt, "gpt", ["size=40MiB", "size=8MiB"])
    run_tool("mke2fs", "-q", "-F", "-E", f"offset={parts[0][0]}", gpt, "20480k")
    primary, _extended, logical = partition(msdos, "dos", ["size=20MiB", "type=5", "size=8MiB"])
    with msdos.open("r+b") as file:
        file.seek(logical[0] + 4086)
        file.write(b"SWAPSPACE2")
    whole = make_disk(tmp_path / "whole", 40)
    run_tool("mke2fs", "-q", "-F", whole)
    disks = (
        *attach(gpt, "d0", "virtio-blk-pci,serial=VIRTIO0", ",discard=unmap"),
        *attach(msdos, "d1", "ide-hd,bus=ide.0,serial=AHCI1"),
        *attach(whole, "d2", "nvme,serial=NVME2"),
    )
    options = {"disks": disks, "action": "erase_devices_metadata"}
    with (
        start_conductor() as conductor,
        boot(tmp_path, deploy_iso, f"http://10.0.2.2:{conductor.port}", **options) as machine,
    ):
        first, *_others, last = wait_for_the_end(conductor, machine)
        assert last.body.items() >= {"key": machine.key, "iqn": IQN, "error": ""}.items()
    assert first.body["progress"]["bytes_total"] == (80 + 60 + 40) * MIB
    assert set(describe_erased(last.body["erased"])) == {"VIRTIO0", "AHCI1", "NVME2"}
    for disk, extents in ((gpt, parts), (msdos, [primary, logical]), (whole, [])):
        assert find_signatures(disk) == []
        for start, size in ((0, disk.stat().st_size), *extents):
            edge = min(size, EDGE)
            assert not any(read(disk, start, edge))
            assert not any(read(disk, start + size - edge, edge))
    # No more than that: it is quick.
    assert read(gpt, parts[0][0] + EDGE, MIB).strip(b"\0")


def test_all_data_of_every_disk(tmp_path, deploy_iso):
    sizes = {"virtio": 50, "ahci": 40, "nvme": 30}
    files = {name: make_disk(tmp_path / name, mib) for name, mib in sizes.items()}
    disks = (
        *attach(files["virtio"], "d0", "virtio-blk-pci,serial=VIRTIO0", ",discard=unmap"),
        *attach(files["ahci"], "d1", "ide-hd,bus=ide.0,serial=AHCI1"),
        *attach(files["nvme"], "d2", "nvme,serial=NVME2"),
    )
    options = {"disks": disks, "action": "erase_devices", "agent_token": AGENT_TOKEN}
    with (
        start_conductor((202, b"")) as conductor,
        boot(tmp_path, deploy_iso, f"http://10.0.2.2:{conductor.port}", **options) as machine,
    ):
        calls = wait_for_the_end(conductor, machine)
    assert {call.body["agent_token"] for call in calls} == {AGENT_TOKEN}
    statuses = [call.body["agent_status"] for call in calls]
    assert (statuses[0], statuses[-1]) == ("start", "end")
    told = json.loads(calls[-1].body["agent_status_message"])
    assert describe_erased(told["erased"]) == {
        "VIRTIO0": ("discard (unmap)", 50 * MIB),
        "AHCI1": ("overwriting with zeros", 40 * MIB),
        "NVME2": ("NVMe format (user data erase)", 30 * MIB),
    }
    for file in files.values():
        assert not any(file.read_bytes())
