"""QEMU's command line."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ilo_emulator.config import Accel, DiskInterface, load
from ilo_emulator.media_proxy import MediaProxy
from ilo_emulator.ovmf import FlashImages
from ilo_emulator.qemu_command import Launch
from ilo_emulator.state import BootDevice, Device

CONFIG = """
[emulator]
state_dir = "state"
[[server]]
name = "node-0"
address = "127.0.20.11"
password = "hunter2"
serial_number = "CZ,1"
machine = "qemu"
[server.qemu]
disk = "d.qcow2"
mac = "52:54:00:12:34:56"
iscsi_portal = "127.0.20.11:20260"
disk_interface = "{interface}"
"""


class _Proxy(MediaProxy):
    """A proxy whose address is known without listening."""

    def url(self, device: Device) -> str:
        return f"http://127.0.0.1:1/{device}"


def launch(
    tmp_path: Path,
    interface: str = "ahci",
    accel: Accel = Accel.TCG,
    flash: FlashImages | None = None,
    more: str = "",
) -> Launch:
    (tmp_path / "lab.toml").write_text(CONFIG.format(interface=interface) + more)
    server = load(tmp_path / "lab.toml").servers[0]
    assert server.qemu is not None
    proxy = _Proxy(tmp_path / "pass,word")
    proxy.load(Device.CDROM, "https://images/secret-signature/boot.iso")
    return Launch(
        server=server,
        qemu=server.qemu,
        accel=accel,
        order=[BootDevice.CDROM, BootDevice.HDD, BootDevice.NETWORK],
        media=[Device.CDROM],
        flash=flash,
        proxy=proxy,
        console_log=tmp_path / "console,1.log",
        qmp_fd=7,
    )


def options(command: list[str], name: str) -> list[str]:
    return [value for key, value in itertools.pairwise(command) if key == name]


def devices(command: list[str]) -> dict[str, dict[str, Any]]:
    described = [json.loads(text) for text in options(command, "-device")]
    return {device["driver"]: device for device in described}


def test_boots_in_the_order_of_the_plan(tmp_path: Path):
    parts = devices(launch(tmp_path).command())
    assert parts["scsi-cd"]["bootindex"] == 0
    assert parts["ide-hd"]["bootindex"] == 1
    assert "bootindex" not in parts["e1000e"]
    assert options(launch(tmp_path).command(), "-boot") == ["strict=on"]


def test_there_is_no_secret_in_it(tmp_path: Path):
    command = " ".join(launch(tmp_path).command())
    assert "hunter2" not in command
    assert "secret-signature" not in command


def test_commas_are_escaped(tmp_path: Path):
    command = launch(tmp_path).command()
    assert any("serial=CZ,,1" in text for text in options(command, "-smbios"))
    assert any(text.endswith("console,,1.log,append=on") for text in options(command, "-chardev"))
    assert any(text.endswith("pass,,word") for text in options(command, "-object"))


def test_ports_are_reached_from_outside(tmp_path: Path):
    [network] = options(launch(tmp_path).command(), "-netdev")
    iscsi = ",hostfwd=tcp:127.0.20.11:20260-:3260"
    assert network.endswith(f",ipv6=off{iscsi}")
    more = 'agent_portal = "127.0.20.11:9999"\n'
    [network] = options(launch(tmp_path, more=more).command(), "-netdev")
    assert network.endswith(f",ipv6=off{iscsi},hostfwd=tcp:127.0.20.11:9999-:9999")


@pytest.mark.parametrize(
    ("interface", "driver"),
    [
        (DiskInterface.AHCI, "ide-hd"),
        (DiskInterface.VIRTIO, "virtio-blk-pci"),
        (DiskInterface.MEGASAS, "scsi-hd"),
        (DiskInterface.NVME, "nvme"),
    ],
)
def test_disk_interfaces(tmp_path: Path, interface: str, driver: str):
    assert devices(launch(tmp_path, interface).command())[driver]["drive"] == "disk0"


def test_several_disks_are_tried_in_their_order(tmp_path: Path):
    more = """serial = "MAIN"
extra_disks = [
    { interface = "nvme", sector_size = 4096 },
    { interface = "megasas", serial = "RAID-1" },
    { size_gib = 2 },
]
"""
    command = launch(tmp_path, more=more).command()
    described = [json.loads(text) for text in options(command, "-device")]
    disks = [device for device in described if device.get("drive", "").startswith("disk")]
    facts = [(d["driver"], d.get("serial"), d["logical_block_size"]) for d in disks]
    assert facts == [
        ("ide-hd", "MAIN", 512),
        ("nvme", "disk1", 4096),
        ("scsi-hd", "RAID-1", 512),
        ("ide-hd", None, 512),
    ]
    assert [disk["bus"] for disk in disks if disk["driver"] == "ide-hd"] == ["ide.0", "ide.3"]
    boot = {device["id"]: device["bootindex"] for device in described if "bootindex" in device}
    assert sorted(boot, key=boot.__getitem__) == ["cdrom", "disk0", "disk1", "disk2", "disk3"]
    nodes = [json.loads(text) for text in options(command, "-blockdev")]
    files = {node["node-name"]: node["file"]["filename"] for node in nodes if "file" in node}
    assert files["disk2"] == str(tmp_path / "d-2.qcow2")


def test_uefi(tmp_path: Path):
    flash = FlashImages(tmp_path / "code.fd", tmp_path / "variables.fd")
    command = launch(tmp_path, flash=flash).command()
    assert options(command, "-machine") == ["q35,smm=on,pflash0=code,pflash1=variables"]
    assert options(command, "-global") == ["driver=cfi.pflash01,property=secure,value=on"]
    nodes = {node["node-name"]: node for node in map(json.loads, options(command, "-blockdev"))}
    assert nodes["code"]["read-only"]
    assert nodes["code"]["file"]["filename"] == str(flash.code)
    assert nodes["variables"]["file"]["filename"] == str(flash.variables)
    assert options(launch(tmp_path).command(), "-machine") == ["q35"]


def test_accelerators(tmp_path: Path):
    assert options(launch(tmp_path).command(), "-accel") == ["tcg,thread=multi"]
    assert options(launch(tmp_path, accel=Accel.KVM).command(), "-accel") == ["kvm"]
