"""iLO 4's Redfish documents, with and without the properties of HPE's first REST API."""

from typing import Any

import pytest

from ilo_emulator.redfish.old_forms import with_old_forms
from tests.unit.ilo_emulator.conftest import Lab

REDFISH = {"OData-Version": "4.0"}


def test_a_document_is_in_both_forms(in_lab):
    async def play(lab: Lab) -> None:
        status, system, _ = await lab.redfish("GET", "/Systems/1/", server="gen9")
        assert (status, system["@odata.type"]) == (200, "#ComputerSystem.v1_4_0.ComputerSystem")
        assert (system["Type"], system["Power"]) == ("ComputerSystem.1.4.0", "Off")
        assert system["links"]["self"] == {"href": "/redfish/v1/Systems/1/"}
        assert system["links"]["Processors"] == {"href": "/redfish/v1/Systems/1/Processors/"}
        assert system["links"]["ManagedBy"] == [{"href": "/redfish/v1/Managers/1/"}]
        [reset] = system["AvailableActions"]
        [kinds] = reset["Capabilities"]
        assert (reset["Action"], kinds["PropertyName"]) == ("Reset", "ResetType")
        assert "ForceOff" in kinds["AllowableValues"]
        assert system["MemorySummary"]["Status"]["HealthRollUp"] == "OK"
        hp = system["Oem"]["Hp"]
        assert hp["Type"].startswith("HpComputerSystemExt.")
        assert hp["links"]["BIOS"] == {"href": "/redfish/v1/systems/1/bios/"}

    in_lab(play)


def test_a_collection_is_in_both_forms(in_lab):
    async def play(lab: Lab) -> None:
        _, systems, _ = await lab.redfish("GET", "/Systems", server="gen9")
        assert (systems["Type"], systems["Total"]) == ("Collection.1.0.0", 1)
        assert systems["links"] == {
            "self": {"href": "/redfish/v1/Systems"},
            "Member": [{"href": "/redfish/v1/Systems/1"}],
        }

    in_lab(play)


def old(value: Any) -> set[str]:
    """Find the names of old properties."""
    if isinstance(value, list):
        return set().union(*map(old, value))
    if not isinstance(value, dict):
        return set()
    names = {"Type", "links", "Power", "AvailableActions", "HealthRollUp", "Total", "Messages"}
    return (names & value.keys()).union(*map(old, value.values()))


@pytest.mark.parametrize("path", ["", "/Systems", "/Systems/1", "/Chassis/1", "/none"])
def test_a_client_of_redfish_is_shown_that_alone(in_lab, path: str):
    async def play(lab: Lab) -> None:
        _, both, _ = await lab.redfish("GET", path, server="gen9")
        status, alone, _ = await lab.redfish("GET", path, server="gen9", **REDFISH)
        assert old(both) > {"Type"}
        assert old(alone) == set()
        assert ("error" in alone) is (status != 200)
        assert alone.keys() <= both.keys()

    in_lab(play)


def test_a_body_that_is_no_json_is_refused_in_either_form(in_lab):
    async def play(lab: Lab) -> None:
        text = {"Content-Type": "text/plain"}
        for headers, names in (({}, {"Type", "Messages"}), (REDFISH, set())):
            status, document, _ = await lab.redfish(
                "PATCH", "/Systems/1", b"{}", "gen9", **text, **headers
            )
            assert (status, old(document)) == (415, names)

    in_lab(play)


def test_later_ilos_have_no_other_form(in_lab):
    async def play(lab: Lab) -> None:
        _, system, _ = await lab.redfish("GET", "/Systems/1")
        assert old(system) == set()
        assert (await lab.redfish("GET", "/Systems/1", **REDFISH))[1] == system

    in_lab(play, "ilo5")


def test_what_a_document_does_not_have_is_not_made_up():
    assert with_old_forms({"@odata.id": "/x", "Name": "x"}) == {
        "@odata.id": "/x",
        "Name": "x",
        "links": {"self": {"href": "/x"}},
    }
