"""The firmware's settings: BIOS and Secure Boot, by the standard or as iLO 4 has them."""

from ilo_emulator.firmware import Keys
from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish import boot_order
from ilo_emulator.redfish.document import ROOT, action, chosen, document, facts, link, target
from ilo_emulator.redfish.registries import attribute_registry
from ilo_emulator.rest import settings
from ilo_emulator.rest.message import RESET_REQUIRED, Document
from ilo_emulator.rest.resource import Resource, Tree, etag

# So it is written on all iLOs.
BIOS = f"{ROOT}/systems/1/bios"
_SETTINGS, _BOOT = f"{BIOS}/settings", f"{BIOS}/boot"
_ATTRIBUTES = {f"Attributes/{name}": change for name, change in settings.CHANGES.items()}
_ENABLE = {"SecureBootEnable": settings.set_secure_boot}
_RESET_KEYS = "SecureBoot.ResetKeys"
_KEYS = {
    "ResetAllKeysToDefault": Keys.FACTORY,
    "DeleteAllKeys": Keys.NONE,
    "DeletePK": Keys.NONE,
}


def tree(ilo: Ilo, system: str) -> Tree:
    """Make the resources of the settings."""
    place = _secure_boot_place(system)
    if not facts(ilo).standard_settings:
        return _own_tree(place)
    return {
        BIOS: Resource(_bios),
        _SETTINGS: Resource(_pending, _ATTRIBUTES, RESET_REQUIRED),
        place: Resource(lambda ilo: _secure_boot(ilo, place), _ENABLE, RESET_REQUIRED),
        target(place, _RESET_KEYS): Resource(act=_reset_keys),
        **(boot_order.tree(_BOOT) if facts(ilo).own_boot_order else {}),
    }


def _own_tree(place: str) -> Tree:
    def secure_boot(ilo: Ilo) -> Document:
        kind = "HpSecureBoot.1.0.0.HpSecureBoot"
        return document(kind, place, **settings.secure_boot(ilo))

    return {
        BIOS: Resource(_own_bios),
        _SETTINGS: Resource(_own_settings, settings.CHANGES, RESET_REQUIRED),
        place: Resource(secure_boot, settings.SECURE_BOOT_CHANGES, RESET_REQUIRED),
    }


def links(ilo: Ilo, system: str) -> Document:
    """Write the standard's links from the system."""
    if not facts(ilo).standard_settings:
        return {}
    return {"Bios": link(BIOS), "SecureBoot": link(_secure_boot_place(system))}


def extension_links(ilo: Ilo, system: str) -> Document:
    """Write the links from HPE's part of the system, where iLO 4 has them."""
    if facts(ilo).standard_settings:
        return {}
    return {"Links": {"BIOS": link(BIOS), "SecureBoot": link(_secure_boot_place(system))}}


def _secure_boot_place(system: str) -> str:
    return f"{system}/SecureBoot"


def _own_bios(ilo: Ilo) -> Document:
    return document(
        "HpBios.1.2.0.HpBios",
        BIOS,
        Id="bios",
        Name="BIOS Current Settings",
        **settings.current(ilo),
        Links={"Settings": link(_SETTINGS)},
    )


def _own_settings(ilo: Ilo) -> Document:
    name = "BIOS Pending Settings"
    return document(
        "HpBios.1.2.0.HpBios", _SETTINGS, Id="settings", Name=name, **settings.pending(ilo)
    )


def _bios(ilo: Ilo) -> Document:
    annotation = {
        "@odata.type": "#Settings.v1_0_0.Settings",
        "ETag": etag(_pending(ilo)),
        "Messages": [{"MessageId": f"{facts(ilo).registries.base}.Success"}],
        "SettingsObject": link(_SETTINGS),
    }
    links = {"Boot": link(_BOOT)} if facts(ilo).own_boot_order else {}
    return document(
        "Bios.v1_0_0.Bios",
        BIOS,
        Id="bios",
        Name="BIOS Current Settings",
        AttributeRegistry=attribute_registry(ilo),
        Attributes=settings.current(ilo),
        Oem={"Hpe": {"Links": links}},
        **{"@Redfish.Settings": annotation},
    )


def _pending(ilo: Ilo) -> Document:
    return document(
        "Bios.v1_0_0.Bios",
        _SETTINGS,
        Id="settings",
        Name="BIOS Pending Settings",
        AttributeRegistry=attribute_registry(ilo),
        Attributes=settings.pending(ilo),
    )


def _secure_boot(ilo: Ilo, place: str) -> Document:
    firmware = ilo.state.firmware
    return document(
        "SecureBoot.v1_0_0.SecureBoot",
        place,
        Id="SecureBoot",
        Name="SecureBoot",
        SecureBootEnable=firmware.secure_boot_enable,
        SecureBootCurrentBoot="Enabled" if firmware.current.secure_boot else "Disabled",
        SecureBootMode="UserMode" if firmware.current.keys is Keys.FACTORY else "SetupMode",
        Actions=action(place, _RESET_KEYS, ResetKeysType=tuple(_KEYS)),
    )


async def _reset_keys(ilo: Ilo, values: Document) -> None:
    await ilo.set_keys(_KEYS[chosen(values, "ResetKeysType", _KEYS, _RESET_KEYS)])
