"""The whole flow on a server of each generation that the emulator knows; the ramdisk is played."""

import os
from collections.abc import Iterator

import pytest
import requests

from ilo_emulator.profile import PROFILES, Profile
from tests.functional.cloud import Node, paper_settings, running_servers
from tests.functional.conftest import MIB
from tests.tgt import start_tgtd

pytestmark = pytest.mark.functional

# Apart from another run of these tests on the same machine; each generation at its own, as what an
# iLO is gets remembered.
NETWORK = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}"
ADDRESSES = {name: f"{NETWORK}.{220 + number}" for number, name in enumerate(PROFILES)}
TGT_CONTROL_PORT = 6220


@pytest.fixture(params=PROFILES)
def profile(request) -> Profile:
    return PROFILES[request.param]


@pytest.fixture
def server_node(cloud, profile, tmp_path) -> Iterator[Node]:
    """Enrol a server of the generation, as it is delivered, beside the lab's own."""
    settings = paper_settings(
        tmp_path / "lab",
        first_address=ADDRESSES[profile.name],
        generation=profile.name,
        boot_mode=profile.boot_modes[0].lower(),
    )
    with running_servers(cloud, settings) as beside:
        node = beside.enrol(beside.services.servers["node-0"])
        yield node
        node.delete()


@pytest.mark.parametrize("profile", ["ilo5"], indirect=True)
def test_inspection_sensors_and_nmi_over_redfish(profile, server_node) -> None:
    node = server_node
    node.provision("manage")
    node.wait("manageable")
    node.provision("inspect")
    properties = node.wait("manageable")["properties"]
    capabilities = dict(each.split(":") for each in properties.pop("capabilities").split(","))
    assert properties == {
        "cpus": 8,
        "cpu_arch": "x86_64",
        "memory_mb": 16384,
        "local_gb": 278,
    }
    assert capabilities == {
        "server_model": profile.model,
        "ilo_firmware_version": profile.firmware_version,
        "rom_firmware_version": profile.rom_version,
        "boot_mode_bios": "true",
        "boot_mode_uefi": "true",
        "secure_boot": "true",
    }
    assert len(node.cloud.ask("GET", f"nodes/{node.uuid}/ports")["ports"]) == 2

    node.power("power on")
    node.cloud.ask("PUT", f"nodes/{node.uuid}/management/inject_nmi")
    assert node.emulated()["nmis"] == 1
    assert node.count_sessions() == 0


def test_deploy_reboot_and_tear_down(profile, server_node, tmp_path) -> None:
    node = server_node
    ramdisk = node.boot_ramdisk()
    assert node.emulated()["booted_from"] == "cdrom"
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 1400 * MIB)
    with start_tgtd(node.server.iscsi_portal, TGT_CONTROL_PORT) as tgtd:
        ramdisk.offer_disk(tgtd, disk)
        assert ramdisk.call_back().status_code == requests.codes.ok
        active = node.wait("active")
    booted = node.emulated()
    assert (active["power_state"], booted["booted_from"]) == ("power on", "cdrom")
    assert f"/{active['instance_info']['boot_iso']}/" in node.drives()["CDROM"]
    assert node.drives()["FLOPPY"] is None

    node.power("rebooting")
    again = node.emulated()
    assert (again["starts"], again["booted_from"]) == (booted["starts"] + 1, "cdrom")

    node.provision("deleted")
    assert node.wait("available")["power_state"] == "power off"
    assert node.drives() == {"FLOPPY": None, "CDROM": None}
    if profile.redfish:
        assert node.count_sessions() == 0


@pytest.mark.parametrize("profile", ["ilo5-early", "ilo7"], indirect=True)
def test_boot_device_through_the_api_over_redfish(server_node) -> None:
    node = server_node
    place = f"nodes/{node.uuid}/management/boot_device"
    for persistent in (True, False):
        wanted = {"boot_device": "pxe", "persistent": persistent}
        node.cloud.ask("PUT", place, wanted)
        assert node.cloud.ask("GET", place) == wanted
