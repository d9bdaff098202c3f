"""Whole-disk images and config drives through a real Ironic."""

import base64
import gzip
import json
import os
from pathlib import Path

import pytest
import requests

from ironic_ilo.partitions import MIB
from tests.functional.disks import (
    make_partitioned_image,
    read_partitions,
    run_tool,
)
from tests.web_server import web_server

pytestmark = pytest.mark.functional

USER_DATA = "#cloud-config\npassword: c4nary-user-data\n"
CONFIGDRIVE_MIB = 64


@pytest.fixture
def whole_disk_node(cloud, node, tmp_path):
    """Ask for a whole-disk image, as an operator without Nova does."""
    image = cloud.artifacts.directory / "whole.qcow2"
    raw = make_partitioned_image(tmp_path / "whole.raw", 40 * MIB, "gpt")
    run_tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image)
    node.set("instance_info", {"image_source": image.as_uri(), "image_type": "whole-disk"})
    node.raw = raw
    yield node
    image.unlink()


def deploy(node, tgtd, disk, target: str = "active", configdrive: object = None) -> dict:
    """Deploy to the end, and be the ramdisk."""
    reply = node.cloud.call(
        "PUT",
        f"nodes/{node.uuid}/states/provision",
        {"target": target} | ({"configdrive": configdrive} if configdrive else {}),
    )
    assert reply.status_code == requests.codes.accepted, reply.text
    node.wait("wait call-back")
    ramdisk = node.find_ramdisk()
    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().status_code == requests.codes.ok
    return node.wait("active")


def test_whole_disk_image_boots_from_the_disk(cloud, whole_disk_node, tgtd, disk) -> None:
    node = whole_disk_node
    shown = deploy(node, tgtd, disk)

    assert shown["power_state"] == "power on"
    assert "boot_iso" not in shown["instance_info"]
    assert node.drives() == {"FLOPPY": None, "CDROM": None}
    assert node.emulated()["boots"][-1]["device"] == "hdd"
    device = cloud.ask("GET", f"nodes/{node.uuid}/management/boot_device")
    assert (device["boot_device"], device["persistent"]) == ("disk", True)
    signature = node.raw.read_bytes()[440:444]
    identifier = f"0x{int.from_bytes(signature, 'little'):08x}"
    assert shown["driver_internal_info"]["root_uuid_or_disk_id"] == identifier
    assert not cloud.stored(f"image-{node.uuid}")
    run_tool("sgdisk", "--verify", disk)
    assert read_partitions(disk) == read_partitions(node.raw)
    body = slice(MIB, 39 * MIB)
    with disk.open("rb") as file:
        assert (file.read(39 * MIB)[body] == node.raw.read_bytes()[body]) is True

    # A reboot attaches nothing.
    starts = node.emulated()["starts"]
    node.power("rebooting")
    assert node.emulated()["starts"] == starts + 1
    assert node.emulated()["boots"][-1]["device"] == "hdd"
    assert node.drives() == {"FLOPPY": None, "CDROM": None}

    # A rebuild with a config drive appends a partition for it.
    deploy(node, tgtd, disk, "rebuild", {"user_data": USER_DATA})
    *own, configdrive = read_partitions(disk)
    assert own == read_partitions(node.raw)
    assert configdrive.size == CONFIGDRIVE_MIB * MIB
    run_tool("sgdisk", "--verify", disk)
    check_configdrive(disk, configdrive)

    # A rebuild with a partition image gives it a boot ISO, and back again takes it away.
    info = cloud.artifacts.instance_info()
    node.set("instance_info", info)
    assert deploy(node, tgtd, disk, "rebuild")["instance_info"]["boot_iso"]
    for name in ("kernel", "ramdisk", "swap_mb"):
        node.set(f"instance_info/{name}", ...)
    node.set("instance_info/image_type", "whole-disk")
    node.set("instance_info/image_source", (cloud.artifacts.directory / "whole.qcow2").as_uri())
    shown = deploy(node, tgtd, disk, "rebuild")
    assert "boot_iso" not in shown["instance_info"]
    assert "ilo_boot_iso" not in shown["driver_internal_info"]
    assert node.drives() == {"FLOPPY": None, "CDROM": None}

    node.provision("deleted")
    assert node.wait("available")["power_state"] == "power off"


def test_what_is_no_whole_disk_image_is_refused_before_the_server_is_touched(
    cloud, whole_disk_node
) -> None:
    node = whole_disk_node
    starts = node.emulated()["starts"]
    node.set("instance_info/image_source", cloud.artifacts.image.as_uri())
    node.provision("active")
    error = node.wait("deploy failed")["last_error"]
    assert "has no partition table" in error
    assert "set kernel and ramdisk" in error
    assert node.emulated()["starts"] == starts


def check_configdrive(disk: Path, part) -> None:
    """Check that a partition is a config drive with the user data."""
    cut = disk.with_suffix(".iso")
    with disk.open("rb") as file:
        file.seek(part.start)
        cut.write_bytes(file.read(part.size))
    try:
        assert run_tool("blkid", "-p", "-s", "LABEL", "-o", "value", cut).strip() == "config-2"
        found = cut.with_suffix(".found")
        run_tool("xorriso", "-osirrox", "on", "-indev", cut, "-extract",
                 "/openstack/latest/user_data", found)  # fmt: skip
        assert found.read_text() == USER_DATA
    finally:
        cut.unlink()


@pytest.fixture
def packed(tmp_path) -> str:
    """Make a config drive as Nova does."""
    tree = tmp_path / "tree/openstack/latest"
    tree.mkdir(parents=True)
    (tree / "meta_data.json").write_text(json.dumps({"uuid": "here"}))
    (tree / "user_data").write_text(USER_DATA)
    iso = tmp_path / "configdrive.iso"
    run_tool("xorriso", "-as", "mkisofs", "-quiet", "-V", "config-2", "-R", "-J", "-o", iso,
             tmp_path / "tree")  # fmt: skip
    return base64.b64encode(gzip.compress(iso.read_bytes())).decode()


def test_config_drives_as_ironic_gives_them(node, tgtd, disk, packed, tmp_path) -> None:
    """Text, a URL, and an object: each time on the same disk, in the same place."""
    os.truncate(disk, 1200 * MIB)
    deploy(node, tgtd, disk, configdrive=packed)
    swap, configdrive, root = read_partitions(disk)
    assert (swap.size, configdrive.size, root.size) == (32 * MIB, 64 * MIB, 1024 * MIB)
    check_configdrive(disk, configdrive)

    (tmp_path / "served").mkdir()
    (tmp_path / "served/drive").write_text(packed)
    for given in ("a URL", {"user_data": USER_DATA, "meta_data": {"a": 1}}):
        erase(disk, configdrive)
        with web_server(tmp_path / "served") as url:
            form = f"{url}/drive?sig=c4nary" if given == "a URL" else given
            shown = deploy(node, tgtd, disk, "rebuild", form)
        assert "c4nary" not in json.dumps(shown)
        assert read_partitions(disk) == [swap, configdrive, root]
        check_configdrive(disk, configdrive)


def erase(disk: Path, part) -> None:
    """Put garbage where the next config drive goes."""
    with disk.open("r+b") as file:
        file.seek(part.start)
        file.write(b"\xa5" * part.size)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("SGVsbG8=", "is not gzipped, or damaged"),
        (base64.b64encode(gzip.compress(b"noise" * 300)).decode(), "labelled config-2"),
        ("http://127.0.0.1:1/drive?sig=c4nary", "cannot be read from http://127.0.0.1:1/drive:"),
    ],
    # Not their content: gzip notes the time.
    ids=["not-gzipped", "no-config-drive", "out-of-reach"],
)  # fmt: skip
def test_a_bad_config_drive_fails_before_the_server_is_touched(node, given, reason) -> None:
    starts = node.emulated()["starts"]
    node.cloud.ask(
        "PUT", f"nodes/{node.uuid}/states/provision", {"target": "active", "configdrive": given}
    )
    error = node.wait("deploy failed")["last_error"]
    assert "Cannot use the config drive" in error
    assert reason in error
    assert "c4nary" not in error
    assert node.emulated()["starts"] == starts
