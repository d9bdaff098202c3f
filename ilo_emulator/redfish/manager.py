"""The iLO itself, ``Managers/1``, and the chassis that it is in, ``Chassis/1``."""

from ilo_emulator.ilo import Ilo
from ilo_emulator.profile import Ribcl
from ilo_emulator.redfish import sensors, virtual_media
from ilo_emulator.redfish.document import (
    ROOT,
    action,
    check_parameters,
    collection,
    document,
    facts,
    link,
    target,
)
from ilo_emulator.redfish.sensors import BOX
from ilo_emulator.rest.message import Document
from ilo_emulator.rest.resource import Resource, Tree
from ilo_emulator.rest.sessions import Sessions

MANAGERS, CHASSIS = f"{ROOT}/Managers", f"{ROOT}/Chassis"
_MANAGER = f"{MANAGERS}/1"
_LICENSES = f"{_MANAGER}/LicenseService"
_RESET = "Manager.Reset"
_SYSTEM = link(f"{ROOT}/Systems/1")


def tree(ilo: Ilo, sessions: Sessions) -> Tree:
    """Make the resources of the iLO and the chassis."""

    async def reset(_ilo: Ilo, values: Document) -> None:
        check_parameters(values, ("ResetType",), _RESET)
        sessions.clear()

    return {
        MANAGERS: Resource(lambda _: collection("Manager", MANAGERS, [_MANAGER])),
        _MANAGER: Resource(_manager),
        target(_MANAGER, _RESET): Resource(act=reset),
        _LICENSES: Resource(lambda _: collection("HpeiLOLicense", _LICENSES, [f"{_LICENSES}/1"])),
        f"{_LICENSES}/1": Resource(_license),
        CHASSIS: Resource(lambda _: collection("Chassis", CHASSIS, [BOX])),
        BOX: Resource(_chassis),
        **sensors.tree(ilo),
        **virtual_media.tree(ilo, _MANAGER),
    }


def _manager(ilo: Ilo) -> Document:
    how, profile = facts(ilo), ilo.profile
    version = f"{how.manager_type} v{profile.firmware_version}"
    extension = {
        "@odata.type": f"#{how.oem}iLO.v2_1_0.{how.oem}iLO",
        "Firmware": {"Current": {"Date": profile.firmware_date, "VersionString": version}},
        "License": {"LicenseString": ilo.license_type},
        "Links": {"LicenseService": link(_LICENSES)},
        "RIBCLEnabled": ilo.ribcl is Ribcl.ENABLED,
    }
    return document(
        "Manager.v1_1_0.Manager",
        _MANAGER,
        Id="1",
        Name="Manager",
        ManagerType="BMC",
        Model=how.manager_type,
        FirmwareVersion=version,
        UUID=str(ilo.server.uuid),
        Status={"Health": "OK", "State": "Enabled"},
        VirtualMedia=link(f"{_MANAGER}/VirtualMedia"),
        Actions=action(_MANAGER, _RESET),
        Oem={how.oem: extension},
        Links={
            "ManagerForServers": [_SYSTEM],
            "ManagerForChassis": [link(BOX)],
            "ManagerInChassis": link(BOX),
        },
    )


def _license(ilo: Ilo) -> Document:
    oem = facts(ilo).oem
    return document(
        f"{oem}iLOLicense.v2_0_0.{oem}iLOLicense",
        f"{_LICENSES}/1",
        Id="1",
        Name="iLO License",
        License=ilo.license_type,
    )


def _chassis(ilo: Ilo) -> Document:
    return document(
        "Chassis.v1_6_0.Chassis",
        BOX,
        Id="1",
        Name="Computer System Chassis",
        ChassisType="RackMount",
        Manufacturer=ilo.profile.manufacturer,
        Model=ilo.profile.model,
        SerialNumber=ilo.server.serial_number,
        PowerState="On" if ilo.is_on else "Off",
        Status={"Health": "OK", "State": "Enabled"},
        Links={"ComputerSystems": [_SYSTEM], "ManagedBy": [link(_MANAGER)]},
        **sensors.links(ilo),
    )
