"""What a server is made of, and its sensors, over Redfish.

The facts are those of HPE's resource definitions for iLO 5 to 7, and of documents that real iLOs
gave. Whatever a document lacks is missing from the result.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sushy.exceptions import MissingAttributeError

from ironic_ilo.bmc.inventory import Inventory, Sensor, SensorKind, known_macs
from ironic_ilo.bmc.redfish_replies import Document, oem_of

#: Reads the document at a path.
Read = Callable[[str], Document]

_ARCHITECTURES = {"x86-64": "x86_64", "ARM-A64": "aarch64"}
_MOST_COMMON = "x86_64"
_MIB_PER_GIB = 1024
_GIB = 1 << 30
_ABSENT = "Absent"


def read_inventory(system: Document, firmware: str, read: Read) -> Inventory:
    """Read the parts of a ``ComputerSystem``.

    :param firmware: the version of the iLO's.
    """
    # There are others, such as GPUs.
    processors = [
        each
        for each in _members(system, "Processors", read)
        if each.get("ProcessorType") == "CPU" and _is_there(each)
    ]
    sets = [each.get("InstructionSet") for each in processors]
    memory = (system.get("MemorySummary") or {}).get("TotalSystemMemoryGiB") or 0
    # Whatever their state: it is often null.
    nics = _members(system, "EthernetInterfaces", read)
    return Inventory(
        cpus=sum(each.get("TotalThreads") or 0 for each in processors) or None,
        cpu_arch=next(
            (_ARCHITECTURES[each] for each in sets if each in _ARCHITECTURES), _MOST_COMMON
        ),
        memory_mib=int(memory * _MIB_PER_GIB) or None,
        disks_gib=tuple(size // _GIB for size in _disk_sizes(system, read) if size),
        macs=known_macs(_text(nic, "MACAddress") for nic in nics),
        rom_version=_text(system, "BiosVersion"),
        ilo_version=firmware,
    )


def _disk_sizes(system: Document, read: Read) -> list[int]:
    """Tell the bytes of the logical drives; where there are none, of the disks."""
    controllers = list(_members(system, "Storage", read))
    logical = [
        volume.get("CapacityBytes") or 0
        for controller in controllers
        for volume in _members(controller, "Volumes", read)
    ]
    logical += [size * _MIB_PER_GIB**2 for size in _smart_array_sizes(system, read)]
    return logical or [
        drive.get("CapacityBytes") or 0
        for controller in controllers
        for drive in _read_all(controller.get("Drives", ()), read)
    ]


def _smart_array_sizes(system: Document, read: Read) -> Iterator[int]:
    """Tell the MiB of the logical drives of Gen10's Smart Arrays, which are in a tree of HPE's."""
    links = oem_of(system).get("Links", {})
    if "SmartStorage" in links:
        storage = read(links["SmartStorage"]["@odata.id"])
        for controller in _members(storage.get("Links", {}), "ArrayControllers", read):
            for drive in _members(controller.get("Links", {}), "LogicalDrives", read):
                yield drive.get("CapacityMiB") or 0


def read_sensors(chassis: Document, read: Read) -> tuple[Sensor, ...]:
    """Read fans and temperatures (``Thermal``) and power supplies (``Power``) of a ``Chassis``.

    :raises MissingAttributeError: it has neither.
    """
    places = [chassis[name]["@odata.id"] for name in ("Thermal", "Power") if name in chassis]
    if not places:
        raise MissingAttributeError(attribute="Thermal", resource=chassis.get("@odata.id"))
    found = {name: content for place in places for name, content in read(place).items()}
    return tuple(
        make(each)
        for name, make in _SENSORS.items()
        for each in found.get(name, ())
        if _is_there(each)
    )


def _make_fan(fan: Document) -> Sensor:
    unit = _text(fan, "ReadingUnits")
    return Sensor(
        SensorKind.FAN,
        _text(fan, "Name"),
        _status(fan),
        _text(oem_of(fan), "Location"),
        *_reading(fan, "Reading", "Percentage" if unit == "Percent" else unit),
    )


def _make_thermometer(thermometer: Document) -> Sensor:
    return Sensor(
        SensorKind.TEMPERATURE,
        _text(thermometer, "Name"),
        _status(thermometer),
        _text(thermometer, "PhysicalContext"),
        *_reading(thermometer, "ReadingCelsius", "Celsius"),
    )


def _make_power_supply(supply: Document) -> Sensor:
    """Name it by its bay, as RIBCL does: the iLO's name is the same for all."""
    bay = oem_of(supply).get("BayNumber")
    return Sensor(
        SensorKind.POWER_SUPPLY,
        _text(supply, "Name") if bay is None else f"Power Supply {bay}",
        _status(supply),
        "",
        *_reading(supply, "PowerCapacityWatts", "Watts"),
    )


_SENSORS: dict[str, Callable[[Document], Sensor]] = {
    "Fans": _make_fan,
    "Temperatures": _make_thermometer,
    "PowerSupplies": _make_power_supply,
}


def _reading(sensor: Document, name: str, unit: str) -> tuple[float | None, str]:
    value = sensor.get(name)
    return (None, "") if value is None else (float(value), unit)


def _status(part: Document) -> str:
    status = part.get("Status") or {}
    return _text(status, "Health") or _text(status, "State")


def _is_there(part: Document) -> bool:
    return _text(part.get("Status") or {}, "State") != _ABSENT


def _text(document: Document, name: str) -> str:
    return str(document.get(name) or "")


def _members(document: Document, name: str, read: Read) -> Iterator[Document]:
    """Read the members of a linked collection; without the link, there are none."""
    if name in document:
        yield from _read_all(read(document[name]["@odata.id"])["Members"], read)


def _read_all(links: Any, read: Read) -> Iterator[Document]:
    for link in links:
        yield read(link["@odata.id"])
