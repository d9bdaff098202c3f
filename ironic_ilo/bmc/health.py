"""RIBCL's ``GET_EMBEDDED_HEALTH``, the only place where iLO 4 tells what a server is made of.

The facts are those of ilo-protocol.md 1.11 and of the replies that proliantutils is tested with.
Whatever a reply lacks is missing from the result: what an iLO tells depends on the server's
generation, and on whether it has been through POST since it has had power.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ironic_ilo.bmc.inventory import Inventory, Sensor, SensorKind, known_macs

# All servers with an iLO 4.
_ARCHITECTURE = "x86_64"
_THREADS = re.compile(r"(\d+) threads?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(MB|GB|TB)")
_MIB_PER_UNIT = {"MB": 1, "GB": 1024, "TB": 1024 * 1024}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_ROM = "HP ProLiant System ROM"
_ILO = "iLO"
# What an iLO calls a place without a part in it; one without a reading for now is there.
_ABSENT = frozenset({"not installed", "not present", "absent", "unknown", ""})

Element = Mapping[str, Any]


def parse_inventory(reply: Mapping[str, Any]) -> Inventory:
    """Read the parts.

    :raises KeyError: it is another reply.
    """
    data = reply["GET_EMBEDDED_HEALTH_DATA"]
    processors = _find(data, "PROCESSORS", "PROCESSOR")
    banks = [
        bank
        for summary in _find(data, "MEMORY", "MEMORY_DETAILS_SUMMARY")
        for bank in _children(summary)
    ]
    drives = _find(data, "STORAGE", "CONTROLLER", "LOGICAL_DRIVE")
    nics = [
        nic
        for nic in _find(data, "NIC_INFORMATION", "NIC")
        if _value(nic, "LOCATION") == "Embedded"
    ]
    versions = {
        _value(entry, "FIRMWARE_NAME"): _value(entry, "FIRMWARE_VERSION")
        for table in _find(data, "FIRMWARE_INFORMATION")
        for entry in _children(table)
    }
    sizes = [_mib(_value(drive, "CAPACITY")) for drive in drives]
    return Inventory(
        cpus=sum(_threads(processor) for processor in processors) or None,
        cpu_arch=_ARCHITECTURE,
        memory_mib=sum(_mib(_value(bank, "TOTAL_MEMORY_SIZE")) for bank in banks) or None,
        disks_gib=tuple(size // 1024 for size in sizes if size),
        macs=known_macs(_value(nic, "MAC_ADDRESS") for nic in nics),
        rom_version=versions.get(_ROM, ""),
        ilo_version=versions.get(_ILO, ""),
    )


def parse_sensors(reply: Mapping[str, Any]) -> tuple[Sensor, ...]:
    """Read the sensors.

    :raises KeyError: it is another reply.
    """
    return tuple(_find_sensors(reply["GET_EMBEDDED_HEALTH_DATA"]))


def _find_sensors(data: Element) -> Iterator[Sensor]:
    for kind, path, location, reading in (
        (SensorKind.FAN, ("FANS", "FAN"), "ZONE", "SPEED"),
        (SensorKind.TEMPERATURE, ("TEMPERATURE", "TEMP"), "LOCATION", "CURRENTREADING"),
        (SensorKind.POWER_SUPPLY, ("POWER_SUPPLIES", "SUPPLY"), "", "CAPACITY"),
    ):
        for element in _find(data, *path):
            status = _value(element, "STATUS")
            if status.lower() not in _ABSENT:
                number = _NUMBER.match(_value(element, reading))
                yield Sensor(
                    kind,
                    _value(element, "LABEL"),
                    status,
                    _value(element, location),
                    float(number.group()) if number else None,
                    _unit(element, reading) if number else "",
                )


def _unit(element: Element, name: str) -> str:
    """Read the unit of a reading: an attribute, or the word after the number."""
    own = element[name].get("UNIT") or _value(element, name).partition(" ")[2]
    return str(own)


def _threads(processor: Element) -> int:
    found = _THREADS.search(_value(processor, "EXECUTION_TECHNOLOGY"))
    return int(found[1]) if found else 0


def _mib(size: str) -> int:
    """Read a size, which an iLO gives in powers of 1024; 0 for none, such as ``N/A``."""
    found = _SIZE.fullmatch(size.strip())
    return int(float(found[1]) * _MIB_PER_UNIT[found[2]]) if found else 0


def _value(element: Element, name: str) -> str:
    """Read the usual form of a fact, a child with a ``VALUE``; empty without it."""
    child = element.get(name)
    return str(child.get("VALUE", "")) if isinstance(child, Mapping) else ""


def _find(element: Element, *path: str) -> list[Element]:
    """Find all elements at a path; of each name in it, there may be none, one or several."""
    found = [element]
    for name in path:
        found = [child for each in found for child in _as_list(each.get(name))]
    return found


def _children(element: Element) -> list[Element]:
    return [child for value in element.values() for child in _as_list(value)]


def _as_list(value: Any) -> list[Element]:
    """Undo what proliantutils does to a single element, and leave out what is none."""
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, Mapping)]
