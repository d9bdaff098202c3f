"""The firmware's settings as all REST services have them: boot mode, Secure Boot."""

from typing import Any

from ilo_emulator.firmware import BootMode, Keys
from ilo_emulator.ilo import Ilo
from ilo_emulator.rest.message import Document
from ilo_emulator.rest.resource import Change, not_in_list

_MODE_NAMES = {BootMode.LEGACY: "LegacyBios", BootMode.UEFI: "Uefi"}
_OPTIMIZED = ("Enabled", "Disabled")
# One client writes "uefi" where the service itself says "Uefi".
_MODES = {name.lower(): mode for mode, name in _MODE_NAMES.items()}


def current(ilo: Ilo) -> Document:
    """Tell the settings that the server has started with."""
    return _attributes(ilo, ilo.state.firmware.current.boot_mode)


def pending(ilo: Ilo) -> Document:
    """Tell the settings of the next start."""
    return _attributes(ilo, ilo.state.firmware.pending_boot_mode)


def choices(ilo: Ilo) -> dict[str, tuple[str, ...] | None]:
    """Tell what each setting can be; ``None`` is any text."""
    modes = tuple(_MODE_NAMES[mode] for mode in ilo.profile.boot_modes)
    return {"BootMode": modes, "UefiOptimizedBoot": _OPTIMIZED, "CustomPostMessage": None}


def _attributes(ilo: Ilo, mode: BootMode) -> Document:
    return {
        "BootMode": _MODE_NAMES[mode],
        "UefiOptimizedBoot": "Enabled" if mode is BootMode.UEFI else "Disabled",
        "CustomPostMessage": ilo.state.firmware.post_message,
    }


async def _set_boot_mode(ilo: Ilo, value: Any) -> None:
    mode = _MODES.get(str(value).lower())
    if mode is None or mode not in ilo.profile.boot_modes:
        raise not_in_list(value, "BootMode")
    await ilo.set_boot_mode(mode)


async def _set_optimized_boot(_ilo: Ilo, value: Any) -> None:
    # It follows the boot mode here, as in every sensible setting.
    if value not in _OPTIMIZED:
        raise not_in_list(value, "UefiOptimizedBoot")


async def _set_post_message(ilo: Ilo, value: Any) -> None:
    if not isinstance(value, str):
        raise not_in_list(value, "CustomPostMessage")
    ilo.state.firmware.post_message = value


async def set_secure_boot(ilo: Ilo, value: Any) -> None:
    """Choose whether the next start enforces Secure Boot."""
    if not isinstance(value, bool):
        raise not_in_list(value, "SecureBootEnable")
    await ilo.set_secure_boot(enable=value)


def _set_keys(keys: Keys) -> Change:
    async def change(ilo: Ilo, value: Any) -> None:
        if value is True:
            await ilo.set_keys(keys)

    return change


#: What writing a setting does, by its name.
CHANGES: dict[str, Change] = {
    "BootMode": _set_boot_mode,
    "UefiOptimizedBoot": _set_optimized_boot,
    "CustomPostMessage": _set_post_message,
}


def secure_boot(ilo: Ilo) -> Document:
    """Tell the state of Secure Boot in the words of iLO 4."""
    firmware = ilo.state.firmware
    return {
        "SecureBootCurrentState": firmware.current.secure_boot,
        "SecureBootEnable": firmware.secure_boot_enable,
        "ResetToDefaultKeys": False,
        "ResetAllKeys": False,
    }


#: What writing iLO 4's properties of Secure Boot does.
SECURE_BOOT_CHANGES: dict[str, Change] = {
    "SecureBootEnable": set_secure_boot,
    "ResetToDefaultKeys": _set_keys(Keys.FACTORY),
    "ResetAllKeys": _set_keys(Keys.NONE),
}
