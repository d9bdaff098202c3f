"""The whole flow in a real Ironic: deploy, reboot, tear down, with the ramdisk played."""

import json
import subprocess
import time

import pytest

from tests.functional.conftest import MIB

pytestmark = pytest.mark.functional


def read(path, start, size):
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


def partition_table(disk):
    done = subprocess.run(
        ["sfdisk", "--json", str(disk)], check=True, capture_output=True, timeout=60
    )
    return json.loads(done.stdout)["partitiontable"]


def test_deploy_and_tear_down(cloud, node, tgtd, disk):
    ramdisk = node.boot_ramdisk()
    booted = node.emulated()
    assert booted["booted_from"] == "cdrom"
    assert booted["media"]["FLOPPY"]["connected"]
    assert cloud.stored(f"image-{node.uuid}")

    ramdisk.offer_disk(tgtd, disk)
    reply = ramdisk.call_back()
    assert (reply.status_code, reply.json()) == (200, None)
    shown = node.wait("active")

    # The disk: swap, then root with the image, byte by byte, although it was full of garbage.
    table = partition_table(disk)
    assert table["label"] == "dos"
    swap, root = table["partitions"]
    assert (swap["type"], swap["size"]) == ("82", 32 * MIB // 512)
    assert (root["type"], root["size"]) == ("83", 1024 * MIB // 512)
    image = cloud.artifacts.raw.read_bytes()
    assert read(disk, root["start"] * 512, len(image)) == image

    # The node: on, its boot ISO alone in the drives, nothing of the deploy left.
    assert shown["power_state"] == "power on"
    assert shown["last_error"] is None
    name = shown["instance_info"]["boot_iso"]
    assert name == shown["driver_internal_info"]["ilo_boot_iso"]
    drives = node.drives()
    assert drives["FLOPPY"] is None
    assert f"/{name}/" in drives["CDROM"]
    assert node.emulated()["booted_from"] == "cdrom"
    assert not cloud.stored(f"image-{node.uuid}")
    assert not cloud.cached_images(node)
    stages = [entry["stage"] for entry in shown["driver_internal_info"]["ilo_deploy_timeline"]]
    ours = ["check", "image", "attach"], ["write", "boot_iso", "boot", "active"]
    assert stages == [*ours[0], "post", "ramdisk", *ours[1]]

    node.provision("deleted")
    gone = node.wait("available")
    assert gone["power_state"] == "power off"
    assert "ilo_boot_iso" not in gone["driver_internal_info"]
    assert node.drives() == {"FLOPPY": None, "CDROM": None}
    assert node.emulated()["power"] == "off"


def test_power_of_an_active_node_attaches_its_boot_iso(cloud, node, tgtd, disk):
    ramdisk = node.boot_ramdisk()
    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().status_code == 200
    name = node.wait("active")["instance_info"]["boot_iso"]
    drives = node.drives()
    time.sleep(1.1)  # expiry, which tells URLs apart, is in whole seconds

    # A reboot attaches the same ISO under a new URL, and boots it once more.
    starts = node.emulated()["starts"]
    node.power("rebooting")
    again = node.emulated()
    assert again["starts"] == starts + 1
    assert again["boots"][-1]["device"] == "cdrom"
    assert f"/{name}/" in node.drives()["CDROM"]
    assert node.drives()["CDROM"] != drives["CDROM"]

    # So does powering it on after powering it off.
    node.power("power off")
    assert node.emulated()["power"] == "off"
    node.power("power on")
    assert node.emulated()["boots"][-1]["device"] == "cdrom"

    # Even when the ISO was lost.
    for path in (cloud.directory / "images").rglob(f"{name}*"):
        path.unlink()
    node.power("rebooting")
    assert f"/{name}/" in node.drives()["CDROM"]
    assert cloud.stored(name)

    # What it was built from is needed only when it is lost.
    node.set("instance_info/kernel", "file:///nowhere/kernel")
    node.power("rebooting")
    assert f"/{name}/" in node.drives()["CDROM"]


def test_callback_is_judged_before_it_is_answered(node, enrol):
    other = enrol(1).boot_ramdisk()
    ramdisk = node.boot_ramdisk()
    refused = {
        "the key of another deploy": {"key": other.parameters["deployment_key"]},
        "a wrong key": {"key": "0" * 64},
        "no key": {"key": ...},
        "no address": {"address": ...},
        "a host name": {"address": "node-0"},
        "another target": {"iqn": other.parameters["iscsi_target_iqn"]},
        "an unknown parameter": {"disk": "/dev/sda"},
        "an address that is no text": {"address": ["10.0.2.15"]},
    }
    for what, changes in refused.items():
        reply = ramdisk.call_back(**changes)
        assert reply.status_code == 400, (what, reply.text)
        assert "callback of node" in reply.text
        assert ramdisk.parameters["deployment_key"] not in reply.text
    assert node.show()["provision_state"] == "wait call-back"


def test_tear_down_while_waiting_for_the_callback(cloud, node):
    ramdisk = node.boot_ramdisk()
    node.provision("deleted")
    node.wait("available")
    assert ramdisk.call_back().status_code == 400
    assert_nothing_left(cloud, node)


def test_repeated_callback_does_no_harm(node, tgtd, disk):
    ramdisk = node.boot_ramdisk()
    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().status_code == 200
    codes = set()
    while node.show()["provision_state"] in ("wait call-back", "deploying"):
        codes.add(ramdisk.call_back().status_code)
        time.sleep(0.2)
    node.wait("active")
    # 409: between two writes of the node's record; 400: the deploy has just ended.
    assert 200 in codes
    assert codes <= {200, 400, 409}
    assert ramdisk.call_back().status_code == 400


def test_error_of_the_ramdisk_ends_in_last_error(cloud, node):
    ramdisk = node.boot_ramdisk()
    reply = ramdisk.call_back(error='no disk; saw "sda" (USB)', address="", iqn="")
    assert reply.status_code == 200
    shown = node.wait("deploy failed")
    assert 'no disk; saw "sda" (USB)' in shown["last_error"]
    assert_nothing_left(cloud, node)


def test_ramdisk_that_never_calls_back(cloud, node):
    node.boot_ramdisk()
    shown = node.wait("deploy failed")
    assert "Timeout reached while waiting for callback" in shown["last_error"]
    assert_nothing_left(cloud, node)


def test_target_that_cannot_be_reached(cloud, node):
    ramdisk = node.boot_ramdisk()
    assert ramdisk.call_back().status_code == 200
    shown = node.wait("deploy failed")
    assert node.server.iscsi_portal in shown["last_error"]
    assert_nothing_left(cloud, node)


def test_retry_after_a_failure(cloud, node, tgtd, disk):
    first = node.boot_ramdisk()
    first.call_back(error="cosmic rays")
    node.wait("deploy failed")
    second = node.boot_ramdisk()
    for name in ("deployment_key", "iscsi_target_iqn", "iscsi_chap_secret"):
        assert first.parameters[name] != second.parameters[name]
    assert first.call_back().status_code == 400
    second.offer_disk(tgtd, disk)
    assert second.call_back().status_code == 200
    assert node.wait("active")["last_error"] is None


def test_rebuild(cloud, node, tgtd, disk):
    ramdisk = node.boot_ramdisk()
    ramdisk.offer_disk(tgtd, disk)
    ramdisk.call_back()
    before = node.wait("active")
    node.provision("rebuild")
    node.wait("wait call-back")
    again = node.find_ramdisk()
    again.offer_disk(tgtd, disk)
    assert again.call_back().status_code == 200
    after = node.wait("active")
    assert after["instance_info"]["boot_iso"] == before["instance_info"]["boot_iso"]
    assert node.drives()["FLOPPY"] is None


def assert_nothing_left(cloud, node):
    """Hold what every failure promises."""
    shown = node.show()
    assert shown["power_state"] == "power off"
    assert node.emulated()["power"] == "off"
    assert node.drives() == {"FLOPPY": None, "CDROM": None}
    assert not cloud.stored(f"image-{node.uuid}")
    assert not cloud.cached_images(node)
    assert f"iqn.2008-10.org.openstack:{node.uuid}" not in running_commands()


def running_commands():
    done = subprocess.run(
        ["ps", "-eo", "args"], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout
