"""The persistent boot order of UEFI firmware, as HPE's part of the BIOS has it."""

from typing import Any

from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish.document import document, link
from ilo_emulator.rest.message import RESET_REQUIRED, Document
from ilo_emulator.rest.resource import Resource, Tree, etag, not_in_list
from ilo_emulator.state import BootDevice, Device

_KIND = "HpeServerBootSettings.v2_0_0.HpeServerBootSettings"
# The names by which an order is written, and the wording by which clients know the devices.
_SOURCES = {
    BootDevice.HDD: ("HD.EmbRAID.1.2", "Embedded RAID 1 : HPE Smart Array - RAID 0 Logical Drive"),
    BootDevice.NETWORK: ("NIC.LOM.1.1.IPv4", "Embedded LOM 1 Port 1 : HPE NIC (PXE IPv4)"),
    BootDevice.CDROM: ("CD.Virtual.2.1", "iLO Virtual USB 2 : HPE Virtual CD-ROM"),
    BootDevice.FLOPPY: ("FD.Virtual.1.1", "iLO Virtual USB 1 : HPE Virtual USB Key"),
}
#: By the names by which an order is written.
DEVICES = {name: device for device, (name, _) in _SOURCES.items()}


def tree(place: str) -> Tree:
    """Make the resource at a path, and that of its settings."""
    settings = f"{place}/settings"
    changes = {"PersistentBootConfigOrder": _set_order}
    return {
        place: Resource(lambda ilo: _boot(ilo, place, settings)),
        settings: Resource(lambda ilo: _settings(ilo, settings), changes, RESET_REQUIRED),
    }


def _boot(ilo: Ilo, place: str, settings: str) -> Document:
    annotation = {
        "@odata.type": "#Settings.v1_0_0.Settings",
        "ETag": etag(_settings(ilo, settings)),
        "SettingsObject": link(settings),
    }
    return _order(ilo, place, "Current") | {"@Redfish.Settings": annotation}


def _settings(ilo: Ilo, place: str) -> Document:
    return _order(ilo, place, "Pending")


def _order(ilo: Ilo, place: str, when: str) -> Document:
    """Write the order; virtual media stand in it only while the server sees them."""
    listed = [each for each in ilo.state.boot_order if _is_listed(ilo, each)]
    sources = [
        {"StructuredBootString": name, "BootString": text, "BootOptionNumber": f"{number:04X}"}
        for number, (name, text) in enumerate((_SOURCES[each] for each in listed), 1)
    ]
    return document(
        _KIND,
        place,
        Id=place.rpartition("/")[2],
        Name=f"Boot Order {when} Settings",
        BootSources=sources,
        PersistentBootConfigOrder=[source["StructuredBootString"] for source in sources],
    )


def _is_listed(ilo: Ilo, device: BootDevice) -> bool:
    if device in (BootDevice.CDROM, BootDevice.FLOPPY):
        return ilo.state.drives[Device(device.value)].connected
    return device in _SOURCES


async def _set_order(ilo: Ilo, value: Any) -> None:
    if not isinstance(value, list) or any(name not in tuple(DEVICES) for name in value):
        raise not_in_list(value, "PersistentBootConfigOrder")
    await ilo.set_boot_order([DEVICES[name] for name in value])
