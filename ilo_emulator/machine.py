"""The machine behind an iLO: what the iLO can do to it, and one that is made of paper."""

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ilo_emulator.state import BootDevice, BootPlan, Device, MachineFailed


class GuestEvent(enum.Enum):
    """What a running system did to its machine by itself."""

    RESET = enum.auto()
    POWER_OFF = enum.auto()


#: Told when the guest has reset or powered off its machine, which does not run any more by then.
GuestEventHandler = Callable[[GuestEvent], None]


class Machine(Protocol):
    """A machine. One caller at a time; methods raise ``MachineFailed``."""

    console_log: Path | None

    async def start(self, plan: BootPlan) -> BootDevice | None:
        """Start a machine that is off; tell what it boots from, or ``None`` for nothing."""

    async def stop(self) -> None:
        """Take the power away; nothing happens when it is off."""

    async def press_power_button(self) -> None:
        """Ask the running system to power off, through ACPI."""

    async def inject_nmi(self) -> None:
        """Interrupt the running system with an NMI."""

    async def set_media(self, media: dict[Device, str]) -> None:
        """Make the running system see these drives and no others."""

    async def screenshot(self, path: Path) -> None:
        """Write what the screen shows as PNG."""

    def bytes_fetched(self, device: Device) -> int:
        """Count the bytes read from a drive since the emulator started."""

    async def close(self) -> None:
        """Stop it and release what it holds."""


class PaperMachine:
    """Boots nothing; its system obeys the power button at once."""

    console_log: Path | None = None

    def __init__(self, on_guest_event: GuestEventHandler) -> None:
        self._on_guest_event = on_guest_event

    async def start(self, plan: BootPlan) -> BootDevice | None:
        """Take the first device of the plan."""
        return plan.order[0] if plan.order else None

    async def stop(self) -> None:
        """Do nothing."""

    async def press_power_button(self) -> None:
        """Power off as a system would."""
        self._on_guest_event(GuestEvent.POWER_OFF)

    async def inject_nmi(self) -> None:
        """Do nothing."""

    async def set_media(self, media: dict[Device, str]) -> None:
        """Do nothing."""

    async def screenshot(self, path: Path) -> None:  # noqa: ARG002 - the protocol's signature
        """Refuse: paper has no screen."""
        raise MachineFailed("a paper machine has no screen")

    def bytes_fetched(self, device: Device) -> int:  # noqa: ARG002 - the protocol's signature
        """Nothing is ever read."""
        return 0

    async def close(self) -> None:
        """Do nothing."""
