"""What an iLO refuses, or never answers: how it ends for our client, and what it leaves behind."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from ironic_ilo.bmc import Bmc, BootDevice, BootMode, Device, PowerState, connect
from ironic_ilo.exception import (
    BmcBusy,
    BmcError,
    BmcFeatureMissing,
    BmcLoginFailed,
    BmcUnreachable,
)
from tests.functional.bmc.emulated import ISO, PASSWORD, SESSIONS, USERNAME, Emulated

pytestmark = pytest.mark.functional

WRONG = "wrong-Pa$$w0rd"
READS: dict[str, Callable[[Bmc], object]] = {
    "product": lambda bmc: bmc.product(),
    "privileges": lambda bmc: bmc.get_privileges(),
    "power": lambda bmc: bmc.get_power_state(),
    "licence": lambda bmc: bmc.check_virtual_media(),
    "media": lambda bmc: bmc.get_media_status(Device.CDROM),
    "one-time boot": lambda bmc: bmc.get_one_time_boot(),
    "boot order": lambda bmc: bmc.get_persistent_boot(),
    "boot mode": lambda bmc: bmc.get_boot_mode(),
    "boot modes": lambda bmc: bmc.get_supported_boot_modes(),
    "pending boot mode": lambda bmc: bmc.get_pending_boot_mode(),
    "inventory": lambda bmc: bmc.get_inventory(),
    "sensors": lambda bmc: bmc.get_sensors(),
}
CHANGES: dict[str, Callable[[Bmc], object]] = {
    "power on": lambda bmc: bmc.power_on(),
    "reset": lambda bmc: bmc.reset(),
    "insert": lambda bmc: bmc.insert_media(Device.CDROM, ISO),
    "one-time boot": lambda bmc: bmc.set_one_time_boot(BootDevice.CDROM),
    "boot order": lambda bmc: bmc.set_persistent_boot(BootDevice.NETWORK),
}
# What has to be read first, and so fails as the reads do.
OTHER_CHANGES: dict[str, Callable[[Bmc], object]] = {
    "power off": lambda bmc: bmc.power_off(),
    "eject": lambda bmc: bmc.eject_media(Device.CDROM),
    "boot mode": lambda bmc: bmc.set_pending_boot_mode(BootMode.UEFI),
    "secure boot": lambda bmc: bmc.set_secure_boot(enabled=True),
    "NMI": lambda bmc: bmc.inject_nmi(),
}
SECONDS = 2.0
# What such a deadline may really take on a busy machine.
MOST_SECONDS = 30.0


def test_a_silent_ilo_holds_nobody_up(emulated: Emulated):
    """It takes requests and never answers: no call of ours outlives its deadline."""
    calls = [*READS.values(), *CHANGES.values(), *OTHER_CHANGES.values()]
    with ExitStack() as stack:
        way = {"timeout": SECONDS, "change_timeout": SECONDS, "power_timeout": SECONDS}
        doors = [stack.enter_context(emulated.connect(**way)) for _ in calls]
        for door in doors:
            door.get_power_state()  # logged in
        with emulated.fault(silent=True), ThreadPoolExecutor(len(calls)) as pool:
            done = list(pool.map(_time, calls, doors))
    for error, seconds in done:
        assert isinstance(error, BmcUnreachable)
        assert f"no complete answer within {SECONDS:g} s" in str(error)
        assert seconds < MOST_SECONDS
    if emulated.speaks_redfish:
        assert emulated.sessions() == []


def _time(call: Callable[[Bmc], object], bmc: Bmc) -> tuple[BmcError | None, float]:
    started = time.monotonic()
    try:
        call(bmc)
    except BmcError as error:
        return error, time.monotonic() - started
    return None, 0.0


def test_a_user_without_privileges(emulated: Emulated):
    with emulated.fault(no_privileges=True), emulated.connect(busy_timeout=0) as bmc:
        assert set(bmc.get_privileges().values()) == {False}
        for read in READS.values():
            read(bmc)
        for change in CHANGES.values():
            with pytest.raises(BmcError, match=r"[Pp]rivilege.* Give the account") as caught:
                change(bmc)
            assert type(caught.value) is BmcError
    assert emulated.state()["power"] == "off"


def test_a_wrong_password_is_tried_once_and_over_one_protocol(emulated: Emulated):
    with emulated.watched() as asked:
        with pytest.raises(BmcLoginFailed, match=r"`ilo_password`"):
            with emulated.connect(password=WRONG) as bmc:
                bmc.power_on()
    logins = [each for each in asked if each != "GET /xmldata" and not each.startswith("GET /red")]
    wanted = f"POST {SESSIONS}" if emulated.speaks_redfish else "LOGIN refused"
    # Early firmware redirects the first.
    assert [each for each in logins if not each.endswith("redirected")] in (
        [wanted],
        [wanted.rstrip("/")],
    )
    assert not [each for each in asked if "rest/v1" in each]


def test_logins_that_are_delayed(redfish: Emulated):
    with redfish.fault(login_delay_s=600):
        for password, words in ((WRONG, "UnauthorizedLogin"), (PASSWORD, "LoginAttemptDelayed")):
            with pytest.raises(BmcLoginFailed, match=words) as caught:
                redfish.connect(password=password).get_power_state()
        assert "try again after a minute" in str(caught.value)
    with redfish.connect() as bmc:
        assert bmc.get_power_state() is PowerState.OFF


@pytest.fixture
def crowded(redfish: Emulated) -> Iterator[Emulated]:
    """Others have taken all its sessions; they leave at the end."""
    login = {"UserName": USERNAME, "Password": PASSWORD}
    while redfish.rest("POST", SESSIONS, login)[0] == 201:
        pass
    yield redfish
    for session in redfish.sessions():
        redfish.rest("DELETE", session)


def test_an_ilo_without_a_session_to_spare(crowded: Emulated):
    """Reading fails at once, and says what to do; a change waits until somebody leaves."""
    with pytest.raises(BmcBusy, match=r"SessionLimitExceeded.* End sessions that nobody needs"):
        crowded.connect().get_power_state()
    with pytest.raises(BmcBusy, match=r"for 0\.3 s\. End sessions"):
        crowded.connect(busy_timeout=0.3).power_on()
    with ThreadPoolExecutor(1) as pool, crowded.connect() as bmc:
        waiting = pool.submit(bmc.power_on)
        with crowded.watched() as asked:
            _wait_for_login(crowded)
        assert asked
        assert not waiting.done()
        crowded.rest("DELETE", crowded.sessions()[0])
        waiting.result(MOST_SECONDS)
    assert crowded.state()["power"] == "on"


def _wait_for_login(emulated: Emulated) -> None:
    """Wait until somebody else has tried to log in."""
    deadline = time.monotonic() + MOST_SECONDS
    asked: list[str] = []
    while not [each for each in asked if each.startswith("POST")]:
        assert time.monotonic() < deadline
        with emulated.watched() as asked:
            time.sleep(0.3)


FAULTS = {
    "privileges": {"no_privileges": True},
    "licence": {"no_license": True},
    "POST": {"post_refusals": 1000},
    "eject": {"eject_fails": True},
    "stale": {"stale_inserted": 600},
    "not ready": {"not_ready": 3},
    "refuse": {"refuse": True},
    "drop": {"drop": True},
}


def test_no_failure_leaves_a_session_behind(redfish: Emulated):
    hasty = {"timeout": 3.0, "change_timeout": 0.2, "power_timeout": 0.2, "busy_timeout": 0.1}
    with redfish.connect() as bmc:
        bmc.insert_media(Device.CDROM, ISO)
    for name, fault in FAULTS.items():
        with pytest.raises(BmcError), redfish.connect(**hasty) as bmc:
            bmc.get_power_state()
            with redfish.fault(**fault):
                bmc.eject_media(Device.CDROM)
                bmc.insert_media(Device.CDROM, ISO)
                bmc.set_one_time_boot(BootDevice.CDROM)
        assert redfish.sessions() == [], name


def test_a_session_that_a_reset_of_the_ilo_has_ended(redfish: Emulated):
    with redfish.connect() as bmc:
        bmc.get_power_state()
        assert redfish.rest("POST", "/redfish/v1/Managers/1/Actions/Manager.Reset/", {})[0] == 200
        bmc.power_on()
    assert redfish.sessions() == []


def test_ribcl_that_is_disabled(emulator: dict[str, Emulated]):
    for name in ("ilo4-gen8", "ilo4-gen9"):
        emulated = emulator[name]
        with emulated.fault(ribcl_disabled=True):
            with pytest.raises(BmcFeatureMissing, match="Enable RIBCL"):
                connect(emulated.access).get_power_state()
