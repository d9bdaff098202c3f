"""The resources of ``/rest/v1``, iLO 4's first REST API."""

from typing import Any

from ilo_emulator.ilo import Ilo
from ilo_emulator.profile import RESET_TYPES
from ilo_emulator.rest import settings
from ilo_emulator.rest.message import RESET_REQUIRED, Document, Problem
from ilo_emulator.rest.power import RESETS
from ilo_emulator.rest.resource import Resource, Tree, not_in_list

ROOT = "/rest/v1"
SESSIONS = f"{ROOT}/Sessions"
_SYSTEM = f"{ROOT}/Systems/1"
_SECURE_BOOT = f"{_SYSTEM}/SecureBoot"
_BIOS = f"{ROOT}/systems/1/bios"
_BIOS_SETTINGS = f"{_BIOS}/Settings"
# It boots in both modes.
_UEFI_CLASS = 2


def _document(kind: str, path: str, **facts: Any) -> Document:
    links = {"self": {"href": path}, **facts.pop("links", {})}
    return {"Type": kind, "@odata.id": path, **facts, "links": links}


def _root(_ilo: Ilo) -> Document:
    links = {"Systems": {"href": f"{ROOT}/Systems"}, "Sessions": {"href": SESSIONS}}
    return _document("ServiceRoot.0.9.5", ROOT, Name="HP RESTful Root Service", links=links)


def _systems(_ilo: Ilo) -> Document:
    links = {"Member": [{"href": _SYSTEM}]}
    return _document("Collection.0.9.5", f"{ROOT}/Systems", Total=1, links=links)


def _system(ilo: Ilo) -> Document:
    power = "On" if ilo.is_on else "Off"
    links = {"BIOS": {"href": _BIOS}, "SecureBoot": {"href": _SECURE_BOOT}}
    hp = {"Type": "HpComputerSystemExt.0.10.1", "Bios": {"UefiClass": _UEFI_CLASS}, "links": links}
    return _document(
        "ComputerSystem.0.9.6",
        _SYSTEM,
        Model=ilo.profile.model,
        SerialNumber=ilo.server.serial_number,
        UUID=str(ilo.server.uuid).upper(),
        Power=power,
        PowerState=power,
        Oem={"Hp": hp},
    )


def _secure_boot(ilo: Ilo) -> Document:
    return _document("HpSecureBoot.0.9.5", _SECURE_BOOT, **settings.secure_boot(ilo))


def _bios(ilo: Ilo) -> Document:
    links = {"Settings": {"href": _BIOS_SETTINGS}}
    return _document("HpBios.1.1.0", _BIOS, **settings.current(ilo), links=links)


def _bios_settings(ilo: Ilo) -> Document:
    return _document("HpBios.1.1.0", _BIOS_SETTINGS, **settings.pending(ilo))


async def _act(ilo: Ilo, values: Document) -> None:
    """Carry out an action, which clients of this API name in the body."""
    action, reset_type = values.get("Action"), values.get("ResetType")
    if action != "Reset":
        raise Problem("ActionNotSupported", str(action))
    if reset_type not in RESET_TYPES:
        raise not_in_list(reset_type, "ResetType")
    await RESETS[reset_type](ilo)


TREE: Tree = {
    ROOT: Resource(_root),
    f"{ROOT}/Systems": Resource(_systems),
    _SYSTEM: Resource(_system, act=_act),
    _SECURE_BOOT: Resource(_secure_boot, settings.SECURE_BOOT_CHANGES, RESET_REQUIRED),
    _BIOS: Resource(_bios),
    _BIOS_SETTINGS: Resource(_bios_settings, settings.CHANGES, RESET_REQUIRED),
}
