"""The two virtual media drives of the manager."""

from collections.abc import Sequence
from typing import Any

from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish.document import (
    action,
    check_parameters,
    collection,
    document,
    facts,
    target,
)
from ilo_emulator.rest.message import Document, Problem
from ilo_emulator.rest.resource import Action, Change, Resource, Tree, not_in_list
from ilo_emulator.state import BootOption, Device, Drive

_DEVICES = {"1": Device.FLOPPY, "2": Device.CDROM}
_MEDIA = {Device.FLOPPY: ["Floppy", "USBStick"], Device.CDROM: ["CD", "DVD"]}
_INSERT, _EJECT = "VirtualMedia.InsertMedia", "VirtualMedia.EjectMedia"
_PROTOCOL = "TransferProtocolType"
# The parameters of inserting that say yes or no; the others say how to fetch, or whom to trust.
_FLAGS = ("Inserted", "WriteProtected")


def tree(ilo: Ilo, manager: str) -> Tree:
    """Make the resources of the drives."""
    place = f"{manager}/VirtualMedia"
    resources = {
        place: Resource(
            lambda _: collection("VirtualMedia", place, [f"{place}/{each}" for each in _DEVICES])
        )
    }
    for name, device in _DEVICES.items():
        resources |= _drive(ilo, f"{place}/{name}", device)
    return resources


def _drive(ilo: Ilo, path: str, device: Device) -> Tree:
    how = facts(ilo)
    inserting, ejecting = (_oem_action(ilo, verb) for verb in ("Insert", "Eject"))
    changes = {"Image": _set_image(device)}
    if device is Device.CDROM:
        changes[f"Oem/{how.oem}/BootOnNextServerReset"] = _set_boot_once(device)
    resources = {
        path: Resource(lambda ilo: _written(ilo, path, device), changes),
        target(path, inserting): Resource(act=_insert(device, how.oem_insert)),
        target(path, ejecting): Resource(act=_eject(device)),
    }
    if how.insert:
        resources[target(path, _INSERT)] = Resource(act=_insert(device, how.insert))
        resources[target(path, _EJECT)] = Resource(act=_eject(device))
    return resources


def _oem_action(ilo: Ilo, verb: str) -> str:
    oem = facts(ilo).oem
    return f"Oem/{oem}/{oem}iLOVirtualMedia.{verb}VirtualMedia"


def _written(ilo: Ilo, path: str, device: Device) -> Document:
    drive, how = ilo.shown_drive(device), facts(ilo)
    url = drive.url or ""
    name = url.partition("?")[0].rpartition("/")[2]
    written = document(
        how.virtual_media_type,
        path,
        Id=path.rpartition("/")[2],
        Name="VirtualMedia",
        Description="Virtual Removable Media",
        MediaTypes=_MEDIA[device],
        Image=url,
        **({"ImageName": name} if name else {}),
        Inserted=drive.url is not None,
        ConnectedVia="URI" if drive.connected else "NotConnected",
        WriteProtected=drive.write_protect or device is Device.CDROM,
        Oem={how.oem: _extension(ilo, path, device, drive)},
    )
    if how.insert:
        written["Actions"] = action(path, _INSERT) | action(path, _EJECT)
    if _PROTOCOL in how.insert:
        written[_PROTOCOL] = url.partition(":")[0].upper() or None
    return written


def _extension(ilo: Ilo, path: str, device: Device, drive: Drive) -> Document:
    oem = facts(ilo).oem
    extension: Document = {
        "@odata.type": f"#{oem}iLOVirtualMedia.v2_0_0.{oem}iLOVirtualMedia",
        "Actions": action(path, _oem_action(ilo, "Insert"))
        | action(path, _oem_action(ilo, "Eject")),
    }
    if device is Device.CDROM:
        waits = drive.boot_option is BootOption.BOOT_ONCE and not drive.started
        extension["BootOnNextServerReset"] = waits
    return extension


def _insert(device: Device, known: Sequence[str]) -> Action:
    async def insert(ilo: Ilo, values: Document) -> None:
        check_parameters(values, known, _INSERT)
        url = values.get("Image")
        if not isinstance(url, str):
            raise Problem("ActionParameterMissing", _INSERT, "Image")
        inserted, protected = (_flag(values, name) for name in _FLAGS)
        if inserted:
            await ilo.attach_image(device, url, protected=protected)
        else:
            await ilo.insert(device, url)

    return insert


def _flag(values: Document, name: str) -> bool:
    value = values.get(name, True)
    if not isinstance(value, bool):
        raise Problem("ActionParameterValueTypeError", str(value), name, _INSERT)
    return value


def _eject(device: Device) -> Action:
    async def eject(ilo: Ilo, values: Document) -> None:
        check_parameters(values, (), _EJECT)
        await ilo.eject(device)

    return eject


def _set_image(device: Device) -> Change:
    async def change(ilo: Ilo, value: Any) -> None:
        if value is None or value == "":
            await ilo.eject(device)
        elif isinstance(value, str):
            await ilo.attach_image(device, value, protected=True)
        else:
            raise not_in_list(value, "Image")

    return change


def _set_boot_once(device: Device) -> Change:
    async def change(ilo: Ilo, value: Any) -> None:
        if not isinstance(value, bool):
            raise not_in_list(value, "BootOnNextServerReset")
        option = BootOption.BOOT_ONCE if value else BootOption.NO_BOOT
        await ilo.set_drive(device, option, protected=None)

    return change
