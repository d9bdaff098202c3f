"""The actions on a system's power."""

from collections.abc import Mapping

from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish.document import chosen, facts
from ilo_emulator.rest.message import Document
from ilo_emulator.rest.power import RESETS, Command, turn_off

RESET = "ComputerSystem.Reset"
PUSH_TYPES = ("Press", "PressAndHold")
SYSTEM_RESETS = ("ColdBoot",)

_PUSHES: Mapping[str, Command] = {"Press": Ilo.press_power_button, "PressAndHold": turn_off}


async def reset(ilo: Ilo, values: Document) -> None:
    """Carry out the standard's ComputerSystem.Reset."""
    await RESETS[chosen(values, "ResetType", facts(ilo).reset_types, RESET)](ilo)


async def push_button(ilo: Ilo, values: Document) -> None:
    """Carry out HPE's PowerButton."""
    await _PUSHES[chosen(values, "PushType", PUSH_TYPES, "PowerButton")](ilo)


async def reset_system(ilo: Ilo, values: Document) -> None:
    """Carry out HPE's SystemReset."""
    chosen(values, "ResetType", SYSTEM_RESETS, "SystemReset")
    await ilo.cold_boot()


def button(ilo: Ilo) -> str:
    """Name HPE's action on the power button."""
    return _oem(ilo, "PowerButton")


def system_reset(ilo: Ilo) -> str:
    """Name HPE's action to take the power away and give it back."""
    return _oem(ilo, "SystemReset")


def _oem(ilo: Ilo, name: str) -> str:
    oem = facts(ilo).oem
    return f"Oem/{oem}/{oem}ComputerSystemExt.{name}"
