"""Deploys through Ironic onto servers with the oldest and the newest iLO that speak Redfish."""

import dataclasses
import os

import pytest

from lab.emulator import running_emulator
from lab.settings import Ports, Settings, with_free_ports
from tests.functional.conftest import MIB
from tests.tgt import start_tgtd

pytestmark = pytest.mark.functional

# Apart from another run of these tests on the same machine.
ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.220"
TGT_CONTROL_PORT = 6220


@pytest.fixture(scope="module", params=["ilo5-early", "ilo7"])
def servers(request, cloud, tmp_path_factory):
    """Run an emulator with one such server beside the lab's Gen8 servers."""
    settings = with_free_ports(
        Settings(
            tmp_path_factory.mktemp(request.param),
            ports=Ports.any_free(),
            first_address=ADDRESS,
            machine="paper",
            generation=request.param,
            boot_mode="uefi",
        )
    )
    with running_emulator(settings) as emulator:
        services = dataclasses.replace(cloud.services, control_url=emulator.control_url)
        yield dataclasses.replace(cloud, services=services), emulator.servers["node-0"]


@pytest.fixture
def node(servers):
    cloud, server = servers
    enrolled = cloud.enrol(server)
    yield enrolled
    enrolled.delete()


@pytest.fixture
def tgtd(node):
    with start_tgtd(node.server.iscsi_portal, TGT_CONTROL_PORT) as running:
        yield running


@pytest.fixture
def disk(tmp_path):
    """Make an empty disk with room for an EFI system partition, too."""
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(1400 * MIB)
    return path


def test_deploy_reboot_and_tear_down(node, tgtd, disk):
    ramdisk = node.boot_ramdisk()
    booted = node.emulated()
    assert (booted["booted_from"], booted["media"]["FLOPPY"]["connected"]) == ("cdrom", True)

    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().status_code == 200
    shown = node.wait("active")
    assert (shown["power_state"], shown["boot_mode"]) == ("power on", "uefi")
    name = shown["instance_info"]["boot_iso"]
    assert node.emulated()["booted_from"] == "cdrom"
    assert node.drives()["FLOPPY"] is None
    assert f"/{name}/" in node.drives()["CDROM"]

    starts = node.emulated()["starts"]
    node.power("rebooting")
    again = node.emulated()
    assert (again["starts"], again["booted_from"]) == (starts + 1, "cdrom")
    assert f"/{name}/" in node.drives()["CDROM"]

    node.provision("deleted")
    assert node.wait("available")["power_state"] == "power off"
    assert node.drives() == {"FLOPPY": None, "CDROM": None}


def test_boot_device_through_the_api(node):
    place = f"nodes/{node.uuid}/management/boot_device"
    for persistent in (True, False):
        wanted = {"boot_device": "pxe", "persistent": persistent}
        node.cloud.ask("PUT", place, wanted)
        assert node.cloud.ask("GET", place) == wanted
