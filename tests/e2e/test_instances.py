"""The whole flow with machines that boot, and instances that tell what they find on their disks.

The servers are of one lab. Each has two disks without a byte to trust: what a former tenant left.
"""

import base64
import gzip
import hashlib
import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from lab.emulator import Control
from lab.instance_image import InstanceImage
from lab.node import ConfigDriveSource, Node, connected, enrol
from lab.services import Services, running_services
from lab.settings import Disk, Ports, Settings, cache_directory, with_free_ports
from lab.sources import Sources, offer
from lab.tiny_instance import KERNEL_PARAMETERS, ConfigDrive, Report
from lab.whole_disk_image import Table, build_whole_disk_image
from tests.e2e.server import DEADLINE, Server
from tests.web_server import web_server

pytestmark = pytest.mark.e2e

MIB = 1024 * 1024
GIB = 1024 * MIB
DISK_MIB = 2560
# Beside the one that is deployed to.
OTHER_DISK = Disk(size_gib=3, sector_size=4096, interface="nvme")
SWAP_MIB = 64
USER_DATA = b"#!/bin/sh\necho hello\n"
META_DATA = {"name": "tiny", "uuid": "8a3f7b3e-5a0e-4f0e-9d52-2f8f3c1f5b10"}
# What a config drive holds, by path.
CONFIG_DRIVE = {
    "openstack/latest/meta_data.json": json.dumps(META_DATA).encode(),
    "openstack/latest/user_data": USER_DATA,
}


@dataclass
class InstanceServer(Server):
    """A server that instances are deployed to."""

    def deploy(
        self,
        instance_info: dict[str, Any],
        config_drive: ConfigDriveSource,
        *,
        verb: str = "active",
    ) -> Report:
        """Deploy, or ``rebuild``, and return what the instance says."""
        self.node.assign(Sources("", instance_info))
        self.node.move(verb, "active", timeout=DEADLINE, config_drive=config_drive)
        return self.report()

    def bytes_fetched(self) -> int:
        """Count what it has read through virtual media."""
        return int(self.state()["bytes_fetched"])


@dataclass
class Lab:
    """The running lab; each test takes a server of its own."""

    services: Services
    connection: Connection
    control: Control
    disks: Path
    deploy_iso: Path

    def server(self, name: str) -> InstanceServer:
        """Enrol a server."""
        sources = Sources(self.deploy_iso.as_uri(), {})
        uuid = enrol(self.services, self.services.servers[name], sources)
        disk = self.disks / f"{name}.qcow2"
        return InstanceServer(Node(self.connection, uuid), self.control, name, disk)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Make a directory for the files of all tests in here."""
    return tmp_path_factory.mktemp("instances")


@pytest.fixture(scope="module")
def lab(files, deploy_iso, tiny_instance) -> Iterator[Lab]:
    """Run a lab of servers that boot in BIOS mode until somebody asks for another."""
    settings = with_free_ports(
        Settings(
            files / "lab",
            ports=Ports.any_free(),
            nodes=4,
            first_address="127.0.73.10",
            generation="ilo4-gen9",
            extra_disks=(OTHER_DISK,),
        )
    )
    disks = settings.directory / "emulator"
    disks.mkdir(parents=True)
    for name in settings.node_names():
        make_dirty_disk(disks / f"{name}.qcow2", files / "garbage.raw")
        make_dirty_disk(disks / f"{name}-1.qcow2", files / "garbage.raw")
    paths, options = [cache_directory(), files], {"ilo": {"verify_after_write": True}}
    with (
        running_services(settings, file_paths=paths, options=options) as services,
        connected(services) as connection,
        closing(Control(services.control_url)) as control,
    ):
        yield Lab(services, connection, control, disks, deploy_iso)


def make_dirty_disk(disk: Path, garbage: Path) -> None:
    """Make a disk on which what nobody has written since is garbage, down to its last byte."""
    if not garbage.exists():
        mebibyte = secrets.token_bytes(MIB)
        with garbage.open("wb") as file:
            for _ in range(DISK_MIB):
                file.write(mebibyte)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", garbage, "-F", "raw", disk)


@pytest.mark.timeout(4 * DEADLINE)
def test_partition_image_in_bios_mode_and_rebuilt_with_its_ephemeral_data(
    lab, files, tiny_instance
):
    server = lab.server("node-0")
    info = partition_image(lab, tiny_instance) | {
        "ephemeral_gb": 1,
        "root_device": {"rotational": True},
    }
    config_drive = make_config_drive(files)
    before = server.deploy(info, config_drive)
    assert before == Report(
        firmware="bios",
        secure_boot=False,
        partitions=before.partitions,
        root="sda4",
        swap={"device": "sda2", "size": SWAP_MIB * MIB - 4096},
        ephemeral={"device": "sda1", "type": "ext4", "boots": 1},
        config_drive=ConfigDrive("sda3", "iso9660", CONFIG_DRIVE),
        esp=None,
    )
    assert (before.partitions["sda1"], before.partitions["sda4"]) == (GIB, GIB)
    # What the machine has read through virtual media: the whole deploy ISO at the most once.
    assert server.bytes_fetched() < 3 * lab.deploy_iso.stat().st_size
    server.node.reboot()
    assert server.report() == again(before, boots=2)
    after = server.deploy(info | {"preserve_ephemeral": True}, config_drive, verb="rebuild")
    assert after == again(before, boots=3)
    server.node.undeploy()
    compare(server.disk, tiny_instance.root, files)


@pytest.mark.timeout(4 * DEADLINE)
def test_partition_image_under_secure_boot(lab, files, tiny_instance):
    server = lab.server("node-1")
    raw = files / "root.raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", tiny_instance.root, raw)
    info = partition_image(lab, tiny_instance) | {
        **image_source(raw, "raw"),
        "ephemeral_gb": 1,
        "ephemeral_format": "xfs",
        "capabilities": {"secure_boot": "true"},
        "root_device": {"model": "s== QEMU HARDDISK"},
    }
    report = server.deploy(info, {"meta_data": META_DATA, "user_data": USER_DATA.decode()})
    assert report == Report(
        firmware="uefi",
        secure_boot=True,
        partitions=report.partitions,
        root="sda5",
        swap={"device": "sda3", "size": SWAP_MIB * MIB - 4096},
        ephemeral={"device": "sda2", "type": "xfs", "boots": 1},
        config_drive=report.config_drive,
        esp="sda1",
    )
    assert (report.partitions["sda2"], report.partitions["sda5"]) == (GIB, GIB)
    check_built_config_drive(report.config_drive, device="sda4")
    server.node.undeploy()


@pytest.mark.timeout(4 * DEADLINE)
def test_whole_disk_image_in_bios_mode(lab, files):
    server = lab.server("node-2")
    (files / "config-drive").write_text(make_config_drive(files))
    with web_server(files) as url:
        report = server.deploy(whole_disk_image(Table.MSDOS, "raw"), f"{url}/config-drive")
    check_whole_disk(report, firmware="bios")
    server.node.reboot()
    assert server.report() == report
    server.node.undeploy()


@pytest.mark.timeout(4 * DEADLINE)
def test_whole_disk_image_in_uefi_mode(lab, files):
    server = lab.server("node-3")
    info = whole_disk_image(Table.GPT, "qcow2") | {"capabilities": {"boot_mode": "uefi"}}
    report = server.deploy(info, make_config_drive(files))
    check_whole_disk(report, firmware="uefi")
    server.node.undeploy()


def partition_image(lab: Lab, image: InstanceImage) -> dict[str, Any]:
    return offer(lab.services, lab.deploy_iso, image).instance_info | {
        "swap_mb": SWAP_MIB,
        "kernel_append_params": KERNEL_PARAMETERS,
    }


def whole_disk_image(table: Table, image_format: str) -> dict[str, Any]:
    image = build_whole_disk_image(table)
    path = image.raw if image_format == "raw" else image.qcow2
    return {
        "image_type": "whole-disk",
        "root_device": {"model": "s== QEMU HARDDISK"},
        **image_source(path, image_format),
    }


def image_source(path: Path, image_format: str) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "image_source": path.as_uri(),
        "image_disk_format": image_format,
        "image_os_hash_algo": "sha256",
        "image_os_hash_value": digest,
    }


def make_config_drive(directory: Path) -> str:
    """Make one as Nova does: a gzipped ISO in Base64."""
    tree, iso = directory / "config-drive-tree", directory / "config-drive.iso"
    for name, content in CONFIG_DRIVE.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    run("xorriso", "-as", "mkisofs", "-quiet", "-J", "-R", "-V", "config-2", "-o", iso, tree)
    return base64.b64encode(gzip.compress(iso.read_bytes())).decode()


def check_built_config_drive(found: ConfigDrive | None, *, device: str) -> None:
    """Check one that Ironic has built from meta data and user data."""
    assert found is not None
    assert (found.device, found.type) == (device, "iso9660")
    meta_data = json.loads(found.files["openstack/latest/meta_data.json"])
    assert META_DATA.items() <= meta_data.items()
    assert found.files["openstack/latest/user_data"] == USER_DATA


def check_whole_disk(report: Report, *, firmware: str) -> None:
    """Check that nothing is on the disk but the image's two partitions and a config drive."""
    assert report == Report(
        firmware=firmware,
        secure_boot=False,
        partitions=report.partitions,
        root="sda2",
        swap=None,
        ephemeral=None,
        config_drive=ConfigDrive("sda3", "iso9660", CONFIG_DRIVE),
        esp=None,
    )
    assert list(report.partitions) == ["sda1", "sda2", "sda3"]


def again(report: Report, *, boots: int) -> Report:
    """Say what the same instance says when its ephemeral data have seen so many boots."""
    return replace(report, ephemeral=report.ephemeral | {"boots": boots})


def compare(disk: Path, image: Path, directory: Path) -> None:
    """Hold a disk against the image; the instance has only read from it."""
    head = read_disk(disk, directory, start=0, size=MIB)
    with head.open("r+b") as file:
        file.truncate(DISK_MIB * MIB)
    partitions = json.loads(run("sfdisk", "--json", head))["partitiontable"]["partitions"]
    assert [part["type"] for part in partitions] == ["83", "82", "83", "83"]
    source = directory / "source.raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, source)
    start, size = partitions[-1]["start"] * 512, source.stat().st_size
    root = read_disk(disk, directory, start=start, size=size)
    assert root.read_bytes() == source.read_bytes()
    # What a former tenant's partition table or RAID left at the end of the disk is gone.
    end = read_disk(disk, directory, start=(DISK_MIB - 1) * MIB, size=MIB)
    assert end.read_bytes() == bytes(MIB)


def read_disk(disk: Path, directory: Path, *, start: int, size: int) -> Path:
    """Copy a part of a disk into a file."""
    part = directory / f"from-{start}"
    source = f"driver=raw,offset={start},size={size},file.driver=qcow2,file.file.filename={disk}"
    run("qemu-img", "convert", "--image-opts", "-O", "raw", source, part)
    return part


def run(*argv: str | Path) -> str:
    return subprocess.run(
        argv, check=True, capture_output=True, text=True, timeout=DEADLINE
    ).stdout
