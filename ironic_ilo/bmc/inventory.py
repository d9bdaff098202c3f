"""What an iLO tells of its server's parts and of how they are."""

import enum
from dataclasses import dataclass


@dataclass(frozen=True)
class Inventory:
    """What a server is made of; ``None``, empty text or no item: its iLO does not say.

    :ivar cpus: the hardware threads of all processors.
    :ivar disks_gib: the logical drives, in GiB; disks beside a RAID controller are none.
    :ivar macs: of the embedded NICs, in lower case with colons.
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


@dataclass(frozen=True)
class Health:
    """What one look at a server shows."""

    inventory: Inventory
    sensors: tuple[Sensor, ...]
