"""The form of sensors."""

import pytest

from ironic_ilo import sensors
from ironic_ilo.bmc import Sensor, SensorKind


def test_groups_and_names():
    told = (
        Sensor(SensorKind.FAN, "Fan 1", "OK", "System", 12, "Percentage"),
        Sensor(SensorKind.TEMPERATURE, "01-Inlet", "OK", "Ambient", 27, "Celsius"),
        Sensor(SensorKind.POWER_SUPPLY, "Power Supply 1", "Good, In Use", "", 1200, "Watts"),
    )
    common = {"state": "Enabled", "health": "OK"}
    assert sensors.as_ironic_has_them(told) == {
        "Fan": {
            "Fan 1": common
            | {
                "identity": "Fan 1",
                "physical_context": "System",
                "reading": 12,
                "reading_units": "Percentage",
            }
        },
        "Temperature": {
            "01-Inlet": common
            | {"identity": "01-Inlet", "physical_context": "Ambient", "reading_celsius": 27}
        },
        "Power": {
            "Power Supply 1": common
            | {
                "identity": "Power Supply 1",
                "physical_context": None,
                "power_capacity_watts": 1200,
            }
        },
    }


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("OK", "OK"),
        ("Good, Standby", "OK"),
        ("Degraded", "Warning"),
        ("Warning", "Warning"),
        ("Failed", "Critical"),
        ("Critical", "Critical"),
        ("a word not known yet", None),
    ],
)
def test_health(status, health):
    told = sensors.as_ironic_has_them([Sensor(SensorKind.FAN, "Fan 1", status)])
    assert told["Fan"]["Fan 1"]["health"] == health
    assert told["Fan"]["Fan 1"]["reading"] is None
