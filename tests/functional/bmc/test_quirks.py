"""What iLOs do beside answering (ilo-protocol.md), by generation: POST, media, boots."""

import json
from collections.abc import Callable, Iterator

import pytest

from ironic_ilo.bmc import Bmc, BootDevice, BootMode, Device, PowerState
from ironic_ilo.bmc.detection import KNOWN
from ironic_ilo.bmc.https import follow, make_endpoint, path_of
from ironic_ilo.exception import BmcBusy, BmcStateMismatch, BmcUnreachable
from tests.functional.bmc.emulated import (
    FLOPPY,
    ISO,
    PASSWORD,
    SESSIONS,
    USERNAME,
    Emulated,
)

pytestmark = pytest.mark.functional

SYSTEM = "/redfish/v1/Systems/1/"
# What an iLO says to a change during POST.
REFUSALS = {
    True: r"it says UnableToModifyDuringSystemPOST \(HTTP status 400\)",
    False: r"it says 'Boot settings cannot be modified while the server is in POST\.' \(0x003D\)",
}
# By which requests a change of the boot override shows in what the iLO was asked.
OVERRIDES = {True: f"PATCH {SYSTEM}".rstrip("/"), False: "SET_ONE_TIME_BOOT"}


def changes_of_boots(emulated: Emulated) -> dict[str, Callable[[Bmc], None]]:
    """The changes that POST forbids, as far as a generation has them in its first boot mode."""
    changes = {
        "one-time": lambda bmc: bmc.set_one_time_boot(BootDevice.CDROM),
        "lasting": lambda bmc: bmc.set_persistent_boot(BootDevice.NETWORK),
    }
    if emulated.speaks_redfish:
        changes["secure boot"] = lambda bmc: bmc.set_secure_boot(enabled=True)
    if emulated.generation in ("ilo4-gen9", "ilo5-early", "ilo5"):
        changes["mode"] = _change_boot_mode
    return changes


def _change_boot_mode(bmc: Bmc) -> None:
    [mode] = set(BootMode) - {bmc.get_pending_boot_mode()}
    bmc.set_pending_boot_mode(mode)


@pytest.fixture
def restored(emulated: Emulated) -> Iterator[None]:
    """The boot settings are as before when the test is over."""
    with emulated.connect() as bmc:
        mode = bmc.get_pending_boot_mode()
        first = bmc.get_persistent_boot()[:1]
    yield
    with emulated.connect() as bmc:
        bmc.set_pending_boot_mode(mode)
        bmc.reset()
        if emulated.speaks_redfish:
            bmc.set_secure_boot(enabled=False)
            bmc.reset()
            off = {"Boot": {"BootSourceOverrideEnabled": "Disabled"}}
            assert emulated.rest("PATCH", SYSTEM, off)[0] == 200
        else:
            bmc.set_persistent_boot(*first)


def test_changes_wait_for_the_end_of_post(emulated: Emulated, bmc: Bmc, restored: None):
    for change in changes_of_boots(emulated).values():
        with emulated.watched() as asked, emulated.fault(post_refusals=2):
            change(bmc)  # and it is read back
        sent = [each for each in asked if each.startswith(("PATCH ", "SET_"))]
        assert len([each for each in sent if not each.endswith("redirected")]) == 3


def test_post_that_lasts_too_long(emulated: Emulated, restored: None):
    with (
        emulated.watched() as asked,
        emulated.fault(post_s=600),
        emulated.connect(busy_timeout=0.4) as hasty,
    ):
        hasty.reset()
        for change in changes_of_boots(emulated).values():
            with pytest.raises(BmcBusy, match=REFUSALS[emulated.speaks_redfish]) as caught:
                change(hasty)
            assert "for 0.4 s. Let the server finish its POST" in str(caught.value)
            assert "raise `busy_timeout`" in str(caught.value)
    sent = OVERRIDES[emulated.speaks_redfish]
    assert [each.rstrip("/") for each in asked].count(sent) >= 2


def test_post_keeps_nobody_from_changing_media(emulated: Emulated):
    with emulated.fault(post_s=600), emulated.connect(busy_timeout=0) as bmc:
        bmc.power_on()
        bmc.insert_media(Device.CDROM, ISO)
        bmc.insert_media(Device.FLOPPY, FLOPPY)
        bmc.eject_media(Device.CDROM)
        assert not bmc.get_media_status(Device.CDROM).inserted


@pytest.mark.parametrize("device", Device)
def test_a_drive_that_is_empty_but_does_not_show_it(emulated: Emulated, bmc: Bmc, device: Device):
    """What shows a medium still is ejected again, which an iLO refuses: it is empty already."""
    bmc.insert_media(device, ISO)
    with (
        emulated.watched() as asked,
        emulated.fault(stale_inserted=600),
        emulated.connect(change_timeout=0) as hasty,
    ):
        for _ in range(2):
            with pytest.raises(BmcStateMismatch, match=r"was accepted, but .* still shows"):
                hasty.eject_media(device)
    assert len([each for each in asked if "eject" in each.lower()]) == 2
    assert not bmc.get_media_status(device).inserted


def test_a_drive_that_never_shows_it(emulated: Emulated, bmc: Bmc):
    bmc.insert_media(Device.CDROM, ISO)
    with emulated.fault(stale_inserted=600), emulated.connect(change_timeout=0.4) as hasty:
        for change in (
            lambda: hasty.eject_media(Device.CDROM),
            lambda: hasty.insert_media(Device.CDROM, f"{ISO}?another"),
        ):
            with pytest.raises(BmcStateMismatch, match=r"an eject in CDROM was accepted.*0\.4 s"):
                change()


def test_an_eject_of_an_empty_drive_is_not_even_sent(emulated: Emulated, bmc: Bmc):
    with emulated.watched() as asked:
        for device in Device:
            bmc.eject_media(device)
    assert asked
    assert not [each for each in asked if "eject" in each.lower()]


def test_a_boot_device_for_once(emulated: Emulated, bmc: Bmc):
    """It is shown, is booted from once, and is over; another choice replaces it."""
    for device in (BootDevice.HDD, BootDevice.CDROM, BootDevice.NETWORK):
        bmc.insert_media(Device.CDROM, ISO)
        for chosen in (BootDevice.FLOPPY, device):
            bmc.set_one_time_boot(chosen)
            assert bmc.get_one_time_boot() is chosen
        bmc.reset()
        assert emulated.state()["booted_from"] == device.lower()
        assert bmc.get_one_time_boot() is BootDevice.NORMAL


def test_a_lasting_boot_device_is_none_for_once(redfish: Emulated):
    """Both are one setting over Redfish: a choice for once puts an end to the lasting one."""
    with redfish.connect() as bmc:
        bmc.set_persistent_boot(BootDevice.NETWORK)
        bmc.set_one_time_boot(BootDevice.NORMAL)
        assert bmc.get_persistent_boot()[0] is BootDevice.NETWORK
        bmc.set_one_time_boot(BootDevice.HDD)
        bmc.power_on()
        bmc.reset()
        enabled = redfish.rest("GET", SYSTEM)[1]["Boot"]["BootSourceOverrideEnabled"]
        assert enabled == "Disabled"


@pytest.mark.parametrize("boot", [
    {"BootSourceOverrideEnabled": "Once"},
    {"BootSourceOverrideTarget": "Cd", "BootSourceOverrideMode": "UEFI"},
    {"BootSourceOverrideTarget": "Floppy9", "BootSourceOverrideEnabled": "Once"},
])  # fmt: skip
def test_boot_overrides_that_an_ilo_refuses(redfish: Emulated, boot: dict[str, str]):
    """So ours sends target and duration together, and never the mode."""
    status, document, _ = redfish.rest("PATCH", SYSTEM, {"Boot": boot})
    assert (status, "error" in document) == (400, True)
    with redfish.connect() as bmc:
        bmc.set_one_time_boot(BootDevice.CDROM)
        assert bmc.get_one_time_boot() is BootDevice.CDROM


@pytest.mark.parametrize("duration", ["Once", "Continuous"])
@pytest.mark.parametrize("generation", ["ilo5-early", "ilo5", "ilo6"])
def test_a_boot_option_that_somebody_chose_by_its_name(
    emulator: dict[str, Emulated], generation: str, duration: str
):
    redfish = emulator[generation]
    boot = {"BootSourceOverrideTarget": "UefiTarget", "BootSourceOverrideEnabled": duration}
    named = boot | {"UefiTargetBootSourceOverride": "NIC.LOM.1.1.IPv4"}
    assert redfish.rest("PATCH", SYSTEM, {"Boot": named})[0] == 200
    with redfish.connect() as bmc:
        if duration == "Once":
            assert bmc.get_one_time_boot() is BootDevice.OTHER
        else:
            assert bmc.get_persistent_boot()[0] is BootDevice.OTHER
        bmc.set_one_time_boot(BootDevice.HDD)
        assert bmc.get_one_time_boot() is BootDevice.HDD
        bmc.set_one_time_boot(BootDevice.NORMAL)
        assert bmc.get_one_time_boot() is BootDevice.NORMAL


def deploy(bmc: Bmc) -> None:
    """What a deploy asks of an iLO, and what undoes it."""
    bmc.check_virtual_media()
    bmc.power_off()
    bmc.insert_media(Device.FLOPPY, FLOPPY)
    bmc.insert_media(Device.CDROM, ISO)
    bmc.set_one_time_boot(BootDevice.CDROM)
    bmc.power_on()
    assert bmc.get_media_status(Device.CDROM).connected
    bmc.power_off()
    for device in Device:
        bmc.eject_media(device)


def test_etags_that_have_changed(redfish: Emulated):
    """A server's change with each step of its POST: whoever sends one back is refused."""
    tag = redfish.rest("GET", SYSTEM)[2]["etag"]
    off = {"Boot": {"BootSourceOverrideEnabled": "Disabled"}}
    with redfish.fault(etags_change=True), redfish.connect() as bmc:
        assert redfish.rest("PATCH", SYSTEM, off, **{"If-Match": tag})[0] == 412
        deploy(bmc)
        bmc.set_secure_boot(enabled=True)
        bmc.set_secure_boot(enabled=False)
    assert redfish.state()["booted_from"] == "cdrom"


def test_an_ilo_that_is_not_ready(redfish: Emulated):
    """It has been reset a moment ago. What only reads says so; what changes something waits."""
    with redfish.connect() as bmc:
        with redfish.fault(not_ready=1), pytest.raises(BmcBusy, match="ResourceNotReadyRetry"):
            bmc.get_power_state()
        for change in (
            bmc.power_on,
            lambda: bmc.insert_media(Device.CDROM, ISO),
            lambda: bmc.set_one_time_boot(BootDevice.CDROM),
            bmc.reset,
        ):
            with redfish.fault(not_ready=2):
                change()
    assert redfish.state()["booted_from"] == "cdrom"


def test_redirects_of_early_firmware(emulator: dict[str, Emulated]):
    early = emulator["ilo5-early"]
    with early.watched() as asked, early.connect() as bmc:
        deploy(bmc)
    assert [each for each in asked if each.endswith(" redirected")]


def test_a_redirected_post_keeps_its_body(emulator: dict[str, Emulated]):
    early, place = emulator["ilo5-early"], SESSIONS.rstrip("/")
    login = json.dumps({"UserName": USERNAME, "Password": PASSWORD}).encode()
    with early.watched() as asked:
        headers = {"Content-Type": "application/json"}
        reply = follow(make_endpoint(early.access), "POST", place, headers, login)
    assert asked == [f"POST {place} redirected", f"POST {SESSIONS}"]
    assert reply.status == 201
    assert early.rest("DELETE", path_of(reply.headers["location"]))[0] == 200


def test_ribcl_that_is_not_there_is_not_missed(redfish: Emulated):
    KNOWN.clear()
    with redfish.watched() as asked, redfish.fault(ribcl_disabled=True), redfish.connect() as bmc:
        deploy(bmc)
    assert asked[0] == "GET /xmldata"
    assert {each for each in asked if "/redfish/v1/" not in each} == {"GET /xmldata"}


def test_what_it_is_is_asked_once(emulated: Emulated):
    KNOWN.clear()
    with emulated.watched() as asked:
        for _ in range(3):
            with emulated.fault(post_refusals=1), emulated.connect() as bmc:
                bmc.set_one_time_boot(BootDevice.CDROM)
    assert asked.count("GET /xmldata") == 1


def test_an_ilo_that_tells_strangers_nothing(emulated: Emulated):
    KNOWN.clear()
    with emulated.watched() as asked, emulated.fault(anonymous_data_off=True):
        for _ in range(2):
            with emulated.connect() as bmc:
                deploy(bmc)
    assert asked.count("GET /xmldata") == 1
    assert emulated.state()["booted_from"] == "cdrom"


def test_a_connection_that_is_closed_costs_no_more_than_its_call(emulated: Emulated, bmc: Bmc):
    for fault in ("refuse", "drop"):
        assert bmc.get_power_state() is PowerState.OFF
        with emulated.fault(**{fault: True}), pytest.raises(BmcUnreachable):
            bmc.get_power_state()
    deploy(bmc)
