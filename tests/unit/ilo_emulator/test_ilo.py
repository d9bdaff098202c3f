"""An iLO and its machine: what guests and failures do to them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ilo_emulator.accelerator import choose
from ilo_emulator.config import Accel, load
from ilo_emulator.faults import Faults
from ilo_emulator.ilo import Ilo
from ilo_emulator.machine import GuestEvent, PaperMachine
from ilo_emulator.state import BootDevice, BootPlan, Device, MachineFailed, ServerIsOff
from tests.unit.ilo_emulator.conftest import CONFIG, DEADLINE

Play = Callable[[Ilo], Awaitable[None]]


class FragileMachine(PaperMachine):
    """Fails at its first start."""

    starts = 0

    async def start(self, plan: BootPlan) -> BootDevice | None:
        self.starts += 1
        if self.starts == 1:
            raise MachineFailed("no power")
        return await super().start(plan)


@pytest.fixture
def with_ilo(tmp_path: Path) -> Callable[[Play, type[PaperMachine]], None]:
    """Run a coroutine function with an iLO before a machine, within a deadline."""
    (tmp_path / "lab.toml").write_text(CONFIG)

    async def run(play: Play, machine: type[PaperMachine]) -> None:
        ilo = Ilo(load(tmp_path / "lab.toml").servers[0])
        ilo.attach(machine(ilo.on_guest_event))
        async with asyncio.timeout(DEADLINE):
            await play(ilo)
            await ilo.close()

    return lambda play, machine=PaperMachine: asyncio.run(run(play, machine))


async def settle() -> None:
    """Let what guests did be noticed."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_guest_that_resets_is_a_start(with_ilo):
    async def play(ilo: Ilo) -> None:
        await ilo.power_on()
        ilo.on_guest_event(GuestEvent.RESET)
        await settle()
        assert (ilo.is_on, ilo.starts) == (True, 2)

    with_ilo(play)


def test_a_guest_that_powers_off(with_ilo):
    async def play(ilo: Ilo) -> None:
        await ilo.power_on()
        ilo.on_guest_event(GuestEvent.POWER_OFF)
        await settle()
        assert (ilo.is_on, ilo.starts) == (False, 1)

    with_ilo(play)


@pytest.mark.parametrize("event", GuestEvent)
def test_what_a_guest_did_before_a_command_is_forgotten(with_ilo, event: GuestEvent):
    async def play(ilo: Ilo) -> None:
        await ilo.power_on()
        ilo.on_guest_event(event)
        await ilo.hold_power_button()
        await ilo.power_on()
        await settle()
        assert (ilo.is_on, ilo.starts) == (True, 2)

    with_ilo(play)


class WatchedMachine(PaperMachine):
    """Lets others look at the iLO while it starts."""

    async def start(self, plan: BootPlan) -> BootDevice | None:
        await settle()
        return await super().start(plan)


def test_a_reset_keeps_the_power_and_a_cold_boot_does_not(with_ilo):
    async def play(ilo: Ilo) -> None:
        await ilo.power_on()
        seen = []
        for command in (ilo.reset, ilo.cold_boot):
            task = asyncio.create_task(command())
            await asyncio.sleep(0)
            seen.append((ilo.is_on, ilo.starts, len(ilo.boots)))
            await task
        assert seen == [(True, 1, 1), (False, 2, 2)]

    with_ilo(play, WatchedMachine)


def test_a_machine_that_does_not_start_stays_off(with_ilo):
    async def play(ilo: Ilo) -> None:
        with pytest.raises(MachineFailed, match="no power"):
            await ilo.power_on()
        assert not ilo.is_on
        assert not ilo.boots
        with pytest.raises(ServerIsOff):
            await ilo.reset()
        assert await ilo.power_on()
        assert ilo.is_on

    with_ilo(play, FragileMachine)


def test_an_eject_that_fails_and_one_that_shows_late(with_ilo):
    async def play(ilo: Ilo) -> None:
        await ilo.attach_image(Device.CDROM, "http://h/x.iso", protected=True)
        ilo.faults = Faults(eject_fails=True)
        with pytest.raises(MachineFailed, match="could not be ejected"):
            await ilo.eject(Device.CDROM)
        assert ilo.shown_drive(Device.CDROM).url == "http://h/x.iso"
        ilo.faults = Faults(stale_inserted=3600)
        await ilo.eject(Device.CDROM)
        assert ilo.state.drives[Device.CDROM].url is None
        assert ilo.shown_drive(Device.CDROM).url == "http://h/x.iso"
        ilo.faults = Faults(stale_inserted=0.01)
        await asyncio.sleep(0.02)
        assert ilo.shown_drive(Device.CDROM).url is None

    with_ilo(play)


def test_the_rate_of_media_reaches_the_machine(with_ilo):
    async def play(ilo: Ilo) -> None:
        ilo.faults = Faults(media_rate=1000)
        assert ilo.machine.media_rate == 1000
        ilo.faults = Faults()
        assert ilo.machine.media_rate == 0

    with_ilo(play)


def test_what_only_a_running_server_does(with_ilo):
    async def play(ilo: Ilo) -> None:
        for command in (ilo.shut_down, ilo.interrupt, ilo.reset):
            with pytest.raises(ServerIsOff):
                await command()
        await ilo.power_on()
        await ilo.interrupt()
        await ilo.shut_down()
        await settle()
        assert not ilo.is_on

    with_ilo(play)


def test_commands_are_carried_out_one_at_a_time(with_ilo):
    async def play(ilo: Ilo) -> None:
        assert sorted(await asyncio.gather(*(ilo.power_on() for _ in range(5)))) == [
            *[False] * 4,
            True,
        ]
        assert ilo.starts == 1

    with_ilo(play)


def test_the_probe_of_kvm_is_remembered_until_the_next_boot(tmp_path: Path):
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    cache = tmp_path / "accelerator.json"
    for accel in (Accel.KVM, Accel.TCG):
        cache.write_text(json.dumps({"boot": boot, "accel": accel}))
        assert asyncio.run(choose(Accel.AUTO, tmp_path)) is accel
        assert asyncio.run(choose(Accel.TCG, tmp_path)) is Accel.TCG
