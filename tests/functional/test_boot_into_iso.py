"""Booting an operator's ISO once, through Ironic's API."""

import pytest

from tests.functional.conductor import wait_until

pytestmark = pytest.mark.functional


def boot_into_iso(cloud, node, **body):
    return cloud.call("POST", f"nodes/{node.uuid}/vendor_passthru?method=boot_into_iso", body)


@pytest.fixture
def iso(cloud):
    """Name an ISO that is there."""
    return cloud.artifacts.kernel.as_uri()


@pytest.fixture
def manageable(node):
    """Give a node that is manageable, and on."""
    node.provision("manage")
    node.wait("manageable")
    node.power("power on")
    return node


def wait_for_iso(node, starts):
    wait_until(lambda: node.emulated()["starts"] > starts)
    wait_until(lambda: node.show()["reservation"] is None)


def test_a_manageable_node(cloud, manageable, iso):
    node = manageable
    assert boot_into_iso(cloud, node, boot_iso_href=iso).status_code == 202
    wait_for_iso(node, 1)
    booted = node.emulated()
    assert booted["booted_from"] == "cdrom"
    assert "/iso-" in booted["boots"][-1]["cdrom_url"]
    assert booted["boots"][-1]["floppy_url"] is None
    shown = node.show()
    assert (shown["power_state"], shown["last_error"]) == ("power on", None)

    # The next start is what it was.
    node.power("rebooting")
    assert node.emulated()["booted_from"] != "cdrom"


def test_an_active_node_in_maintenance_boots_it_and_not_its_own(cloud, node, tgtd, disk, iso):
    ramdisk = node.boot_ramdisk()
    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().status_code == 200
    own = node.wait("active")["instance_info"]["boot_iso"]
    refused = boot_into_iso(cloud, node, boot_iso_href=iso)
    assert refused.status_code == 400
    assert "maintenance" in refused.text
    assert f"/{own}/" in node.drives()["CDROM"]

    cloud.ask("PUT", f"nodes/{node.uuid}/maintenance")
    starts = node.emulated()["starts"]
    assert boot_into_iso(cloud, node, boot_iso_href=iso).status_code == 202
    wait_for_iso(node, starts)
    assert "/iso-" in node.drives()["CDROM"]
    cloud.ask("DELETE", f"nodes/{node.uuid}/maintenance")
    node.power("rebooting")
    assert f"/{own}/" in node.drives()["CDROM"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "lacks boot_iso_href"),
        ({"boot_iso_href": "ftp://example.com/a.iso"}, "must be the UUID"),
        ({"boot_iso_href": ["a"]}, "must be the UUID"),
        ({"boot_iso_href": "file:///etc/shadow"}, "Cannot read the boot_iso_href"),
        ({"boot_iso_href": "http://u:canary@127.0.0.1:9/a.iso?canary=1"}, "http://127.0.0.1:9/"),
        ({"boot_iso_href": "file:///a.iso", "eject": True}, "not eject"),
    ],
)
def test_a_bad_call_touches_nothing(cloud, manageable, body, words):
    starts = manageable.emulated()["starts"]
    reply = boot_into_iso(cloud, manageable, **body)
    assert reply.status_code == 400, reply.text
    assert words in reply.text
    assert "canary" not in reply.text
    assert manageable.drives() == {"FLOPPY": None, "CDROM": None}
    assert (manageable.emulated()["starts"], manageable.emulated()["power"]) == (starts, "on")


def test_a_node_that_waits_for_its_ramdisk_is_left_alone(cloud, node, iso):
    node.boot_ramdisk()
    cloud.ask("PUT", f"nodes/{node.uuid}/maintenance")
    before = node.drives()
    assert boot_into_iso(cloud, node, boot_iso_href=iso).status_code == 400
    assert node.drives() == before


def test_a_failure_ends_in_last_error(cloud, manageable, iso):
    cloud.control.set_faults(manageable.server.name, no_license=True)
    assert boot_into_iso(cloud, manageable, boot_iso_href=iso).status_code == 202
    wait_until(lambda: manageable.show()["last_error"] is not None)
    assert "boot_into_iso failed" in manageable.show()["last_error"]
    assert "licen" in manageable.show()["last_error"]
