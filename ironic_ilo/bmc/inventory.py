"""What an iLO tells of its server's parts and of how they are."""

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class Inventory:
    """What a server is made of; ``None``, empty text or no item: its iLO does not say.

    :ivar cpus: the hardware threads of all processors.
    :ivar disks_gib: the logical drives, in GiB; over Redfish, the disks where there are none.
    :ivar macs: of the embedded NICs, over Redfish of all, in lower case with colons.
    :ivar rom_version: of the BIOS.
    :ivar ilo_version: of the iLO's firmware.
    """

    cpus: int | None
    cpu_arch: str
    memory_mib: int | None
    disks_gib: tuple[int, ...]
    macs: tuple[str, ...]
    rom_version: str
    ilo_version: str


class SensorKind(enum.StrEnum):
    """What is watched."""

    FAN = "fan"
    TEMPERATURE = "temperature"
    POWER_SUPPLY = "power supply"


@dataclass(frozen=True)
class Sensor:
    """One fan, thermometer or power supply that is there.

    :ivar status: the iLO's word, such as ``OK``.
    :ivar location: where in the chassis; empty: the iLO does not say.
    :ivar reading: in ``unit``; ``None``: the iLO does not say. Of a power supply, its capacity.
    :ivar unit: ``Percentage``, ``Celsius`` or ``Watts``; empty without a reading.
    """

    kind: SensorKind
    name: str
    status: str
    location: str = ""
    reading: float | None = None
    unit: str = ""


def known_macs(told: Iterable[str]) -> tuple[str, ...]:
    """Give the MAC addresses among what an iLO tells, each once, in lower case."""
    lower = (each.lower() for each in told)
    return tuple(dict.fromkeys(each for each in lower if _MAC.fullmatch(each)))
