"""The Redfish class of proliantutils 2.16.3, unmodified, against emulated iLOs."""

import time

import pytest
import retrying
from proliantutils import exception as proliant_exception

from tests.functional.third_party.conftest import Emulated

pytestmark = pytest.mark.functional

EARLY, LATER = "ilo5-early", ("ilo5", "ilo6")


def on(*generations: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("redfish", generations, indirect=True)


@on(EARLY, *LATER)
def test_power(redfish: Emulated):
    client = redfish.proliant_redfish()
    assert client.get_product_name().startswith("ProLiant DL380 Gen1")
    assert (client.get_host_power_status(), client.get_host_post_state()) == ("OFF", "PowerOff")
    client.set_host_power("ON")
    assert (client.get_host_power_status(), client.get_host_post_state()) == ("ON", "FinishedPost")
    client.reset_server()
    assert redfish.ask()["starts"] >= 2
    client.hold_pwr_btn()
    assert client.get_host_power_status() == "OFF"
    client.press_pwr_btn()
    assert client.get_host_power_status() == "ON"


@on("ilo5")
def test_its_power_off_works_and_is_told_as_a_failure(redfish: Emulated, monkeypatch):
    client = redfish.proliant_redfish()
    client.set_host_power("ON")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with pytest.raises(retrying.RetryError):
        client.set_host_power("OFF")
    assert redfish.ask()["power"] == "off"


@on(EARLY, *LATER)
def test_boots_once_from_virtual_media(redfish: Emulated, images: str):
    client = redfish.proliant_redfish()
    client.insert_virtual_media(f"{images}/x.iso", "CDROM")
    client.set_vm_status("CDROM", "BOOT_ONCE", "YES")
    client.set_host_power("ON")
    assert redfish.ask()["booted_from"] == "cdrom"
    client.reset_server()
    assert redfish.ask()["booted_from"] == "hdd"
    assert not redfish.drive()["Inserted"]


@on(*LATER)
def test_boots_from_virtual_media_that_stays(redfish: Emulated, images: str):
    client = redfish.proliant_redfish()
    client.insert_virtual_media(f"{images}/f.img", "FLOPPY")
    client.insert_virtual_media(f"{images}/x.iso", "CDROM")
    # One that is there already it ejects first.
    client.insert_virtual_media(f"{images}/y.iso", "CDROM")
    client.set_one_time_boot("CDROM")
    assert client.get_one_time_boot() == "CDROM"
    client.set_host_power("ON")
    assert redfish.ask()["booted_from"] == "cdrom"
    assert redfish.ask()["boots"][-1]["cdrom_url"] == f"{images}/y.iso"
    assert client.get_one_time_boot() == "Normal"
    for device in ("CDROM", "CDROM", "FLOPPY"):
        client.eject_virtual_media(device)
    assert not (redfish.drive(1)["Inserted"] or redfish.drive(2)["Inserted"])


@on(EARLY)
def test_early_firmware_ejects_nothing_for_it_though_it_says_so(redfish: Emulated, images: str):
    client = redfish.proliant_redfish()
    client.insert_virtual_media(f"{images}/x.iso", "CDROM")
    client.eject_virtual_media("CDROM")
    assert redfish.drive()["Image"] == f"{images}/x.iso"


@on(EARLY, *LATER)
def test_the_lasting_boot_device(redfish: Emulated):
    client = redfish.proliant_redfish()
    client.update_persistent_boot(["NETWORK"])
    assert client.get_persistent_boot_device() == "NETWORK"
    for _ in range(2):
        client.hold_pwr_btn() if redfish.ask()["power"] == "on" else None
        client.set_host_power("ON")
        assert redfish.ask()["booted_from"] == "network"


@on(EARLY, "ilo5")
def test_boot_modes(redfish: Emulated):
    client = redfish.proliant_redfish()
    assert client.get_supported_boot_mode() == "legacy bios and uefi"
    assert client.get_current_boot_mode() == "UEFI"
    client.set_pending_boot_mode("legacy")
    assert (client.get_current_boot_mode(), client.get_pending_boot_mode()) == ("UEFI", "LEGACY")
    client.set_host_power("ON")
    assert client.get_current_boot_mode() == "LEGACY"
    client.set_pending_boot_mode("uefi")
    client.reset_server()
    assert redfish.ask()["boot_mode"] == "uefi"


@on("ilo6")
def test_ilo6_knows_uefi_alone(redfish: Emulated):
    client = redfish.proliant_redfish()
    assert client.get_supported_boot_mode() == "uefi only"
    with pytest.raises(proliant_exception.IloError, match="PropertyValueNotInList"):
        client.set_pending_boot_mode("legacy")


@on(EARLY, *LATER)
def test_secure_boot(redfish: Emulated):
    client = redfish.proliant_redfish()
    assert client.get_secure_boot_mode() is False
    for wanted in (True, False):
        client.set_secure_boot_mode(wanted)
        redfish.act("/Systems/1", f"Oem/Hpe/{COLD_BOOT}", ResetType="ColdBoot")
        assert client.get_secure_boot_mode() is wanted


COLD_BOOT = "HpeComputerSystemExt.SystemReset"


@on(*LATER)
def test_no_licence(redfish: Emulated, images: str):
    redfish.ask("PUT", "/faults", {"no_license": True})
    with pytest.raises(proliant_exception.IloError, match="LicenseKeyRequired"):
        redfish.proliant_redfish().insert_virtual_media(f"{images}/x.iso", "CDROM")


@on("ilo4-gen9")
def test_ilo4_is_none_of_its_own(redfish: Emulated):
    with pytest.raises(proliant_exception.IloError, match="Oem/Hpe/Actions"):
        redfish.proliant_redfish().get_product_name()
