"""The changes of a system's power as all REST services have them."""

from collections.abc import Awaitable, Callable, Mapping

from ilo_emulator.ilo import Ilo
from ilo_emulator.rest.message import ILO, Problem

Command = Callable[[Ilo], Awaitable[None]]


async def turn_on(ilo: Ilo) -> None:
    """Power on."""
    _check(changed=await ilo.power_on())


async def turn_off(ilo: Ilo) -> None:
    """Power off hard."""
    _check(changed=await ilo.hold_power_button())


def _check(*, changed: bool) -> None:
    if not changed:
        raise Problem("InvalidOperationForSystemState", registry=ILO)


#: By ``ResetType``; not every iLO offers them all.
RESETS: Mapping[str, Command] = {
    "On": turn_on,
    "ForceOff": turn_off,
    "GracefulShutdown": Ilo.shut_down,
    "ForceRestart": Ilo.reset,
    "Nmi": Ilo.interrupt,
    "PushPowerButton": Ilo.press_power_button,
}
