"""Redfish documents, turned into this package's types (ilo-protocol.md 3).

Each function raises ``KeyError``, ``TypeError`` or ``AttributeError`` for a document that is not
as documented.
"""

from collections.abc import Mapping
from typing import Any

from ironic_ilo.bmc.replies import parse_description
from ironic_ilo.bmc.types import (
    BootDevice,
    BootMode,
    MediaStatus,
    PowerState,
    Privilege,
    Product,
    SecureBoot,
)

Document = Mapping[str, Any]

# A change is not there before it is complete.
_POWER_STATES = {
    "On": PowerState.ON,
    "PoweringOff": PowerState.ON,
    "Off": PowerState.OFF,
    "PoweringOn": PowerState.OFF,
}
# The virtual floppy is a USB stick.
_BOOT_TARGETS = {
    "Cd": BootDevice.CDROM,
    "Usb": BootDevice.FLOPPY,
    "Floppy": BootDevice.FLOPPY,
    "Hdd": BootDevice.HDD,
    "Pxe": BootDevice.NETWORK,
}
_BOOT_MODES = {"LegacyBios": BootMode.LEGACY, "Uefi": BootMode.UEFI}
_BOOT_MODES_OF_CLASS = {
    0: [BootMode.LEGACY],
    2: [BootMode.LEGACY, BootMode.UEFI],
    3: [BootMode.UEFI],
}
_PRIVILEGES = {
    "VirtualMediaPriv": Privilege.VIRTUAL_MEDIA,
    "VirtualPowerAndResetPriv": Privilege.POWER,
    "iLOConfigPriv": Privilege.ILO_SETTINGS,
    "HostBIOSConfigPriv": Privilege.HOST_BIOS,
}


def oem_of(document: Document) -> Document:
    """Find HPE's extensions of a resource."""
    found: Document = document.get("Oem", {}).get("Hpe", {})
    return found


def parse_product(root: Document, system: Document, manager: Document) -> Product:
    """Read ``ServiceRoot``, ``ComputerSystem`` and ``Manager``.

    iLO 5 and 6 write their firmware into ``Manager`` as "iLO 5 v1.40", iLO 7 as "1.12.00 Mar 28
    2025", all of them into the root as "1.40" (HPE, "Adapting from iLO 6").
    """
    said = oem_of(root)["Manager"][0]
    license_type = oem_of(manager).get("License", {}).get("LicenseString", "unknown")
    return Product(
        model=system["Model"],
        processor=said["ManagerType"],
        firmware=said["ManagerFirmwareVersion"],
        license_type=license_type,
    )


def parse_privileges(account: Document) -> dict[Privilege, bool]:
    """Read ``ManagerAccount``."""
    told = oem_of(account).get("Privileges", {})
    return {
        privilege: _flag(told, name) for name, privilege in _PRIVILEGES.items() if name in told
    }


def parse_power(system: Document) -> PowerState:
    """Read ``PowerState`` of ``ComputerSystem``."""
    return _POWER_STATES[system["PowerState"]]


def parse_media_status(drive: Document) -> MediaStatus:
    """Read ``VirtualMedia``; only the CD knows a boot option."""
    inserted = _flag(drive, "Inserted")
    return MediaStatus(
        inserted=inserted,
        connected=inserted and drive.get("ConnectedVia") not in (None, "NotConnected"),
        boot_once=oem_of(drive).get("BootOnNextServerReset") is True,
        url=drive.get("Image") or "",
    )


def parse_boot_override(system: Document) -> tuple[str, BootDevice]:
    """Read for how long ``Boot`` overrides the order (``Disabled``, …), and with what."""
    boot = system["Boot"]
    enabled, target = boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"]
    if enabled in ("Disabled", None) or target in ("None", None):  # None: not known just now
        return "Disabled", BootDevice.NORMAL
    return enabled, _BOOT_TARGETS.get(target, BootDevice.OTHER)


def parse_boot_order(settings: Document) -> list[BootDevice]:
    """Read ``HpeServerBootSettings``."""
    words = {
        source["StructuredBootString"]: source["BootString"] for source in settings["BootSources"]
    }
    return [parse_description(words[name]) for name in settings["PersistentBootConfigOrder"]]


def parse_boot_mode(attributes: Document) -> BootMode:
    """Read the BIOS attributes; a server that has none to choose boots UEFI."""
    return _BOOT_MODES[attributes.get("BootMode", "Uefi")]


def parse_supported_boot_modes(system: Document, attributes: Document) -> list[BootMode]:
    """Read which firmware the server has."""
    uefi_class = oem_of(system).get("Bios", {}).get("UefiClass")
    if "BootMode" not in attributes or uefi_class is None:
        return [parse_boot_mode(attributes)]
    return list(_BOOT_MODES_OF_CLASS[uefi_class])


def parse_secure_boot(document: Document) -> SecureBoot:
    """Read ``SecureBoot``."""
    return SecureBoot(
        current={"Enabled": True, "Disabled": False}[document["SecureBootCurrentBoot"]],
        pending=_flag(document, "SecureBootEnable"),
    )


def _flag(document: Document, name: str) -> bool:
    value = document[name]
    if not isinstance(value, bool):
        raise TypeError(name)
    return value
