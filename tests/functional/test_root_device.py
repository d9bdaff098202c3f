"""Root device hints in a real Ironic: the ramdisk offers several disks, one is written."""

import pytest
import requests

from tests.functional.disks import read_partitions

pytestmark = pytest.mark.functional

SECTOR_SIZE = 4096


def test_hints_choose_the_disk_or_stop_the_deploy(cloud, node, tgtd, disk, tmp_path):
    other = tmp_path / "other"
    with other.open("wb") as file:
        file.truncate(disk.stat().st_size)
    untouched = disk.stat().st_mtime_ns
    starts = node.emulated()["starts"]

    # One that Ironic's matcher cannot read is refused before anything happens.
    node.set("properties/root_device", {"size": "=> 10"})
    reply = node.try_provision("active")
    assert reply.status_code == requests.codes.bad_request
    assert "size='=> 10' in properties" in reply.text
    assert node.emulated()["starts"] == starts

    def deploy(**wrong):
        ramdisk = node.boot_ramdisk()
        disks = ramdisk.offer_disks(tgtd, disk, other, sector_size=SECTOR_SIZE)
        told = [disks[0], disks[1] | wrong]
        assert ramdisk.call_back(disks=told).status_code == requests.codes.ok
        return disks

    # One that matches nothing stops the deploy, and names what there is.
    node.set("properties/root_device", {"serial": "s== S3"})
    deploy()
    error = node.wait("deploy failed")["last_error"]
    assert "match no disk" in error
    assert "/dev/sda (1.07 GiB, serial S1), /dev/sdb (1.07 GiB, serial S2)" in error
    assert node.emulated()["power"] == "off"

    # So does a disk that is not what was told of it.
    node.set("instance_info/root_device", {"serial": "s== S2", "size": ">= 1"})
    deploy(size=2 << 30)
    error = node.wait("deploy failed")["last_error"]
    assert f"has {other.stat().st_size} bytes" in error

    disks = deploy()
    shown = node.wait("active")
    assert shown["driver_internal_info"]["ilo_root_device"] == disks[1]
    _swap, root = read_partitions(other, sector_size=SECTOR_SIZE)
    image = cloud.artifacts.raw.read_bytes()
    with other.open("rb") as file:
        file.seek(root.start)
        assert (file.read(len(image)) == image) is True
    assert disk.stat().st_mtime_ns == untouched

    node.provision("deleted")
    assert "ilo_root_device" not in node.wait("available")["driver_internal_info"]
