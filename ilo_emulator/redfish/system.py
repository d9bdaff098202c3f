"""The one system, ``Systems/1``."""

from ilo_emulator import hardware
from ilo_emulator.firmware import BootMode
from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish import bios, inventory, power
from ilo_emulator.redfish.boot import WRITABLE, boot, set_boot
from ilo_emulator.redfish.document import ROOT, action, collection, document, facts, link, target
from ilo_emulator.rest.message import Document
from ilo_emulator.rest.resource import Resource, Tree

SYSTEMS = f"{ROOT}/Systems"
SYSTEM = f"{SYSTEMS}/1"
# Those that know only one mode, and those that know both.
_UEFI_CLASSES: dict[tuple[BootMode, ...], int] = {(BootMode.LEGACY,): 0, (BootMode.UEFI,): 3}
_BOTH = 2


def tree(ilo: Ilo) -> Tree:
    """Make the resources of the system."""
    return {
        SYSTEMS: Resource(_systems),
        SYSTEM: Resource(_system, {"Boot": set_boot}, writable=WRITABLE),
        target(SYSTEM, power.RESET): Resource(act=power.reset),
        target(SYSTEM, power.button(ilo)): Resource(act=power.push_button),
        target(SYSTEM, power.system_reset(ilo)): Resource(act=power.reset_system),
        **bios.tree(ilo, SYSTEM),
        **inventory.tree(ilo, SYSTEM),
    }


def _systems(_ilo: Ilo) -> Document:
    return collection("ComputerSystem", SYSTEMS, [SYSTEM])


def _system(ilo: Ilo) -> Document:
    server, profile = ilo.server, ilo.profile
    return document(
        "ComputerSystem.v1_4_0.ComputerSystem",
        SYSTEM,
        Id="1",
        Name="Computer System",
        SystemType="Physical",
        Manufacturer=profile.manufacturer,
        Model=profile.model,
        SKU="868703-B21",
        SerialNumber=server.serial_number,
        UUID=str(server.uuid).upper(),
        HostName="",
        BiosVersion=profile.rom_version,
        IndicatorLED="Lit" if ilo.uid_light else "Off",
        Status={"Health": "OK", "State": "Enabled" if ilo.is_on else "Disabled"},
        PowerState="On" if ilo.is_on else "Off",
        Boot=boot(ilo),
        Actions=action(SYSTEM, power.RESET, ResetType=facts(ilo).reset_types),
        Oem={facts(ilo).oem: _extension(ilo)},
        Links={
            "Chassis": [link(f"{ROOT}/Chassis/1")],
            "ManagedBy": [link(f"{ROOT}/Managers/1")],
        },
        **bios.links(ilo, SYSTEM),
        **inventory.summary(hardware.of(server), SYSTEM),
    )


def _extension(ilo: Ilo) -> Document:
    oem, rom = facts(ilo).oem, ilo.profile.rom_version
    version = {"Family": rom.partition(" ")[0], "VersionString": rom}
    uefi_class = _UEFI_CLASSES.get(ilo.profile.boot_modes, _BOTH)
    return {
        "@odata.type": f"#{oem}ComputerSystemExt.v2_1_0.{oem}ComputerSystemExt",
        "Actions": {
            **action(SYSTEM, power.button(ilo), PushType=power.PUSH_TYPES),
            **action(SYSTEM, power.system_reset(ilo), ResetType=power.SYSTEM_RESETS),
        },
        "Bios": {"Current": version, "UefiClass": uefi_class},
        "PostState": _post_state(ilo),
        **bios.extension_links(ilo, SYSTEM),
    }


def _post_state(ilo: Ilo) -> str:
    if not ilo.is_on:
        return "PowerOff"
    return "InPost" if ilo.in_post else "FinishedPost"
