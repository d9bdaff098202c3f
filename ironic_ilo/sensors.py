"""Sensors in the form in which Ironic's ``redfish`` hardware type has them.

What reads Ironic's sensor data knows that form. Each sensor has ``state`` and ``health`` there:
``OK``, ``Warning``, ``Critical``, or ``None`` for what the iLO calls otherwise.
"""

import re
from collections.abc import Iterable
from typing import Any

from ironic_ilo.bmc.inventory import Sensor, SensorKind

# By kind: the group, and the key of its reading.
_GROUPS = {
    SensorKind.FAN: ("Fan", "reading"),
    SensorKind.TEMPERATURE: ("Temperature", "reading_celsius"),
    SensorKind.POWER_SUPPLY: ("Power", "power_capacity_watts"),
}
# An iLO adds to these, as in "Good, In Use".
_HEALTH = (
    (re.compile("ok|good", re.IGNORECASE), "OK"),
    (re.compile("warning|degraded|caution|mismatch", re.IGNORECASE), "Warning"),
    (re.compile("fail|critical|non-recoverable", re.IGNORECASE), "Critical"),
)


def as_ironic_has_them(sensors: Iterable[Sensor]) -> dict[str, dict[str, dict[str, Any]]]:
    """Give the sensors by their names, in the groups ``Fan``, ``Temperature`` and ``Power``."""
    grouped: dict[str, dict[str, dict[str, Any]]] = {group: {} for group, _ in _GROUPS.values()}
    for sensor in sensors:
        group, reading = _GROUPS[sensor.kind]
        facts: dict[str, Any] = {
            "identity": sensor.name,
            "physical_context": sensor.location or None,
            reading: sensor.reading,
            "state": "Enabled",
            "health": _health(sensor.status),
        }
        if sensor.kind is SensorKind.FAN:
            facts["reading_units"] = sensor.unit or None
        grouped[group][sensor.name] = facts
    return grouped


def _health(status: str) -> str | None:
    found = (health for words, health in _HEALTH if words.match(status))
    return next(found, None)
