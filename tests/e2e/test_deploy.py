"""The whole flow with a machine that boots: what is on its disk, and that it runs from there."""

import json
import secrets
import subprocess
from pathlib import Path

import pytest

from lab.emulator import Control
from lab.node import Node, connected, enrol
from lab.services import running_services
from lab.settings import Ports, Settings, with_free_ports
from lab.sources import offer
from lab.tiny_instance import wait_for_report

pytestmark = pytest.mark.e2e

MIB = 1024 * 1024
DISK_MIB = 2200
# Several times what it takes here: CI's cores are shared.
DEADLINE = 600


def make_dirty_disk(path, directory):
    """Make a disk without a byte to trust: what a former tenant left."""
    raw = directory / "dirty.raw"
    garbage = secrets.token_bytes(MIB)
    with raw.open("wb") as file:
        for _ in range(DISK_MIB):
            file.write(garbage)
    path.parent.mkdir(parents=True)
    convert(raw, path, "raw", "qcow2")
    raw.unlink()


def convert(source, target, source_format, target_format):
    subprocess.run(
        ["qemu-img", "convert", "-f", source_format, "-O", target_format, source, target],
        check=True,
        timeout=DEADLINE,
    )


@pytest.mark.timeout(4 * DEADLINE)
def test_image_on_a_dirty_disk_is_the_source_byte_for_byte(tmp_path, deploy_iso, tiny_instance):
    settings = with_free_ports(
        Settings(tmp_path / "lab", ports=Ports.any_free(), first_address="127.0.71.10")
    )
    disk = settings.directory / "emulator" / "node-0.qcow2"
    make_dirty_disk(disk, tmp_path)
    files = [deploy_iso.parent, tiny_instance.directory]
    with (
        running_services(settings, file_paths=files) as services,
        connected(services) as connection,
    ):
        control = Control(services.control_url)
        console = Path(control.server("node-0")["console_log"])
        sources = offer(services, deploy_iso, tiny_instance)
        node = Node(connection, enrol(services, services.servers["node-0"], sources))
        node.assign(sources)
        ephemeral = {"op": "add", "path": "/instance_info/ephemeral_gb", "value": 1}
        connection.baremetal.patch_node(node.uuid, [ephemeral])
        node.deploy(timeout=DEADLINE)
        report, seen = wait_for_report(console, after=0, timeout=DEADLINE)
        assert report.ephemeral["boots"] == 1
        # What the machine read through virtual media: the whole deploy ISO at the most once.
        assert control.server("node-0")["bytes_fetched"] < 3 * deploy_iso.stat().st_size
        node.reboot()
        report, _ = wait_for_report(console, after=seen, timeout=DEADLINE)
        assert report.ephemeral["boots"] == 2
        node.undeploy()
        control.close()
    compare(disk, tiny_instance.root, tmp_path)


def compare(disk, image, directory):
    """Hold a disk against the image; the instance has only read from it."""
    raw, source = directory / "disk.raw", directory / "source.raw"
    convert(disk, raw, "qcow2", "raw")
    convert(image, source, "qcow2", "raw")
    shown = subprocess.run(["sfdisk", "--json", raw], check=True, capture_output=True, timeout=60)
    table = json.loads(shown.stdout)["partitiontable"]
    ephemeral, swap, root = table["partitions"]
    assert (ephemeral["type"], swap["type"], root["type"]) == ("83", "82", "83")
    expected = source.read_bytes()
    with raw.open("rb") as file:
        file.seek(root["start"] * 512)
        assert file.read(len(expected)) == expected
        # What a former tenant's partition table or RAID left at the end of the disk is gone.
        file.seek(-MIB, 2)
        assert file.read() == bytes(MIB)
