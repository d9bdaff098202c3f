"""What an iLO 5 and newer tells of its server, whole and with gaps, and the NMI."""

from collections.abc import Iterator
from typing import Any

import pytest

from ironic_ilo.bmc import Access, Bmc, Inventory, Sensor, SensorKind, connect
from ironic_ilo.exception import BmcError, BmcFeatureMissing, BmcUnreachable
from tests.unit.bmc.redfish_ilo import RESET, ROOT, SYSTEM, RedfishIlo, collection, link, refuse

CHASSIS = f"{ROOT}/Chassis/1"
STORAGE = f"{SYSTEM}/Storage"
SMART = f"{SYSTEM}/SmartStorage"
GIB = 1 << 30
ABSENT = {"Status": {"State": "Absent"}}
WELL = {"Status": {"Health": "OK", "State": "Enabled"}}
# The shape of HPE's documents; the values are made up.
THERMAL = {
    "Fans": [
        {
            "Name": "Fan 1",
            "Reading": 12,
            "ReadingUnits": "Percent",
            "Oem": {"Hpe": {"Location": "System"}},
            **WELL,
        },
        {"Name": "Fan 2", "Reading": 0, "ReadingUnits": "Percent", **ABSENT},
    ],
    "Temperatures": [
        {"Name": "01-Inlet Ambient", "PhysicalContext": "Intake", "ReadingCelsius": 27, **WELL},
        {
            "Name": "02-CPU 1",
            "PhysicalContext": "CPU",
            "ReadingCelsius": 91,
            "Status": {"Health": "Warning", "State": "Enabled"},
        },
        {"Name": "03-CPU 2", "PhysicalContext": "CPU", "ReadingCelsius": 0, **ABSENT},
        {"Name": "04-P1 DIMM", "Status": {"Health": None, "State": "Enabled"}},
    ],
}
POWER = {
    "PowerSupplies": [
        {
            "Name": "HpeServerPowerSupply",
            "PowerCapacityWatts": watts,
            "Oem": {"Hpe": {"BayNumber": bay}},
            **WELL,
        }
        for bay, watts in ((1, 800), (2, 500))
    ]
}


@pytest.fixture
def bmc(redfish_access: Access) -> Iterator[Bmc]:
    with connect(redfish_access) as bmc:
        yield bmc


def collect(ilo: RedfishIlo, path: str, *documents: dict[str, Any]) -> dict[str, str]:
    """Serve a collection, and give the link to it."""
    members = {f"{path}/{number}": each for number, each in enumerate(documents, 1)}
    ilo.documents |= members | {path: collection(*members)}
    return link(path)


@pytest.fixture
def parts(redfish_ilo: RedfishIlo) -> RedfishIlo:
    """Give an iLO that tells of all but disks."""
    cpu = {"ProcessorType": "CPU", "InstructionSet": "x86-64", "TotalThreads": 16}
    nics = [
        {"MACAddress": mac, "Status": {"Health": None, "State": None}}
        for mac in ("40:A8:F0:1E:86:74", None, "40:a8:f0:1e:86:75", "40:a8:f0:1e:86:74")
    ]
    redfish_ilo.documents[SYSTEM] |= {
        "BiosVersion": "U30 v2.36 (07/16/2020)",
        "MemorySummary": {"TotalSystemMemoryGiB": 16.5},
        "Processors": collect(
            redfish_ilo,
            f"{SYSTEM}/Processors",
            cpu | WELL,
            cpu | WELL,
            cpu | ABSENT,
            {"ProcessorType": "GPU", "TotalThreads": 5000},
        ),
        "EthernetInterfaces": collect(redfish_ilo, f"{SYSTEM}/EthernetInterfaces", *nics),
    }
    return redfish_ilo


def add_storage(ilo: RedfishIlo, *, volumes: tuple[int, ...] = ()) -> None:
    """Add a controller with a disk of 600 GB, and volumes of some GiB."""
    drive = f"{STORAGE}/1/Drives/1"
    ilo.documents[drive] = {"CapacityBytes": 600 * 10**9}
    made = [{"CapacityBytes": size * GIB} for size in volumes]
    controller = {
        "Drives": [link(drive)],
        "Volumes": collect(ilo, f"{STORAGE}/1/Volumes", *made),
    }
    ilo.documents[SYSTEM]["Storage"] = collect(ilo, STORAGE, controller)


def add_smart_array(ilo: RedfishIlo, *sizes: int) -> None:
    """Add a Smart Array, as Gen10 shows it, with logical drives of some GiB."""
    logical = collect(
        ilo, f"{SMART}/1/LogicalDrives", *({"CapacityMiB": size * 1024} for size in sizes)
    )
    controllers = collect(ilo, f"{SMART}/ArrayControllers", {"Links": {"LogicalDrives": logical}})
    ilo.documents[SMART] = {"Links": {"ArrayControllers": controllers}}
    ilo.documents[SYSTEM]["Oem"]["Hpe"]["Links"] = {"SmartStorage": link(SMART)}


def test_inventory(parts: RedfishIlo, bmc: Bmc):
    add_storage(parts)
    assert bmc.get_inventory() == Inventory(
        cpus=32,
        cpu_arch="x86_64",
        memory_mib=16 * 1024 + 512,
        disks_gib=(558,),
        macs=("40:a8:f0:1e:86:74", "40:a8:f0:1e:86:75"),
        rom_version="U30 v2.36 (07/16/2020)",
        ilo_version="1.40",
    )


def test_logical_drives_stand_for_their_disks(parts: RedfishIlo, bmc: Bmc):
    add_storage(parts, volumes=(279, 1117))
    assert bmc.get_inventory().disks_gib == (279, 1117)
    add_smart_array(parts, 931)
    assert bmc.get_inventory().disks_gib == (279, 1117, 931)


def test_a_smart_array_without_logical_drives(parts: RedfishIlo, bmc: Bmc):
    add_storage(parts)
    add_smart_array(parts)
    assert bmc.get_inventory().disks_gib == (558,)


def test_an_arm_server(parts: RedfishIlo, bmc: Bmc):
    parts.documents[f"{SYSTEM}/Processors/1"]["InstructionSet"] = "ARM-A64"
    assert bmc.get_inventory().cpu_arch == "aarch64"


def test_what_an_ilo_does_not_say(bmc: Bmc):
    assert bmc.get_inventory() == Inventory(None, "x86_64", None, (), (), "", "1.40")


def test_a_collection_without_members_is_an_error(parts: RedfishIlo, bmc: Bmc):
    del parts.documents[f"{SYSTEM}/Processors"]["Members"]
    with pytest.raises(BmcUnreachable, match="could not read the inventory"):
        bmc.get_inventory()


def add_chassis(ilo: RedfishIlo, **resources: dict[str, Any]) -> None:
    ilo.documents[SYSTEM]["Links"] = {"Chassis": [link(CHASSIS)]}
    ilo.documents[CHASSIS] = {"@odata.id": CHASSIS} | {
        name: link(f"{CHASSIS}/{name}") for name in resources
    }
    ilo.documents |= {f"{CHASSIS}/{name}": content for name, content in resources.items()}


def test_sensors(redfish_ilo: RedfishIlo, bmc: Bmc):
    add_chassis(redfish_ilo, Thermal=THERMAL, Power=POWER)
    assert bmc.get_sensors() == (
        Sensor(SensorKind.FAN, "Fan 1", "OK", "System", 12, "Percentage"),
        Sensor(SensorKind.TEMPERATURE, "01-Inlet Ambient", "OK", "Intake", 27, "Celsius"),
        Sensor(SensorKind.TEMPERATURE, "02-CPU 1", "Warning", "CPU", 91, "Celsius"),
        Sensor(SensorKind.TEMPERATURE, "04-P1 DIMM", "Enabled"),
        Sensor(SensorKind.POWER_SUPPLY, "Power Supply 1", "OK", "", 800, "Watts"),
        Sensor(SensorKind.POWER_SUPPLY, "Power Supply 2", "OK", "", 500, "Watts"),
    )


def test_a_blade_has_no_power_supplies(redfish_ilo: RedfishIlo, bmc: Bmc):
    add_chassis(redfish_ilo, Thermal=THERMAL)
    assert {each.kind for each in bmc.get_sensors()} == {SensorKind.FAN, SensorKind.TEMPERATURE}


def test_an_ilo_without_sensors(redfish_ilo: RedfishIlo, bmc: Bmc):
    add_chassis(redfish_ilo)
    with pytest.raises(BmcFeatureMissing, match=r"read the sensors.*update the iLO's firmware"):
        bmc.get_sensors()


def allow_nmi(ilo: RedfishIlo, power: str) -> None:
    ilo.documents[SYSTEM]["PowerState"] = power
    action = ilo.documents[SYSTEM]["Actions"]["#ComputerSystem.Reset"]
    action["ResetType@Redfish.AllowableValues"].append("Nmi")
    ilo.on(f"POST {RESET}", refuse("Success", 200))


def test_nmi(redfish_ilo: RedfishIlo, bmc: Bmc):
    allow_nmi(redfish_ilo, "On")
    bmc.inject_nmi()
    assert [each for each in redfish_ilo.requests if "ResetType" in each] == [
        '{"ResetType": "Nmi"}'
    ]


def test_nmi_of_a_server_that_is_off(redfish_ilo: RedfishIlo, bmc: Bmc):
    allow_nmi(redfish_ilo, "Off")
    with pytest.raises(BmcError, match=r"the server is off.*Power the server on first"):
        bmc.inject_nmi()
    assert redfish_ilo.changes() == []


def test_nmi_that_an_ilo_does_not_offer(redfish_ilo: RedfishIlo, bmc: Bmc):
    redfish_ilo.documents[SYSTEM]["PowerState"] = "On"
    with pytest.raises(BmcFeatureMissing, match="could not inject an NMI"):
        bmc.inject_nmi()
