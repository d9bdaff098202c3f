"""One emulated iLO: its state, the machine behind it, and the faults asked for.

Protocol rooms (RIBCL, REST, Redfish) translate requests into calls of ``Ilo`` and its ``Refusal``
into their own errors.
"""

import asyncio
import copy
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ilo_emulator.config import ServerConfig
from ilo_emulator.faults import Faults
from ilo_emulator.firmware import BootMode, Firmware, FirmwarePlan, Keys
from ilo_emulator.machine import GuestEvent, Machine
from ilo_emulator.profile import Ribcl
from ilo_emulator.state import (
    BootDevice,
    BootOption,
    Device,
    Drive,
    IloState,
    InvalidValue,
    LicenseMissing,
    MachineFailed,
    NotInLegacyMode,
    PostInProgress,
    Refusal,
    ServerIsOff,
)

LOG = logging.getLogger(__name__)

_REMEMBERED = 1000


@dataclass(frozen=True)
class BootRecord:
    """One start of the server: when, from what, with which firmware, which media it saw."""

    at: datetime
    device: BootDevice | None
    firmware: FirmwarePlan
    media: dict[Device, str] = field(repr=False)


@dataclass(frozen=True)
class RequestRecord:
    """One command that a client sent, without its values."""

    at: datetime
    command: str


class Ilo:
    """An iLO and its server. Commands are carried out one at a time."""

    def __init__(self, server: ServerConfig) -> None:
        self.server = server
        self.profile = server.profile
        firmware = Firmware(server.boot_mode, secure_boot=server.secure_boot)
        self.state = IloState(server.profile.boot_order, firmware)
        self.boots: deque[BootRecord] = deque(maxlen=_REMEMBERED)
        self.requests: deque[RequestRecord] = deque(maxlen=_REMEMBERED)
        self.starts = 0
        self.nmis = 0
        self.is_on = False
        self.uid_light = False
        self._faults = Faults()
        self._post_refusals_left = 0
        self._not_ready_left = 0
        self._login_refused_at = float("-inf")
        self._started_at = float("-inf")
        self._ejected: dict[Device, tuple[Drive, float]] = {}
        self._lock = asyncio.Lock()
        self._events: set[asyncio.Task[None]] = set()
        self._machine: Machine | None = None

    @property
    def machine(self) -> Machine:
        """The machine, once ``attach`` has been called."""
        assert self._machine is not None  # noqa: S101 - the emulator attaches before it listens
        return self._machine

    def attach(self, machine: Machine) -> None:
        """Put the machine behind this iLO."""
        self._machine = machine

    @property
    def faults(self) -> Faults:
        """How it misbehaves at present."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._post_refusals_left = faults.post_refusals
        self._not_ready_left = faults.not_ready
        self._login_refused_at = float("-inf")
        self.machine.media_rate = faults.media_rate

    @property
    def ribcl(self) -> Ribcl:
        """Whether it speaks RIBCL at present."""
        disabled = self._faults.ribcl_disabled and self.profile.ribcl is Ribcl.ENABLED
        return Ribcl.DISABLED if disabled else self.profile.ribcl

    @property
    def in_post(self) -> bool:
        """Whether the server tests itself before it boots."""
        return self.is_on and time.monotonic() < self._started_at + self._faults.post_s

    def take_request(self) -> bool:
        """Tell whether it is ready for one more REST request."""
        busy = self._not_ready_left > 0
        self._not_ready_left -= busy
        return not busy

    @property
    def delays_logins(self) -> bool:
        """Whether it lets nobody log in, since somebody had a wrong password."""
        return time.monotonic() < self._login_refused_at + self._faults.login_delay_s

    def refuse_login(self) -> None:
        """Take note of a wrong password."""
        self._login_refused_at = time.monotonic()

    def shown_drive(self, device: Device) -> Drive:
        """Tell what it says of a drive, which may lag behind what it did."""
        drive = self.state.drives[device]
        ejected, at = self._ejected.get(device, (drive, float("-inf")))
        is_stale = time.monotonic() < at + self._faults.stale_inserted
        return ejected if is_stale and drive.url is None else drive

    @property
    def license_type(self) -> str:
        """The licence that it has, by the name that RIBCL uses."""
        return self.profile.unlicensed if self._faults.no_license else self.profile.licensed

    def record(self, command: str) -> None:
        """Remember that a client sent a command."""
        self.requests.append(RequestRecord(datetime.now(UTC), command))

    async def power_on(self) -> bool:
        """Start a server that is off; tell whether it was."""
        async with self._lock:
            was_off = not self.is_on
            if was_off:
                await self._start()
            return was_off

    async def hold_power_button(self) -> bool:
        """Take the power away from a server that is on; tell whether it was."""
        async with self._lock:
            was_on = self.is_on
            await self._stop()
            return was_on

    async def press_power_button(self) -> None:
        """Press briefly: power on, or ask the running system to power off."""
        async with self._lock:
            if self.is_on:
                await self.machine.press_power_button()
            else:
                await self._start()

    async def shut_down(self) -> None:
        """Ask the running system to power off."""
        async with self._lock:
            self._check_power()
            await self.machine.press_power_button()

    async def interrupt(self) -> None:
        """Send the running system a non-maskable interrupt."""
        async with self._lock:
            self._check_power()
            await self.machine.inject_nmi()
            self.nmis += 1

    async def reset(self) -> None:
        """Start a running server anew. In-band resets come to the same."""
        async with self._lock:
            self._check_power()
            await self._restart()

    async def cold_boot(self) -> None:
        """Take the power away and give it back; a server that is off starts."""
        async with self._lock:
            await self._stop()
            await self._start()

    async def insert(self, device: Device, url: str) -> None:
        """Put an image into a drive."""
        self._check_license()
        async with self._lock:
            self.state.insert(device, url)

    async def attach_image(self, device: Device, url: str, *, protected: bool) -> None:
        """Put an image into a drive and show it to the server now and at each start."""
        self._check_license()
        async with self._lock:
            self.state.insert(device, url)
            self.state.attach(device)
            self.state.set_write_protect(device, protected=protected)
            await self._show_media()

    async def eject(self, device: Device) -> None:
        """Empty a drive."""
        self._check_license()
        if self._faults.eject_fails:
            raise MachineFailed("The Virtual Media drive could not be ejected.")
        async with self._lock:
            ejected = copy.copy(self.state.drives[device])
            self.state.eject(device)
            self._ejected[device] = (ejected, time.monotonic())
            await self._show_media()

    async def set_drive(self, device: Device, option: str, *, protected: bool | None) -> None:
        """Carry out SET_VM_STATUS: a ``BootOption``, or ``CONNECT`` or ``DISCONNECT``.

        :param protected: the write protection, ``None`` leaves it as it is.
        """
        self._check_license()
        async with self._lock:
            self._set_boot_option(device, option)
            if protected is not None:
                self.state.set_write_protect(device, protected=protected)
            await self._show_media()

    def _set_boot_option(self, device: Device, option: str) -> None:
        if option == "CONNECT":
            self.state.connect(device)
        elif option == "DISCONNECT":
            self.state.disconnect(device)
        elif option in BootOption.__members__:
            self.state.set_boot_option(device, BootOption(option))
        else:
            raise InvalidValue("An invalid Virtual Media option has been given.")

    async def set_one_time_boot(self, device: BootDevice | None) -> None:
        """Choose what the next start boots from; ``None`` takes it back."""
        self._check_post()
        async with self._lock:
            self.state.set_one_time_boot(device)

    async def set_boot_override(
        self, device: BootDevice | None, *, once: bool, uefi_target: str = ""
    ) -> None:
        """Choose what the next start, or each, boots from; ``None`` takes both choices back.

        :param uefi_target: the name by which UEFI firmware was told, if it was.
        """
        self._check_post()
        async with self._lock:
            self.state.set_one_time_boot(device if once else None)
            self.state.set_lasting_boot(None if once else device)
            self.state.uefi_target = uefi_target

    async def set_boot_order(self, first: list[BootDevice]) -> None:
        """Move devices to the front of the persistent boot order."""
        self._check_post()
        async with self._lock:
            self.state.set_boot_order(first)

    async def set_boot_mode(self, mode: BootMode) -> None:
        """Choose the boot mode of the next start."""
        if mode not in self.profile.boot_modes:
            raise InvalidValue(f"The boot mode {mode} is not supported.")
        self._check_post()
        async with self._lock:
            self.state.firmware.pending_boot_mode = mode

    async def set_secure_boot(self, *, enable: bool) -> None:
        """Choose whether the next start enforces Secure Boot."""
        self._check_secure_boot()
        async with self._lock:
            self.state.firmware.secure_boot_enable = enable

    async def set_keys(self, keys: Keys) -> None:
        """Choose the keys of Secure Boot from the next start on."""
        self._check_secure_boot()
        async with self._lock:
            self.state.firmware.keys = keys

    def on_guest_event(self, event: GuestEvent) -> None:
        """Take note that the guest reset or powered off its machine; a callback for machines."""
        task = asyncio.get_running_loop().create_task(self._after_guest(event, self.starts))
        self._events.add(task)
        task.add_done_callback(self._events.discard)

    async def _after_guest(self, event: GuestEvent, start: int) -> None:
        async with self._lock:
            if not self.is_on or self.starts != start:
                return  # a command came first
            LOG.info("%s: the guest did %s", self.server.name, event.name)
            try:
                if event is GuestEvent.RESET:
                    await self._restart()
                else:
                    await self._stop()
            except Refusal:
                LOG.exception("%s: after the guest did %s", self.server.name, event.name)

    async def close(self) -> None:
        """Stop the machine for good."""
        for task in self._events:
            task.cancel()
        async with self._lock:
            self.is_on = False
            await self.machine.close()

    async def _restart(self) -> None:
        """Start anew with the power kept: nobody sees the server off."""
        await self.machine.stop()
        await self._start()

    async def _stop(self) -> None:
        # Even when it seems off: a guest may have ended its machine a moment ago.
        self.is_on = False
        await self.machine.stop()

    async def _start(self) -> None:
        plan = self.state.start()
        self._started_at = time.monotonic()
        try:
            device = await self.machine.start(plan)
        except MachineFailed:
            self.is_on = False
            raise
        self.is_on = True
        self.starts += 1
        self.boots.append(BootRecord(datetime.now(UTC), device, plan.firmware, plan.media))
        LOG.info("%s: start %d, boots from %s", self.server.name, self.starts, device)

    async def _show_media(self) -> None:
        if self.is_on:
            await self.machine.set_media(self.state.connected_media())

    def _check_power(self) -> None:
        if not self.is_on:
            raise ServerIsOff("Server is currently powered off.")

    def _check_license(self) -> None:
        if self._faults.no_license:
            raise LicenseMissing("This feature requires an iLO Advanced license.")

    def _check_secure_boot(self) -> None:
        if self.state.firmware.current.boot_mode is not BootMode.UEFI:
            raise NotInLegacyMode("Secure Boot cannot be changed in legacy BIOS mode.")
        self._check_post()

    def _check_post(self) -> None:
        in_post = self.in_post
        if self._post_refusals_left > 0:
            self._post_refusals_left -= 1
            in_post = True
        if in_post:
            raise PostInProgress("Boot settings cannot be modified while the server is in POST.")
