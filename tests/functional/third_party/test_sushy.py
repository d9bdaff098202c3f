"""sushy 5.14, unmodified, against emulated iLOs."""

import pytest
import sushy

from tests.functional.third_party.conftest import Emulated

pytestmark = pytest.mark.functional

EARLY, LATER, ILO4 = "ilo5-early", ("ilo5", "ilo6", "ilo7"), "ilo4-gen9"
ISO = "http://127.0.20.21/x.iso"


def on(*generations: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("redfish", generations, indirect=True)


def system(redfish: Emulated) -> sushy.resources.system.system.System:
    return redfish.sushy().get_system()


def drive(redfish: Emulated) -> sushy.resources.manager.virtual_media.VirtualMedia:
    [manager] = redfish.sushy().get_manager_collection().get_members()
    [_floppy, cdrom] = manager.virtual_media.get_members()
    return cdrom


@on(EARLY, *LATER, ILO4)
def test_inventory(redfish: Emulated):
    root = redfish.sushy()
    found = root.get_system()
    assert "DL380 Gen" in found.model
    assert found.uuid == found.uuid.upper()
    assert found.memory_summary.size_gib == 16
    assert found.processors.summary == (8, sushy.PROCESSOR_ARCH_x86)
    [address] = found.ethernet_interfaces.summary
    # Of QEMU's range, and the server's own.
    assert address.replace(":", "").upper() == f"525400{found.uuid[-6:]}"
    assert found.storage.drives_sizes_bytes == [279 << 30]
    [manager] = found.managers
    assert manager.firmware_version.startswith("iLO ")
    [chassis] = found.chassis
    assert chassis.serial_number == found.serial_number
    assert root.lazy_registries is not None


@on(EARLY, *LATER)
def test_registries(redfish: Emulated):
    root = redfish.sushy()
    settings = root.get_system().bios.get_attribute_registry()
    names = {each.name for each in settings.registry_entries.attributes}
    assert names == set(root.get_system().bios.attributes)
    messages = [each.messages for name, each in root.registries.items() if name.startswith("iLO")]
    assert messages
    assert all("LicenseKeyRequired" in each for each in messages)


@on(EARLY, *LATER, ILO4)
def test_power(redfish: Emulated):
    found = system(redfish)
    assert found.power_state == sushy.POWER_STATE_OFF
    for reset, power in (
        (sushy.RESET_ON, "on"),
        (sushy.RESET_FORCE_RESTART, "on"),
        (sushy.RESET_NMI, "on"),
        (sushy.RESET_FORCE_OFF, "off"),
    ):
        found.reset_system(reset)
        found.refresh()
        assert found.power_state.value.lower() == redfish.ask()["power"] == power
    with pytest.raises(sushy.exceptions.BadRequestError, match="InvalidOperationForSystemState"):
        found.reset_system(sushy.RESET_FORCE_OFF)


@on(*LATER)
def test_a_graceful_shutdown(redfish: Emulated):
    found = system(redfish)
    found.reset_system(sushy.RESET_ON)
    found.reset_system(sushy.RESET_GRACEFUL_SHUTDOWN)
    redfish.wait_for_power("off")


@on(*LATER)
def test_boots_from_virtual_media(redfish: Emulated):
    cdrom = drive(redfish)
    assert cdrom.media_types == [sushy.VIRTUAL_MEDIA_CD, sushy.VIRTUAL_MEDIA_DVD]
    cdrom.insert_media(ISO)
    cdrom.refresh()
    assert (cdrom.inserted, cdrom.image) == (True, ISO)
    found = system(redfish)
    found.set_system_boot_options(
        target=sushy.BOOT_SOURCE_TARGET_CD, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE
    )
    found.refresh()
    assert found.boot.enabled == sushy.BOOT_SOURCE_ENABLED_ONCE
    found.reset_system(sushy.RESET_ON)
    assert redfish.ask()["booted_from"] == "cdrom"
    found.refresh()
    assert found.boot.enabled == sushy.BOOT_SOURCE_ENABLED_DISABLED
    cdrom.eject_media()
    assert not redfish.drive()["Inserted"]
    redfish.reset()
    assert redfish.ask()["booted_from"] == "hdd"


@on(*LATER)
def test_a_second_insert_and_a_second_eject(redfish: Emulated):
    cdrom = drive(redfish)
    cdrom.insert_media(ISO)
    with pytest.raises(
        sushy.exceptions.BadRequestError, match="MaxVirtualMediaConnectionEstablished"
    ):
        cdrom.insert_media(ISO)
    cdrom.eject_media()
    cdrom.eject_media()
    assert not redfish.drive()["Inserted"]


@on(EARLY, ILO4)
def test_without_the_standard_actions_it_neither_inserts_nor_ejects(redfish: Emulated):
    cdrom = drive(redfish)
    with pytest.raises(sushy.exceptions.BadRequestError, match="PropertyNotWritableOrUnknown"):
        cdrom.insert_media(ISO)
    redfish.redfish("PATCH", "/Managers/1/VirtualMedia/2", {"Image": ISO})
    # It takes what is refused for done.
    cdrom.eject_media()
    assert redfish.drive()["Inserted"]


@on("ilo5")
def test_an_eject_that_fails(redfish: Emulated):
    cdrom = drive(redfish)
    cdrom.insert_media(ISO)
    redfish.ask("PUT", "/faults", {"eject_fails": True})
    with pytest.raises(sushy.exceptions.ServerSideError, match="InternalError"):
        cdrom.eject_media()
    assert redfish.drive()["Inserted"]


@on(EARLY, *LATER, ILO4)
def test_the_boot_mode_is_not_set_with_the_boot_device(redfish: Emulated):
    with pytest.raises(sushy.exceptions.BadRequestError, match="PropertyNotWritableOrUnknown"):
        system(redfish).set_system_boot_options(
            target=sushy.BOOT_SOURCE_TARGET_PXE,
            enabled=sushy.BOOT_SOURCE_ENABLED_ONCE,
            mode=sushy.BOOT_SOURCE_MODE_UEFI,
        )


@on(EARLY, "ilo5")
def test_the_boot_mode_is_a_setting_of_the_bios(redfish: Emulated):
    found = system(redfish)
    assert found.boot.mode == sushy.BOOT_SOURCE_MODE_UEFI
    for mode, shown in (
        ("LegacyBios", sushy.BOOT_SOURCE_MODE_BIOS),
        ("Uefi", sushy.BOOT_SOURCE_MODE_UEFI),
    ):
        bios = system(redfish).bios
        bios.set_attribute("BootMode", mode)
        assert bios.pending_attributes["BootMode"] == mode
        assert bios.attributes["BootMode"] != mode
        redfish.reset()
        found.refresh()
        assert found.boot.mode == shown


@on(EARLY, *LATER)
def test_secure_boot(redfish: Emulated):
    secure_boot = system(redfish).secure_boot
    for enabled, current in (
        (True, sushy.SECURE_BOOT_ENABLED),
        (False, sushy.SECURE_BOOT_DISABLED),
    ):
        secure_boot.set_enabled(enabled)
        redfish.reset()
        secure_boot.refresh()
        assert (secure_boot.enabled, secure_boot.current_boot) == (enabled, current)
    secure_boot.reset_keys(sushy.SECURE_BOOT_RESET_KEYS_DELETE_ALL)
    redfish.reset()
    secure_boot.refresh()
    assert secure_boot.mode == sushy.SECURE_BOOT_MODE_SETUP
    secure_boot.reset_keys(sushy.SECURE_BOOT_RESET_KEYS_TO_DEFAULT)


@on(EARLY, *LATER, ILO4)
def test_its_session_is_renewed_and_closed(redfish: Emulated):
    def sessions() -> int:
        listed = redfish.redfish("GET", "/SessionService/Sessions")
        return int(listed["Members@odata.count"])

    others = sessions()
    client = redfish.sushy()
    assert sessions() == others + 1
    found = client.get_system()
    redfish.act("/Managers/1", "Manager.Reset")
    assert sessions() == 0
    found.refresh()
    assert sessions() == 1
    client._auth.close()
    assert sessions() == 0


@on("ilo5")
def test_a_wrong_password_shows_at_the_first_question(redfish: Emulated):
    client = redfish.sushy("wrong")
    with pytest.raises(sushy.exceptions.AccessError):
        client.get_system()


@on("ilo5")
def test_in_post(redfish: Emulated):
    redfish.ask("PUT", "/faults", {"post_s": 600})
    found = system(redfish)
    found.reset_system(sushy.RESET_ON)
    with pytest.raises(sushy.exceptions.BadRequestError, match="UnableToModifyDuringSystemPOST"):
        found.set_system_boot_options(
            target=sushy.BOOT_SOURCE_TARGET_CD, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE
        )
