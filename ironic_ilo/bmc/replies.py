"""RIBCL replies, as dicts of attributes, turned into this package's types (ilo-protocol.md 1.8).

Each function raises ``KeyError``, ``ValueError`` or ``AttributeError`` for a reply that is not as
documented.
"""

import html
import re
from collections.abc import Mapping
from typing import Any

from proliantutils.ilo import constants

from ironic_ilo.bmc.types import (
    BootDevice,
    BootMode,
    MediaStatus,
    PowerState,
    Privilege,
    Product,
)

_SUPPORTED_BOOT_MODES = {
    constants.SUPPORTED_BOOT_MODE_LEGACY_BIOS_ONLY: (BootMode.LEGACY,),
    constants.SUPPORTED_BOOT_MODE_UEFI_ONLY: (BootMode.UEFI,),
    constants.SUPPORTED_BOOT_MODE_LEGACY_BIOS_AND_UEFI: (BootMode.LEGACY, BootMode.UEFI),
}
_FLAGS = {"YES": True, "NO": False}
# HPE iLO 4 Scripting and Command Line Guide, GET_USER.
_PRIVILEGES = {
    "VIRTUAL_MEDIA_PRIV": Privilege.VIRTUAL_MEDIA,
    "RESET_SERVER_PRIV": Privilege.POWER,
    "CONFIG_ILO_PRIV": Privilege.ILO_SETTINGS,
}
_BOOT_DEVICES = {device.value: device for device in BootDevice}
# UEFI entries are numbered and described; the words are those that proliantutils knows.
_DESCRIPTIONS = (
    (re.compile(r"iLO Virtual USB.*CD"), BootDevice.CDROM),
    (re.compile(r"\bNIC\b|PXE"), BootDevice.NETWORK),
    (re.compile(r"Logical Drive|HDD|Storage|LogVol"), BootDevice.HDD),
)


def parse_power(value: str) -> PowerState:
    """Read ``HOST_POWER``."""
    return PowerState(value.lower())


def parse_product(model: str, firmware: Mapping[str, str]) -> Product:
    """Read ``GET_FW_VERSION``."""
    processor = re.sub(r"^iLO(?=\d)", "iLO ", firmware["MANAGEMENT_PROCESSOR"])
    return Product(
        model=model,
        processor=processor,
        firmware=firmware["FIRMWARE_VERSION"],
        license_type=firmware["LICENSE_TYPE"],
    )


def parse_privileges(user: Mapping[str, str]) -> dict[Privilege, bool]:
    """Read ``GET_USER``."""
    return {
        privilege: user[name].upper() in ("Y", "YES")
        for name, privilege in _PRIVILEGES.items()
        if name in user
    }


def parse_media_status(status: Mapping[str, str]) -> MediaStatus:
    """Read ``GET_VM_STATUS``."""
    return MediaStatus(
        inserted=_FLAGS[status["IMAGE_INSERTED"].upper()],
        connected=status["VM_APPLET"].upper() == "CONNECTED",
        boot_once=status["BOOT_OPTION"].upper() == "BOOT_ONCE",
        # Some firmware keeps the "&amp;" of the command as it came.
        url=html.unescape(status.get("IMAGE_URL", "")),
    )


def parse_boot_device(value: str) -> BootDevice:
    """Read ``BOOT_TYPE``."""
    return _BOOT_DEVICES.get(value.upper(), BootDevice.OTHER)


def parse_boot_mode(value: str) -> BootMode:
    """Read ``BOOT_MODE``."""
    return BootMode(value.upper())


def parse_supported_boot_modes(value: str) -> list[BootMode]:
    """Read ``SUPPORTED_BOOT_MODE`` as proliantutils words it."""
    return list(_SUPPORTED_BOOT_MODES[value])


def parse_boot_entry(entry: Mapping[str, Any]) -> tuple[BootDevice, str]:
    """Read one ``DEVICE`` of ``PERSISTENT_BOOT``: what it is, and what the iLO calls it."""
    value: str = entry["value"] if "value" in entry else entry["VALUE"]
    description = entry.get("DESCRIPTION")
    if description is None:  # BIOS: the entry is named by what it is
        return parse_boot_device(value), value
    return parse_description(description), value


def parse_description(description: str) -> BootDevice:
    """Tell what a UEFI boot option is from the words that HPE's firmware describes it with."""
    kinds = (device for words, device in _DESCRIPTIONS if words.search(description))
    return next(kinds, BootDevice.OTHER)
