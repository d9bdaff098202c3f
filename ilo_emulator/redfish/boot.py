"""What a system boots from instead of its boot order: ``Boot`` of the system."""

from typing import Any

from ilo_emulator.firmware import BootMode
from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish.boot_order import DEVICES
from ilo_emulator.redfish.document import facts
from ilo_emulator.rest.message import Document
from ilo_emulator.rest.resource import not_in_list, not_writable
from ilo_emulator.state import BootDevice

_TARGET = "BootSourceOverrideTarget"
_ENABLED = "BootSourceOverrideEnabled"
_NONE = "None"
_UEFI_TARGET, _UEFI_NAME = "UefiTarget", "UefiTargetBootSourceOverride"
#: Of the properties of ``Boot`` an iLO lets these be written.
WRITABLE = tuple(f"Boot/{name}" for name in (_TARGET, _ENABLED, _UEFI_NAME))
_DISABLED, _ONCE, _CONTINUOUS = "Disabled", "Once", "Continuous"
_TARGETS = {
    "Cd": BootDevice.CDROM,
    "Hdd": BootDevice.HDD,
    "Usb": BootDevice.USB,
    "Pxe": BootDevice.NETWORK,
}
_NAMES = {device: name for name, device in _TARGETS.items()} | {BootDevice.FLOPPY: "Usb"}
_MODES = {BootMode.LEGACY: "Legacy", BootMode.UEFI: "UEFI"}


def boot(ilo: Ilo) -> Document:
    """Write ``Boot``."""
    enabled, target = _present(ilo)
    listed = {f"{_TARGET}@Redfish.AllowableValues": [_NONE, *_targets(ilo)]}
    return {
        _ENABLED: enabled,
        _TARGET: target,
        **(listed if facts(ilo).lists_targets else {}),
        "BootSourceOverrideMode": _MODES[ilo.state.firmware.current.boot_mode],
        _UEFI_NAME: ilo.state.uefi_target or _NONE,
    }


def _targets(ilo: Ilo) -> list[str]:
    """List what can be chosen; UEFI firmware with a boot order takes the names in it, too."""
    uefi = ilo.state.firmware.current.boot_mode is BootMode.UEFI
    named = [_UEFI_TARGET] if uefi and facts(ilo).own_boot_order else []
    return [*_TARGETS, *named]


def _present(ilo: Ilo) -> tuple[str, str]:
    state = ilo.state
    if state.one_time_boot is not None:
        return _ONCE, _name(ilo, state.one_time_boot)
    if state.lasting_boot is not None:
        return _CONTINUOUS, _name(ilo, state.lasting_boot)
    return _DISABLED, _NONE


def _name(ilo: Ilo, device: BootDevice) -> str:
    return _UEFI_TARGET if ilo.state.uefi_target else _NAMES[device]


async def set_boot(ilo: Ilo, values: Any) -> None:
    """Carry out a change of ``Boot``."""
    if not isinstance(values, dict):
        raise not_in_list(values, "Boot")
    for name in values:
        if f"Boot/{name}" not in WRITABLE:
            raise not_writable(name)
    enabled, target = _wanted(ilo, values)
    once = enabled == _ONCE
    if enabled == _DISABLED:
        await ilo.set_boot_override(None, once=once)
    elif target == _UEFI_TARGET:
        name = str(values.get(_UEFI_NAME, ilo.state.uefi_target))
        if name not in DEVICES:
            raise not_in_list(name, _UEFI_NAME)
        await ilo.set_boot_override(DEVICES[name], once=once, uefi_target=name)
    else:
        await ilo.set_boot_override(_TARGETS[target], once=once)


def _wanted(ilo: Ilo, values: Document) -> tuple[str, str]:
    """Read what is wanted, and check it.

    A target alone counts once; how an iLO takes that is not known to us.
    """
    present, target = _present(ilo)
    target = values.get(_TARGET, target)
    alone = _DISABLED if target == _NONE else _ONCE if present == _DISABLED else present
    enabled = values.get(_ENABLED, alone)
    if target not in (_NONE, *_targets(ilo)):
        raise not_in_list(target, _TARGET)
    if enabled not in (_DISABLED, _ONCE, _CONTINUOUS):
        raise not_in_list(enabled, _ENABLED)
    if enabled != _DISABLED and target == _NONE:
        raise not_in_list(target, _TARGET)  # what is enabled needs a target
    return enabled, target
