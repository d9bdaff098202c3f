"""The sensors of the chassis: ``Thermal`` and ``Power``, where all is well."""

from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish.document import ROOT, document, facts, link
from ilo_emulator.rest.message import Document
from ilo_emulator.rest.resource import Resource, Tree

BOX = f"{ROOT}/Chassis/1"
_WELL = {"Health": "OK", "State": "Enabled"}
_NONE = {"State": "Absent"}


def tree(ilo: Ilo) -> Tree:
    """Make the resources of the sensors; iLO 4's have other names, and are left out."""
    if facts(ilo).registries.legacy:
        return {}
    return {f"{BOX}/{name}": Resource(read) for name, read in _READS.items()}


def links(ilo: Ilo) -> Document:
    """Write the chassis' links to them."""
    return {path.rpartition("/")[2]: link(path) for path in tree(ilo)}


def _thermal(ilo: Ilo) -> Document:
    oem = facts(ilo).oem
    fans = [
        {
            "MemberId": str(number),
            "Name": f"Fan {number + 1}",
            "Reading": reading,
            "ReadingUnits": "Percent",
            "Status": status,
            "Oem": {oem: {"Location": "System", "HotPluggable": True, "Redundant": True}},
        }
        for number, (reading, status) in enumerate([(20, _WELL), (0, _NONE)])
    ]
    inlet = {
        "MemberId": "0",
        "Name": "01-Inlet Ambient",
        "PhysicalContext": "Intake",
        "ReadingCelsius": 21,
        "SensorNumber": 1,
        "Status": _WELL,
        "UpperThresholdCritical": 42,
        "UpperThresholdFatal": 47,
    }
    return document(
        "Thermal.v1_1_0.Thermal",
        f"{BOX}/Thermal",
        Id="Thermal",
        Name="Thermal",
        Fans=fans,
        Temperatures=[inlet],
    )


def _power(ilo: Ilo) -> Document:
    supply = {
        "MemberId": "0",
        "Name": "HpeServerPowerSupply",
        "PowerCapacityWatts": 800,
        "PowerSupplyType": "AC",
        "Status": _WELL,
        "Oem": {facts(ilo).oem: {"BayNumber": 1, "PowerSupplyStatus": {"State": "Ok"}}},
    }
    return document(
        "Power.v1_3_0.Power",
        f"{BOX}/Power",
        Id="Power",
        Name="PowerMetrics",
        PowerSupplies=[supply],
    )


_READS = {"Thermal": _thermal, "Power": _power}
