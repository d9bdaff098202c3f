"""``$expand``: links replaced by documents."""

import pytest

from ilo_emulator.redfish.expansion import expand
from tests.unit.ilo_emulator.conftest import PASSWORD, Lab, login

SESSIONS = "/redfish/v1/SessionService/Sessions"


@pytest.mark.parametrize("how", [".", "*", ".($levels=1)", "($levels=5)"])
@pytest.mark.parametrize("end", ["", "/"])
def test_links_are_expanded_one_level_deep(in_lab, how: str, end: str):
    async def play(lab: Lab) -> None:
        _, plain, _ = await lab.redfish("GET", f"/Chassis/1{end}")
        _, thermal, _ = await lab.redfish("GET", f"/Chassis/1/Thermal{end}")
        status, expanded, _ = await lab.redfish("GET", f"/Chassis/1{end}?$expand={how}")
        assert (status, expanded["Thermal"]) == (200, thermal)
        assert expanded["Power"]["PowerSupplies"]
        assert expanded["Links"] == plain["Links"]
        _, manager, _ = await lab.redfish("GET", f"/Managers/1{end}?$expand={how}")
        [drive, _] = manager["VirtualMedia"]["Members"]
        assert drive == {"@odata.id": f"/redfish/v1/Managers/1/VirtualMedia/1{end}"}

    in_lab(play, "ilo5")


def test_members_are_expanded_and_sessions_are_some(in_lab):
    async def play(lab: Lab) -> None:
        user = {"UserName": "Administrator", "Password": PASSWORD}
        await lab.rest("POST", f"{SESSIONS}/", user, "ilo6")
        for path in ("/Managers/1/VirtualMedia", "/SessionService/Sessions"):
            _, plain, _ = await lab.redfish("GET", path, server="ilo6")
            _, expanded, _ = await lab.redfish("GET", f"{path}?$expand=.", server="ilo6")
            assert plain["Members"]
            for link, member in zip(plain["Members"], expanded["Members"], strict=True):
                assert member["@odata.id"] == link["@odata.id"]
                assert {"Id", "Name", "@odata.etag"} <= member.keys()

    in_lab(play, "ilo6")


def test_what_stands_in_the_part_of_hpe_is_expanded_but_for_its_links():
    document = {
        "Name": "x",
        "Oem": {"Hpe": {"Links": {"A": {"@odata.id": "/a"}}, "B": {"@odata.id": "/b"}, "C": [1]}},
    }
    expanded = expand(document, lambda path: {"read": path})
    assert expanded == {
        "Name": "x",
        "Oem": {"Hpe": {"Links": {"A": {"@odata.id": "/a"}}, "B": {"read": "/b"}, "C": [1]}},
    }
    assert expand({"A": 1}, lambda path: {"read": path}) == {"A": 1}


def test_a_stranger_sees_no_more_of_the_root_for_it(in_lab):
    async def play(lab: Lab) -> None:
        path = "/redfish/v1/"
        _, plain, _ = await lab.rest("GET", path, b"", "ilo5")
        _, expanded, _ = await lab.rest("GET", f"{path}?$expand=.", b"", "ilo5")
        assert expanded == plain
        _, expanded, _ = await lab.rest("GET", f"{path}?$expand=.", b"", "ilo5", **login())
        assert expanded["Systems"]["Members"] == [{"@odata.id": "/redfish/v1/Systems/1/"}]

    in_lab(play, "ilo5")


def test_ilo4_ignores_it(in_lab):
    async def play(lab: Lab) -> None:
        _, plain, _ = await lab.redfish("GET", "/Managers/1", server="gen9")
        _, same, _ = await lab.redfish("GET", "/Managers/1?$expand=.", server="gen9")
        assert same == plain

    in_lab(play)
