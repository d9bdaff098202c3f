"""An iLO 5 and newer: what is read, what is sent, and what is made of the answers."""

import dataclasses
import time
from collections.abc import Iterator

import pytest

from ironic_ilo.bmc import (
    Access,
    Bmc,
    BootDevice,
    BootMode,
    Device,
    MediaStatus,
    PowerState,
    Product,
    SecureBoot,
    connect,
)
from ironic_ilo.exception import (
    BmcBusy,
    BmcError,
    BmcFeatureMissing,
    BmcStateMismatch,
    BmcUnreachable,
)
from tests.unit.bmc import redfish_ilo as documents
from tests.unit.bmc.redfish_ilo import (
    BIOS,
    CD,
    FLOPPY,
    MANAGER,
    RESET,
    SECURE_BOOT,
    SYSTEM,
    RedfishIlo,
    redfish,
    refuse,
)
from tests.unit.bmc.scripted_ilo import drop

URL = "https://192.0.2.1/v1/deploy.iso?signature=1&expires=2"
IN_POST = refuse("UnableToModifyDuringSystemPOST")
INSERT = f"POST {CD}/Actions/VirtualMedia.InsertMedia"
EJECT = f"POST {CD}/Actions/VirtualMedia.EjectMedia"


@pytest.fixture
def bmc(redfish_access: Access) -> Iterator[Bmc]:
    with connect(redfish_access) as bmc:
        yield bmc


def hasty(access: Access) -> Access:
    return dataclasses.replace(access, change_timeout=0.4, power_timeout=0.4, busy_timeout=0.4)


def insert_old(ilo: RedfishIlo) -> None:
    ilo.documents[CD] |= {"Inserted": True, "Image": "http://192.0.2.1/old.iso"}


def test_product(bmc: Bmc):
    assert bmc.product() == Product("ProLiant DL380 Gen10", "iLO 5", "1.40", "iLO Advanced")
    bmc.check_virtual_media()


def test_a_licence_without_virtual_media(redfish_ilo: RedfishIlo, bmc: Bmc):
    redfish_ilo.documents[MANAGER]["Oem"]["Hpe"]["License"]["LicenseString"] = "iLO Standard"
    with pytest.raises(BmcFeatureMissing, match=r"'iLO Standard'.*Install an iLO Advanced"):
        bmc.check_virtual_media()


def test_an_ilo_7_names_its_firmware_in_another_way(redfish_ilo: RedfishIlo, bmc: Bmc):
    manager = {"ManagerType": "iLO 7", "ManagerFirmwareVersion": "1.12.00"}
    redfish_ilo.documents[documents.ROOT]["Oem"]["Hpe"]["Manager"] = [manager]
    redfish_ilo.documents[MANAGER] |= {"FirmwareVersion": "1.12.00 Mar 28 2025", "Oem": {}}
    assert bmc.product() == Product("ProLiant DL380 Gen10", "iLO 7", "1.12.00", "unknown")


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("On", PowerState.ON),
        ("Off", PowerState.OFF),
        ("PoweringOn", PowerState.OFF),
        ("PoweringOff", PowerState.ON),
    ],
)
def test_the_power_state_is_read(redfish_ilo: RedfishIlo, bmc: Bmc, name, state):
    redfish_ilo.documents[SYSTEM]["PowerState"] = name
    assert bmc.get_power_state() is state


def test_power_is_changed_only_when_it_has_to(redfish_ilo: RedfishIlo, bmc: Bmc):
    for change in (bmc.power_off, bmc.power_on, bmc.power_on, bmc.reset, bmc.power_off):
        change()
    assert [each for each in redfish_ilo.requests if "ResetType" in each] == [
        '{"ResetType": "On"}',
        '{"ResetType": "ForceRestart"}',
        '{"ResetType": "ForceOff"}',
    ]
    bmc.reset()
    assert bmc.get_power_state() is PowerState.ON


def test_a_power_change_that_never_shows(redfish_ilo: RedfishIlo, redfish_access: Access):
    redfish_ilo.on(f"POST {RESET}", refuse("Success", 200))
    with connect(hasty(redfish_access)) as bmc:
        with pytest.raises(BmcStateMismatch, match=r"power on .* still shows off"):
            bmc.power_on()


def test_a_power_change_that_someone_else_makes(redfish_ilo: RedfishIlo, bmc: Bmc):
    started = dict(redfish_ilo.documents[SYSTEM], PowerState="On")
    redfish_ilo.on(f"GET {SYSTEM}", redfish_ilo.serve, redfish_ilo.serve, redfish(started))
    redfish_ilo.on(f"POST {RESET}", refuse("InvalidOperationForSystemState"))
    bmc.power_on()
    assert len(redfish_ilo.changes()) == 1


def test_an_ilo_that_is_not_ready_for_a_power_change_is_asked_again(
    redfish_ilo: RedfishIlo, bmc: Bmc
):
    refusal = refuse("InvalidOperationForSystemState")
    redfish_ilo.on(f"POST {RESET}", refusal, refusal, redfish_ilo.serve)
    bmc.power_on()
    assert len(redfish_ilo.changes()) == 3


def test_an_ilo_that_never_gets_ready(redfish_ilo: RedfishIlo, redfish_access: Access):
    redfish_ilo.on(f"POST {RESET}", refuse("InvalidOperationForSystemState"))
    with connect(hasty(redfish_access)) as bmc:
        started = time.monotonic()
        with pytest.raises(BmcBusy, match=r"InvalidOperation.*did so for 0\.4 s"):
            bmc.power_on()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "message", ["UnableToModifyDuringSystemPOST", "ResourceNotReadyRetry", "whatever"]
)
def test_refusals_during_post_are_sat_out(redfish_ilo: RedfishIlo, bmc: Bmc, message):
    refusal = refuse(message, 503 if message == "whatever" else 400)
    redfish_ilo.on(f"PATCH {SYSTEM}", refusal, redfish_ilo.serve)
    redfish_ilo.on(f"PATCH {BIOS}/settings", refusal, redfish_ilo.serve)
    redfish_ilo.on(f"PATCH {SECURE_BOOT}", refusal, redfish_ilo.serve)
    redfish_ilo.on(INSERT, refusal, redfish_ilo.serve)
    bmc.set_one_time_boot(BootDevice.CDROM)
    bmc.set_secure_boot(enabled=True)
    bmc.set_pending_boot_mode(BootMode.LEGACY)
    bmc.insert_media(Device.CDROM, URL)
    assert len(redfish_ilo.changes()) == 9


def test_other_refusals_are_final(redfish_ilo: RedfishIlo, bmc: Bmc):
    redfish_ilo.on(f"POST {RESET}", refuse("InsufficientPrivilege", 403))
    with pytest.raises(BmcError, match=r"InsufficientPrivilege \(HTTP status 403\).*privilege"):
        bmc.power_on()
    assert len(redfish_ilo.changes()) == 1


def test_an_ilo_that_is_gone_for_a_while_is_asked_again(redfish_ilo: RedfishIlo, bmc: Bmc):
    serve = redfish_ilo.serve
    redfish_ilo.on(f"GET {SYSTEM}", serve, serve, drop, refuse("ResourceNotReadyRetry"), serve)
    bmc.power_on()
    assert len(redfish_ilo.changes()) == 1


@pytest.mark.parametrize(("device", "path"), [(Device.CDROM, CD), (Device.FLOPPY, FLOPPY)])
def test_insert_and_eject(redfish_ilo: RedfishIlo, bmc: Bmc, device, path):
    once = device is Device.CDROM
    bmc.insert_media(device, URL)
    assert bmc.get_media_status(device) == MediaStatus(True, True, once, URL)
    bmc.eject_media(device)
    assert bmc.get_media_status(device) == MediaStatus(False, False, False, "")
    bmc.eject_media(device)
    assert redfish_ilo.changes() == [
        f"POST {path}/Actions/VirtualMedia.InsertMedia",
        *[f"PATCH {path}"] * once,
        f"POST {path}/Actions/VirtualMedia.EjectMedia",
    ]


def test_an_occupied_drive_is_emptied_first(redfish_ilo: RedfishIlo, bmc: Bmc):
    insert_old(redfish_ilo)
    bmc.insert_media(Device.CDROM, URL)
    assert bmc.get_media_status(Device.CDROM).url == URL
    assert [each.rpartition("/Actions/")[2] for each in redfish_ilo.changes()][:2] == [
        "VirtualMedia.EjectMedia",
        "VirtualMedia.InsertMedia",
    ]


def test_early_firmware_has_only_actions_of_its_own(redfish_ilo: RedfishIlo, bmc: Bmc):
    for path in (CD, FLOPPY):
        del redfish_ilo.documents[path]["Actions"]
    insert_old(redfish_ilo)
    bmc.insert_media(Device.CDROM, URL)
    assert redfish_ilo.changes()[:2] == [
        f"POST {CD}/Actions/Oem/Hpe/HpeiLOVirtualMedia.EjectVirtualMedia",
        f"POST {CD}/Actions/Oem/Hpe/HpeiLOVirtualMedia.InsertVirtualMedia",
    ]


def test_an_ilo_that_cannot_insert_at_all(redfish_ilo: RedfishIlo, bmc: Bmc):
    redfish_ilo.documents[CD] |= {"Actions": {}, "Oem": {}}
    with pytest.raises(BmcFeatureMissing, match=r"does not offer that.*update the iLO"):
        bmc.insert_media(Device.CDROM, URL)
    assert redfish_ilo.changes() == []


def test_an_insert_without_a_licence(redfish_ilo: RedfishIlo, bmc: Bmc):
    redfish_ilo.on(INSERT, refuse("LicenseKeyRequired"))
    with pytest.raises(BmcFeatureMissing, match="Install an iLO Advanced licence"):
        bmc.insert_media(Device.CDROM, URL)


def test_a_drive_emptied_by_someone_else_meanwhile_is_fine(redfish_ilo: RedfishIlo, bmc: Bmc):
    insert_old(redfish_ilo)
    empty = redfish(documents.DOCUMENTS[CD])
    redfish_ilo.on(f"GET {CD}", *[redfish_ilo.serve] * 3, empty)
    redfish_ilo.on(EJECT, refuse("NoVirtualMediaConnectionAvailable"))
    bmc.eject_media(Device.CDROM)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refused_eject_is_not_taken_for_done(redfish_ilo: RedfishIlo, bmc: Bmc, status):
    insert_old(redfish_ilo)
    redfish_ilo.on(EJECT, refuse("Whatever", status))
    with pytest.raises(BmcError, match=rf"could not eject CDROM: it says Whatever.*{status}"):
        bmc.eject_media(Device.CDROM)


def test_an_eject_that_shows_late(redfish_ilo: RedfishIlo, bmc: Bmc):
    insert_old(redfish_ilo)
    still = redfish(dict(redfish_ilo.documents[CD]))
    redfish_ilo.on(f"GET {CD}", *[redfish_ilo.serve] * 3, still, still, redfish_ilo.serve)
    bmc.eject_media(Device.CDROM)
    assert len(redfish_ilo.changes()) == 1


@pytest.mark.parametrize(
    "lie",
    [
        {"Inserted": False, "Image": ""},
        {"Inserted": True, "Image": URL[:-1]},
        {"Inserted": False, "Image": URL},
    ],
)
def test_an_insert_that_is_only_claimed(redfish_ilo: RedfishIlo, redfish_access: Access, lie):
    shown = redfish(redfish_ilo.documents[CD] | lie)
    redfish_ilo.on(f"GET {CD}", *[redfish_ilo.serve] * 3, shown)
    with connect(hasty(redfish_access)) as bmc:
        with pytest.raises(BmcStateMismatch, match="this image in CDROM was accepted") as caught:
            bmc.insert_media(Device.CDROM, URL)
    assert "192.0.2.1" not in str(caught.value)


def test_a_boot_option_that_does_not_stick(redfish_ilo: RedfishIlo, redfish_access: Access):
    redfish_ilo.on(f"PATCH {CD}", refuse("Success", 200))
    with connect(hasty(redfish_access)) as bmc:
        with pytest.raises(BmcStateMismatch, match="boot once in CDROM"):
            bmc.insert_media(Device.CDROM, URL)


@pytest.mark.parametrize(
    "device", [BootDevice.CDROM, BootDevice.FLOPPY, BootDevice.HDD, BootDevice.NETWORK]
)
def test_one_time_boot(redfish_ilo: RedfishIlo, bmc: Bmc, device):
    assert bmc.get_one_time_boot() is BootDevice.NORMAL
    bmc.set_one_time_boot(device)
    assert bmc.get_one_time_boot() is device
    bmc.set_one_time_boot(BootDevice.NORMAL)
    assert bmc.get_one_time_boot() is BootDevice.NORMAL
    assert redfish_ilo.changes() == [f"PATCH {SYSTEM}"] * 2


def test_a_boot_override_that_has_no_name(redfish_ilo: RedfishIlo, bmc: Bmc):
    boot = redfish_ilo.documents[SYSTEM]["Boot"]
    boot |= {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "BiosSetup"}
    assert bmc.get_one_time_boot() is BootDevice.OTHER


def test_a_boot_override_that_is_not_known_just_now(redfish_ilo: RedfishIlo, bmc: Bmc):
    boot = redfish_ilo.documents[SYSTEM]["Boot"]
    boot |= {"BootSourceOverrideEnabled": None, "BootSourceOverrideTarget": None}
    assert bmc.get_one_time_boot() is BootDevice.NORMAL


def test_targets_that_are_not_listed(redfish_ilo: RedfishIlo, bmc: Bmc):
    """As on iLO 7."""
    del redfish_ilo.documents[SYSTEM]["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"]
    bmc.set_one_time_boot(BootDevice.CDROM)
    assert bmc.get_one_time_boot() is BootDevice.CDROM


def test_a_device_that_the_server_does_not_boot_from(redfish_ilo: RedfishIlo, bmc: Bmc):
    boot = redfish_ilo.documents[SYSTEM]["Boot"]
    boot["BootSourceOverrideTarget@Redfish.AllowableValues"] = ["None", "Hdd"]
    with pytest.raises(BmcFeatureMissing, match="could not set the one-time boot device to CDROM"):
        bmc.set_one_time_boot(BootDevice.CDROM)
    assert redfish_ilo.changes() == []


def test_persistent_boot(bmc: Bmc):
    order = [BootDevice.HDD, BootDevice.NETWORK, BootDevice.CDROM]
    assert bmc.get_persistent_boot() == order
    bmc.set_persistent_boot(BootDevice.NETWORK)
    assert bmc.get_persistent_boot() == [BootDevice.NETWORK, BootDevice.HDD, BootDevice.CDROM]
    assert bmc.get_one_time_boot() is BootDevice.NORMAL
    bmc.set_one_time_boot(BootDevice.NORMAL)
    assert bmc.get_persistent_boot()[0] is BootDevice.NETWORK
    with pytest.raises(BmcFeatureMissing, match="NORMAL is not in its boot order"):
        bmc.set_persistent_boot(BootDevice.NORMAL)


def test_a_server_that_tells_no_boot_order(redfish_ilo: RedfishIlo, bmc: Bmc):
    redfish_ilo.documents[BIOS]["Oem"] = {}
    assert bmc.get_persistent_boot() == []


def test_boot_mode(redfish_ilo: RedfishIlo, bmc: Bmc):
    assert bmc.get_supported_boot_modes() == [BootMode.LEGACY, BootMode.UEFI]
    bmc.set_pending_boot_mode(BootMode.UEFI)
    assert redfish_ilo.changes() == []
    bmc.set_pending_boot_mode(BootMode.LEGACY)
    assert (bmc.get_boot_mode(), bmc.get_pending_boot_mode()) == (BootMode.UEFI, BootMode.LEGACY)
    bmc.set_pending_boot_mode(BootMode.UEFI)
    assert [each for each in redfish_ilo.requests if "BootMode" in each] == [
        '{"Attributes": {"BootMode": "LegacyBios"}}',
        '{"Attributes": {"BootMode": "Uefi", "UefiOptimizedBoot": "Enabled"}}',
    ]


@pytest.mark.parametrize("attributes", [{}, {"BootMode": "Uefi"}])
def test_a_server_with_uefi_alone(redfish_ilo: RedfishIlo, bmc: Bmc, attributes):
    redfish_ilo.documents[SYSTEM]["Oem"]["Hpe"]["Bios"]["UefiClass"] = 3
    for path in (BIOS, f"{BIOS}/settings"):
        redfish_ilo.documents[path]["Attributes"] = attributes
    assert bmc.get_supported_boot_modes() == [BootMode.UEFI]
    assert bmc.get_boot_mode() is BootMode.UEFI
    bmc.set_pending_boot_mode(BootMode.UEFI)


@pytest.mark.parametrize("attributes", [{}, {"BootMode": "Uefi"}])
def test_a_boot_mode_that_the_server_has_not(redfish_ilo: RedfishIlo, bmc: Bmc, attributes):
    redfish_ilo.documents[SYSTEM]["Oem"]["Hpe"]["Bios"]["UefiClass"] = 3
    for path in (BIOS, f"{BIOS}/settings"):
        redfish_ilo.documents[path]["Attributes"] = attributes
    with pytest.raises(BmcFeatureMissing, match="no boot mode but UEFI"):
        bmc.set_pending_boot_mode(BootMode.LEGACY)
    assert redfish_ilo.changes() == []


def test_secure_boot(redfish_ilo: RedfishIlo, bmc: Bmc):
    assert bmc.get_secure_boot() == SecureBoot(current=False, pending=False)
    bmc.set_secure_boot(enabled=True)
    bmc.set_secure_boot(enabled=True)
    assert bmc.get_secure_boot() == SecureBoot(current=False, pending=True)
    assert redfish_ilo.changes() == [f"PATCH {SECURE_BOOT}"]


def test_secure_boot_in_legacy_mode(redfish_ilo: RedfishIlo, bmc: Bmc):
    redfish_ilo.on(f"PATCH {SECURE_BOOT}", refuse("UnsupportedOperationInLegacyBootMode"))
    with pytest.raises(BmcFeatureMissing, match="Put the server into UEFI mode"):
        bmc.set_secure_boot(enabled=True)


def test_a_server_without_secure_boot(redfish_ilo: RedfishIlo, bmc: Bmc):
    del redfish_ilo.documents[SYSTEM]["SecureBoot"]
    with pytest.raises(BmcFeatureMissing, match="does not offer that"):
        bmc.get_secure_boot()


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (SYSTEM, {"PowerState": "Hot"}),
        (SYSTEM, {"PowerState": None}),
        (f"{documents.ROOT}/Systems", {"Members": []}),
        (f"{documents.ROOT}/Systems", {"Members": "none"}),
        (documents.ROOT, {"Systems": {"@odata.id": "nowhere"}}),
        (documents.ROOT, {"Systems": {"@odata.id": "/a path that is none"}}),
    ],
)
def test_documents_that_are_not_as_documented(redfish_ilo: RedfishIlo, bmc: Bmc, path, change):
    redfish_ilo.documents[path] |= change
    with pytest.raises(BmcUnreachable, match="could not read the power state") as caught:
        bmc.get_power_state()
    assert caught.value.hint
