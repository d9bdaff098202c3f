"""The rules by which an iLO's state changes."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ilo_emulator.firmware import Firmware
from ilo_emulator.profile import PROFILES
from ilo_emulator.state import (
    BootDevice,
    BootOption,
    Device,
    Drive,
    DriveOccupied,
    IloState,
    InvalidValue,
    NoMedium,
)

ISO = "http://127.0.0.1/boot.iso"
FLOPPY = "http://127.0.0.1/floppy.img"
ORDER = PROFILES["ilo4-gen8"].boot_order


@pytest.fixture
def state() -> IloState:
    return IloState(ORDER, Firmware())


def test_boots_from_its_disk_when_nothing_is_set(state: IloState):
    assert state.start().order == (BootDevice.HDD, BootDevice.NETWORK)


def test_insert_alone_shows_the_server_nothing(state: IloState):
    state.insert(Device.CDROM, ISO)
    assert state.connected_media() == {}
    assert state.start().media == {}


def test_boot_once_is_there_for_one_start_and_gone_after(state: IloState):
    state.insert(Device.CDROM, ISO)
    state.set_write_protect(Device.CDROM, protected=True)
    state.set_boot_option(Device.CDROM, BootOption.BOOT_ONCE)
    assert not state.drives[Device.CDROM].connected
    first = state.start()
    assert (first.order[0], first.media) == (BootDevice.CDROM, {Device.CDROM: ISO})
    assert state.drives[Device.CDROM].boot_option is BootOption.BOOT_ONCE
    second = state.start()
    assert (second.order[0], second.media) == (BootDevice.HDD, {})
    assert state.drives[Device.CDROM] == Drive()


def test_boot_once_set_again_counts_anew(state: IloState):
    state.insert(Device.CDROM, ISO)
    state.set_boot_option(Device.CDROM, BootOption.BOOT_ONCE)
    state.start()
    state.set_boot_option(Device.CDROM, BootOption.BOOT_ONCE)
    assert state.start().order[0] is BootDevice.CDROM


def test_boot_always_stays(state: IloState):
    state.insert(Device.CDROM, ISO)
    state.set_boot_option(Device.CDROM, BootOption.BOOT_ALWAYS)
    assert [state.start().order[0] for _ in range(3)] == [BootDevice.CDROM] * 3


def test_no_boot_takes_the_medium_away_at_the_next_start(state: IloState):
    state.insert(Device.CDROM, ISO)
    state.connect(Device.CDROM)
    state.set_boot_option(Device.CDROM, BootOption.NO_BOOT)
    assert state.connected_media() == {Device.CDROM: ISO}
    assert state.start().media == {}
    assert state.drives[Device.CDROM].url == ISO


def test_what_is_attached_stays_until_it_is_ejected_and_boots_in_its_order(state: IloState):
    state.insert(Device.CDROM, ISO)
    state.attach(Device.CDROM)
    assert state.connected_media() == {Device.CDROM: ISO}
    state.set_boot_order([BootDevice.HDD])
    for _ in range(2):
        plan = state.start()
        assert (plan.order[0], plan.media) == (BootDevice.HDD, {Device.CDROM: ISO})
        assert BootDevice.CDROM in plan.order
    state.disconnect(Device.CDROM)
    assert state.start().media == {}


def test_what_is_attached_can_boot_once(state: IloState):
    state.set_boot_order([BootDevice.HDD])
    state.insert(Device.CDROM, ISO)
    state.attach(Device.CDROM)
    state.set_boot_option(Device.CDROM, BootOption.BOOT_ONCE)
    assert [state.start().order[0] for _ in range(2)] == [BootDevice.CDROM, BootDevice.HDD]
    assert state.drives[Device.CDROM] == Drive()


def test_a_lasting_boot_device_yields_to_one_for_once(state: IloState):
    state.set_lasting_boot(BootDevice.NETWORK)
    state.set_one_time_boot(BootDevice.HDD)
    starts = [state.start().order[0] for _ in range(3)]
    assert starts == [BootDevice.HDD, BootDevice.NETWORK, BootDevice.NETWORK]
    state.set_lasting_boot(None)
    assert state.start().order[0] is BootDevice.HDD


def test_connect_and_disconnect_work_at_once(state: IloState):
    state.insert(Device.FLOPPY, FLOPPY)
    state.connect(Device.FLOPPY)
    assert state.connected_media() == {Device.FLOPPY: FLOPPY}
    assert state.drives[Device.FLOPPY].boot_option is BootOption.BOOT_ALWAYS
    state.disconnect(Device.FLOPPY)
    assert state.connected_media() == {}
    assert state.drives[Device.FLOPPY].boot_option is BootOption.NO_BOOT


def test_a_cdrom_is_booted_before_a_floppy(state: IloState):
    for device, url in ((Device.FLOPPY, FLOPPY), (Device.CDROM, ISO)):
        state.insert(device, url)
        state.set_boot_option(device, BootOption.BOOT_ONCE)
    plan = state.start()
    assert plan.order[:2] == (BootDevice.CDROM, BootDevice.FLOPPY)
    assert plan.media == {Device.FLOPPY: FLOPPY, Device.CDROM: ISO}


def test_one_time_boot_comes_first_and_is_used_up(state: IloState):
    state.insert(Device.CDROM, ISO)
    state.connect(Device.CDROM)
    state.set_one_time_boot(BootDevice.HDD)
    assert state.start().order[0] is BootDevice.HDD
    assert state.one_time_boot is None
    assert state.start().order[0] is BootDevice.CDROM


def test_one_time_boot_from_an_empty_drive_falls_through(state: IloState):
    state.set_one_time_boot(BootDevice.CDROM)
    assert state.start().order[0] is BootDevice.HDD


def test_boot_order_moves_devices_to_the_front(state: IloState):
    state.set_boot_order([BootDevice.NETWORK, BootDevice.HDD])
    assert state.boot_order[:2] == (BootDevice.NETWORK, BootDevice.HDD)
    assert set(state.boot_order) == set(ORDER)
    assert state.start().order == (BootDevice.NETWORK, BootDevice.HDD)


def test_refusals_leave_the_state_as_it_was(state: IloState):
    with pytest.raises(NoMedium, match="No image present"):
        state.eject(Device.CDROM)
    with pytest.raises(NoMedium):
        state.connect(Device.CDROM)
    with pytest.raises(InvalidValue):
        state.insert(Device.CDROM, "file:///etc/passwd")
    with pytest.raises(InvalidValue):
        state.set_boot_order([])
    state.insert(Device.CDROM, ISO)
    with pytest.raises(DriveOccupied):
        state.insert(Device.CDROM, FLOPPY)
    assert state.drives[Device.CDROM] == Drive(url=ISO)
    assert state.boot_order == ORDER


def test_urls_are_not_in_representations(state: IloState):
    state.insert(Device.CDROM, ISO)
    state.connect(Device.CDROM)
    assert ISO not in repr(state.drives) + repr(state.start())


class IloRules(RuleBasedStateMachine):
    """Whatever clients do in whatever order, these rules hold."""

    def __init__(self) -> None:
        super().__init__()
        self.state = IloState(ORDER, Firmware())
        self.starts_since_boot_once: dict[Device, int] = {}

    devices = st.sampled_from(Device)

    @rule(device=devices, name=st.integers())
    def insert(self, device: Device, name: int):
        if self.state.drives[device].url is None:
            self.state.insert(device, f"https://h/{name}.iso")
            assert not self.state.drives[device].connected

    @rule(device=devices)
    def eject(self, device: Device):
        if self.state.drives[device].url is not None:
            self.state.eject(device)
        self.starts_since_boot_once.pop(device, None)
        assert self.state.drives[device] == Drive()

    @rule(device=devices, option=st.sampled_from(BootOption))
    def set_boot_option(self, device: Device, option: BootOption):
        if self.state.drives[device].url is None:
            return
        before = self.state.connected_media()
        self.state.set_boot_option(device, option)
        assert self.state.connected_media() == before
        self.starts_since_boot_once.pop(device, None)
        if option is BootOption.BOOT_ONCE:
            self.starts_since_boot_once[device] = 0

    @precondition(lambda self: self.state.drives[Device.CDROM].url is not None)
    @rule()
    def connect(self):
        self.state.connect(Device.CDROM)
        self.starts_since_boot_once.pop(Device.CDROM, None)

    @rule(device=st.none() | st.sampled_from(BootDevice))
    def set_one_time_boot(self, device: BootDevice | None):
        self.state.set_one_time_boot(device)

    @rule()
    def start(self):
        wanted = self.state.one_time_boot
        plan = self.state.start()
        assert plan.media == self.state.connected_media()
        assert self.state.one_time_boot is None
        if wanted in plan.order:
            assert plan.order[0] is wanted
        for device, starts in list(self.starts_since_boot_once.items()):
            assert (device in plan.media) == (starts == 0)
            self.starts_since_boot_once[device] = starts + 1
            if starts == 1:
                del self.starts_since_boot_once[device]
                assert self.state.drives[device] == Drive()

    @invariant()
    def only_loaded_drives_are_connected(self):
        for drive in self.state.drives.values():
            assert drive.url is not None or drive == Drive()


TestIloRules = IloRules.TestCase
