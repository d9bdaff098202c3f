"""Boot mode and Secure Boot through Ironic's API, on an emulated Gen9 and on a Gen8."""

import os

import pytest

from ironic_ilo import bmc
from tests.functional.cloud import paper_settings, running_servers
from tests.functional.conftest import MIB
from tests.tgt import start_tgtd

pytestmark = pytest.mark.functional

# Apart from another run of these tests on the same machine.
ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.200"
TGT_CONTROL_PORT = 6200


@pytest.fixture(scope="module")
def gen9s(cloud, tmp_path_factory):
    """Run an emulator with a Gen9 of its own, beside the lab's Gen8 servers."""
    settings = paper_settings(
        tmp_path_factory.mktemp("gen9"), first_address=ADDRESS, generation="ilo4-gen9"
    )
    with running_servers(cloud, settings) as beside:
        yield beside


@pytest.fixture
def gen9(gen9s):
    """Enrol the Gen9, off, in legacy mode, without Secure Boot."""
    node = gen9s.enrol(gen9s.services.servers["node-0"])
    yield node
    node.delete()
    ilo = connect(node)
    if ilo.get_boot_mode() is bmc.BootMode.UEFI:
        ilo.set_secure_boot(enabled=False)
    ilo.set_pending_boot_mode(bmc.BootMode.LEGACY)
    ilo.power_on()
    ilo.power_off()


@pytest.fixture
def tgtd(gen9):
    with start_tgtd(gen9.server.iscsi_portal, TGT_CONTROL_PORT) as running:
        yield running


@pytest.fixture
def disk(tmp_path):
    """Make an empty disk with room for an EFI system partition, too."""
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(1400 * MIB)
    return path


def connect(node):
    server = node.server
    access = bmc.Access(
        server.address,
        server.username,
        server.read_password(),
        port=server.port,
        verify_ca=str(server.certificate),
    )
    return bmc.connect(access)


def change(node, what, target):
    """Change boot mode or Secure Boot as ``baremetal node`` does; return the node's state then."""
    reply = node.cloud.call("PUT", f"nodes/{node.uuid}/states/{what}", {"target": target})
    assert reply.status_code == 202, reply.text
    return node.wait("available")


def settings(node):
    shown = node.emulated()
    return shown["boot_mode"], shown["pending_boot_mode"], shown["secure_boot"]


def test_boot_mode_and_secure_boot_are_set_through_the_api(gen9):
    assert gen9.show()["boot_mode"] == "bios"
    assert "UEFI" in change(gen9, "secure_boot", True)["last_error"]

    assert change(gen9, "boot_mode", "uefi")["boot_mode"] == "uefi"
    assert settings(gen9) == ("legacy", "uefi", False)
    # Taken back before it has applied, and given again.
    assert change(gen9, "boot_mode", "bios")["boot_mode"] == "bios"
    assert settings(gen9) == ("legacy", "legacy", False)
    change(gen9, "boot_mode", "uefi")
    gen9.power("power on")
    assert settings(gen9) == ("uefi", "uefi", False)

    assert change(gen9, "secure_boot", True)["secure_boot"] is True
    gen9.power("rebooting")
    assert settings(gen9) == ("uefi", "uefi", True)
    assert change(gen9, "secure_boot", False)["secure_boot"] is False


def test_a_gen8_says_what_it_cannot(node):
    assert "uefi" in change(node, "boot_mode", "uefi")["last_error"].lower()
    assert node.show()["boot_mode"] == "bios"
    assert change(node, "secure_boot", True)["last_error"]
    # Ironic learned that it has no Secure Boot when it became manageable.
    assert node.show()["secure_boot"] is None


def test_an_instance_that_wants_secure_boot(gen9, tgtd, disk):
    gen9.set("instance_info/capabilities", {"secure_boot": "true"})
    ramdisk = gen9.boot_ramdisk()
    # The iLO takes Secure Boot in UEFI mode only, which applies with the ramdisk's start.
    assert settings(gen9) == ("uefi", "uefi", False)
    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().status_code == 200
    shown = gen9.wait("active")
    assert settings(gen9) == ("uefi", "uefi", True)
    assert (shown["boot_mode"], shown["secure_boot"]) == ("uefi", True)
    assert shown["driver_internal_info"]["ilo_boot_mode"] == "uefi"

    gen9.provision("deleted")
    gone = gen9.wait("available")
    assert not connect(gen9).get_secure_boot().pending
    assert gone["secure_boot"] is False
    assert not {name for name in gone["driver_internal_info"] if "boot_mode" in name}


def test_secure_boot_that_was_on_stays_on(gen9, tgtd, disk):
    change(gen9, "boot_mode", "uefi")
    gen9.power("power on")
    change(gen9, "secure_boot", True)
    gen9.set("instance_info/capabilities", {"secure_boot": "true"})
    ramdisk = gen9.boot_ramdisk()
    assert settings(gen9) == ("uefi", "uefi", True)
    ramdisk.offer_disk(tgtd, disk)
    ramdisk.call_back()
    gen9.wait("active")
    gen9.provision("deleted")
    gen9.wait("available")
    assert connect(gen9).get_secure_boot().pending


def test_a_mode_that_did_not_apply_fails_the_deploy_before_the_write(gen9, tgtd, disk):
    gen9.set("properties/capabilities", "boot_mode:uefi")
    ramdisk = gen9.boot_ramdisk()
    ilo = connect(gen9)
    ilo.set_pending_boot_mode(bmc.BootMode.LEGACY)
    ilo.reset()
    ramdisk.offer_disk(tgtd, disk)
    ramdisk.call_back()
    failed = gen9.wait("deploy failed")
    assert "was to start in uefi mode, but has started in bios mode" in failed["last_error"]
    assert disk.stat().st_blocks == 0


@pytest.mark.parametrize(
    ("capabilities", "complaint"),
    [
        ({"boot_mode": "uefi"}, "cannot boot in uefi mode"),
        ({"secure_boot": "true"}, "cannot boot in uefi mode"),
    ],
)
def test_a_gen8_is_not_touched_when_it_cannot(node, capabilities, complaint):
    node.power("power on")
    starts = node.emulated()["starts"]
    node.set("instance_info/capabilities", capabilities)
    node.provision("active")
    failed = node.wait("deploy failed")
    assert complaint in failed["last_error"]
    assert (node.emulated()["power"], node.emulated()["starts"]) == ("on", starts)


@pytest.fixture
def secured(gen9, tgtd, disk):
    """Deploy an instance for which Secure Boot was switched on."""
    gen9.set("instance_info/capabilities", {"secure_boot": "true"})
    ramdisk = gen9.boot_ramdisk()
    ramdisk.offer_disk(tgtd, disk)
    ramdisk.call_back()
    gen9.wait("active")
    assert settings(gen9) == ("uefi", "uefi", True)
    return gen9


def test_the_next_instance_may_do_without(secured):
    secured.set("instance_info/capabilities", {})
    secured.provision("rebuild")
    secured.wait("wait call-back")
    assert settings(secured) == ("uefi", "uefi", False)


def test_a_tear_down_in_bios_mode_succeeds(secured):
    """Someone has changed the mode of a server whose Secure Boot we are to switch off."""
    ilo = connect(secured)
    ilo.set_pending_boot_mode(bmc.BootMode.LEGACY)
    ilo.reset()
    secured.provision("deleted")
    assert secured.wait("available")["boot_mode"] == "bios"


@pytest.mark.parametrize(
    ("capabilities", "complaint"),
    [
        ({"boot_mode": "pxe"}, "boot_mode:pxe"),
        ({"boot_mode": 1}, "as text"),
        ({"secure_boot": True}, "as text"),
        ({"secure_boot": "true", "boot_mode": "bios"}, "needs UEFI"),
    ],
)
def test_capabilities_that_mean_nothing_are_refused(node, capabilities, complaint):
    node.set("instance_info/capabilities", capabilities)
    reply = node.try_provision("active")
    assert reply.status_code == 400
    assert complaint in reply.text
