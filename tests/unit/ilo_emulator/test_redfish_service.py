"""Redfish as all resources have it: logins, paths, ETags, the form of errors."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from yarl import URL

from ilo_emulator.profile import PROFILES
from tests.unit.ilo_emulator.conftest import PASSWORD, Lab, login, message

ALL = ("ilo5-early", "ilo5", "ilo6", "ilo7")
SESSIONS = "/redfish/v1/SessionService/Sessions/"
USER = {"UserName": "Administrator", "Password": PASSWORD}


@pytest.mark.parametrize("server", [*ALL, "gen9"])
def test_only_the_root_is_shown_to_strangers(in_lab, server: str):
    async def play(lab: Lab) -> None:
        status, versions, _ = await lab.rest("GET", "/redfish", b"", server)
        assert (status, versions) == (200, {"v1": "/redfish/v1/"})
        status, root, _ = await lab.rest("GET", "/redfish/v1/", b"", server)
        assert status == 200
        how = PROFILES[{"gen9": "ilo4-gen9"}.get(server, server)].redfish
        assert how is not None
        [manager] = root["Oem"][how.oem]["Manager"]
        assert manager["ManagerType"] == how.manager_type
        for headers in ({}, login("wrong"), {"X-Auth-Token": "none"}):
            status, document, _ = await lab.rest(
                "GET", root["Systems"]["@odata.id"], b"", server, **headers
            )
            assert status == 401
            assert message(document) == f"{how.registries.base}.NoValidSession"

    in_lab(play, *ALL)


@pytest.mark.parametrize("server", [*ALL, "gen9"])
def test_every_link_leads_somewhere(in_lab, server: str):
    async def play(lab: Lab) -> None:
        await lab.rest("POST", SESSIONS, USER, server)
        todo, seen = ["/redfish/v1/"], set()
        while todo:
            path = todo.pop()
            seen.add(path)
            status, document, headers = await lab.rest("GET", path, b"", server, **login())
            assert status == 200, path
            assert document["@odata.id"] == path
            assert document["@odata.etag"] == headers["ETag"]
            todo += {each for each in links(document) if each not in seen}
        assert {"/redfish/v1/Chassis/1/", "/redfish/v1/systems/1/bios/settings/"} <= seen
        assert ("/redfish/v1/Chassis/1/Thermal/" in seen) is (server != "gen9")
        assert sum(path.startswith(SESSIONS) for path in seen) == 2

    in_lab(play, *ALL)


def links(value: Any) -> list[str]:
    """Find the links in a document."""
    if isinstance(value, list):
        return [each for item in value for each in links(item)]
    if not isinstance(value, dict):
        return []
    inner = [each for item in value.values() for each in links(item)]
    return [*inner, value["@odata.id"]] if "@odata.id" in value else inner


@pytest.mark.parametrize("path", ["/systems/1", "/Systems/1/", "/SYSTEMS/1"])
def test_paths_are_found_whatever_their_case_and_links_follow_their_form(in_lab, path: str):
    async def play(lab: Lab) -> None:
        status, system, _ = await lab.redfish("GET", path)
        assert (status, system["Model"]) == (200, "ProLiant DL380 Gen10")
        end = "/" if path.endswith("/") else ""
        assert system["Bios"]["@odata.id"] == f"/redfish/v1/systems/1/bios{end}"
        target = system["Actions"]["#ComputerSystem.Reset"]["target"]
        assert target == f"/redfish/v1/Systems/1/Actions/ComputerSystem.Reset{end}"

    in_lab(play, "ilo5")


def test_early_firmware_wants_the_slash(in_lab):
    async def play(lab: Lab) -> None:
        for method, path in (("GET", "/Systems/1"), ("PATCH", "/systems/1"), ("GET", "")):
            status, _, headers = await lab.redfish(method, path, {}, "ilo5-early")
            assert (status, headers["Location"]) == (308, f"/redfish/v1{path}/")

    in_lab(play, "ilo5-early")


def test_where_the_first_rest_api_has_moved_to(in_lab):
    async def play(lab: Lab) -> None:
        for server in ("ilo5", "ilo6"):
            status, _, headers = await lab.rest("GET", "/rest/v1/Systems/1", b"", server)
            assert (status, headers["Location"]) == (308, "/redfish/v1/Systems/1/")
        url = lab.ilos["node-0"].url("/rest/v1")
        async with lab.http.get(url, ssl=lab.context()) as reply:
            assert reply.status == 404

    in_lab(play, "ilo5", "ilo6")


def test_a_session(in_lab):
    async def play(lab: Lab) -> None:
        wrong = {**USER, "Password": "wrong"}
        for body, words in ((wrong, "iLO.2.8.UnauthorizedLoginAttempt"), (b"", "Base.1.4.Malf")):
            status, document, _ = await lab.rest("POST", SESSIONS, body, "ilo5")
            assert status == 400
            assert message(document).startswith(words)
        status, _, headers = await lab.rest("POST", SESSIONS, USER, "ilo5")
        place, token = URL(headers["Location"]), {"X-Auth-Token": headers["X-Auth-Token"]}
        assert (status, place.scheme, place.port) == (201, "https", lab.ilos["ilo5"].port)
        _, listed, _ = await lab.rest("GET", SESSIONS, b"", "ilo5", **token)
        assert [each["@odata.id"] for each in listed["Members"]] == [place.path]
        status, document, _ = await lab.rest("DELETE", place.path, b"", "ilo5", **token)
        assert (status, message(document)) == (200, "Base.1.4.SessionTerminated")
        assert (await lab.rest("GET", SESSIONS, b"", "ilo5", **token))[0] == 401

    in_lab(play, "ilo5")


def test_there_can_be_too_many_sessions_until_the_ilo_resets(in_lab):
    async def play(lab: Lab) -> None:
        how = PROFILES["ilo5"].redfish
        assert how is not None
        for _ in range(how.sessions):
            assert (await lab.rest("POST", SESSIONS, USER, "ilo5"))[0] == 201
        status, document, _ = await lab.rest("POST", SESSIONS, USER, "ilo5")
        assert (status, message(document)) == (503, "Base.1.4.SessionLimitExceeded")
        reset = "/Managers/1/Actions/Manager.Reset"
        assert (await lab.redfish("POST", reset, {"ResetType": "ForceRestart"}))[0] == 200
        assert (await lab.rest("POST", SESSIONS, USER, "ilo5"))[0] == 201

    in_lab(play, "ilo5")


def test_ilo4_shares_its_sessions(in_lab):
    async def play(lab: Lab) -> None:
        _, _, headers = await lab.rest("POST", SESSIONS, USER)
        token = {"X-Auth-Token": headers["X-Auth-Token"]}
        assert (await lab.rest("GET", "/rest/v1/Systems/1", b"", **token))[0] == 200

    in_lab(play)


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/Systems/2", None, (404, "Base.1.12.ResourceMissingAtURI")),
        ("POST", "/Systems/1", {}, (405, "Base.1.12.ActionNotSupported")),
        ("DELETE", "/Systems/1", None, (405, "Base.1.12.ActionNotSupported")),
        ("GET", "/Systems/1/Actions/ComputerSystem.Reset", None, (405, "Base.1.12.ActionNotSupp")),
        ("DELETE", "/SessionService/Sessions/none", None, (404, "Base.1.12.ResourceMissingAtURI")),
        ("PATCH", "/Systems/1", b"{", (400, "Base.1.12.MalformedJSON")),
        ("PATCH", "/Systems/1", [], (400, "Base.1.12.MalformedJSON")),
        ("PATCH", "/Systems/1", {"Colour": 1}, (400, "iLO.2.15.PropertyNotWritableOrUnknown")),
        ("PATCH", "/Systems/1", {"Boot": {"A": 1}, "B": 1}, (400, "iLO.2.15.PropertyNotWritable")),
    ],
)
def test_what_cannot_be_done(in_lab, method, path, body, expected):
    async def play(lab: Lab) -> None:
        status, document, _ = await lab.redfish(method, path, body, "ilo6")
        assert status == expected[0]
        assert message(document).startswith(expected[1])

    in_lab(play, "ilo6")


def test_a_body_must_be_there_and_say_that_it_is_json(in_lab):
    async def play(lab: Lab) -> None:
        path = "/Managers/1/Actions/Manager.Reset"
        assert (await lab.redfish("POST", path))[0] == 400
        text = {"Content-Type": "text/plain"}
        assert (await lab.redfish("POST", path, {}, "ilo5", **text))[0] == 415
        assert (await lab.redfish("POST", path, {}))[0] == 200

    in_lab(play, "ilo5")


def test_etags(in_lab):
    async def play(lab: Lab) -> None:
        _, system, headers = await lab.redfish("GET", "/Systems/1")
        weak = headers["ETag"]
        assert weak.startswith('W/"')
        change = {"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}}
        assert (await lab.redfish("PATCH", "/Systems/1", change, **{"If-Match": weak}))[0] == 200
        for stale in (weak, weak.removeprefix("W/")):
            status, document, _ = await lab.redfish(
                "PATCH", "/Systems/1", change, **{"If-Match": stale}
            )
            assert (status, message(document)) == (412, "Base.1.4.PreconditionFailed")
        _, system, headers = await lab.redfish("GET", "/Systems/1/")
        bare = headers["ETag"].removeprefix("W/").strip('"')
        for fresh in ("*", bare, f'"other", "{bare}"'):
            status, _, _ = await lab.redfish("PATCH", "/Systems/1", change, **{"If-Match": fresh})
            assert status == 200
        assert system["Boot"]["BootSourceOverrideTarget"] == "Pxe"

    in_lab(play, "ilo5")


def test_ilo4_writes_its_messages_in_the_old_form_too(in_lab):
    async def play(lab: Lab) -> None:
        _, document, _ = await lab.redfish("GET", "/none", server="gen9")
        assert document["Messages"] == document["error"]["@Message.ExtendedInfo"]
        assert message(document) == "Base.0.10.ResourceMissingAtURI"

    in_lab(play)


def test_faults_are_those_of_the_other_protocols(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/ilo5/faults", {"post_s": 600, "post_refusals": 1})
        change = {"Attributes": {"BootMode": "LegacyBios"}}
        path = "/systems/1/bios/settings"
        status, document, _ = await lab.redfish("PATCH", path, change)
        assert (status, message(document)) == (400, "iLO.2.8.UnableToModifyDuringSystemPOST")
        [entry] = document["error"]["@Message.ExtendedInfo"]
        assert entry["MessageArgs"] == ["BootMode"]
        assert (await lab.redfish("PATCH", path, change))[0] == 200
        await lab.ask("POST", "/servers/ilo5/press")
        _, system, _ = await lab.redfish("GET", "/Systems/1")
        assert system["Oem"]["Hpe"]["PostState"] == "InPost"
        boot = {"Boot": {"BootSourceOverrideEnabled": "Disabled"}}
        status, document, _ = await lab.redfish("PATCH", "/Systems/1", boot)
        assert message(document) == "iLO.2.8.UnableToModifyDuringSystemPOST"
        await lab.ask("DELETE", "/servers/ilo5/faults")
        _, system, _ = await lab.redfish("GET", "/Systems/1")
        assert system["Oem"]["Hpe"]["PostState"] == "FinishedPost"

    in_lab(play, "ilo5")


@pytest.mark.parametrize(("fault", "power"), [("refuse", "off"), ("drop", "on")])
def test_a_connection_that_breaks(in_lab, fault: str, power: str):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/ilo5/faults", {fault: True})
        with pytest.raises(aiohttp.ClientError):
            reset = {"ResetType": "On"}
            await lab.redfish("POST", "/Systems/1/Actions/ComputerSystem.Reset", reset)
        assert (await lab.ask("GET", "/servers/ilo5"))[1]["power"] == power

    in_lab(play, "ilo5")


def test_slowness_and_silence(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/ilo5/faults", {"slow_s": 0.3})
        begin = time.monotonic()
        assert (await lab.redfish("GET", "/Systems/1"))[0] == 200
        assert time.monotonic() - begin >= 0.3
        await lab.ask("PUT", "/servers/ilo5/faults", {"silent": True})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lab.redfish("GET", "/Systems/1"), 0.5)

    in_lab(play, "ilo5")


def test_not_ready_refuses_as_often_as_asked(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/ilo5/faults", {"not_ready": 1})
        status, document, _ = await lab.redfish("GET", "/Systems/1/")
        assert (status, message(document)) == (503, "HpeCommon.2.0.ResourceNotReadyRetry")
        assert (await lab.redfish("GET", "/Systems/1/"))[0] == 200

    in_lab(play, "ilo5")


def test_a_wrong_password_makes_all_wait(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/ilo5/faults", {"login_delay_s": 600})
        place = "/redfish/v1/SessionService/Sessions/"
        for password, said in (
            (PASSWORD + "x", "UnauthorizedLoginAttempt"),
            (PASSWORD, "LoginAttemptDelayed"),
        ):
            login = {"UserName": "Administrator", "Password": password}
            status, document, _ = await lab.rest("POST", place, login, "ilo5")
            assert (status, message(document)) == (400, f"iLO.2.8.{said}")

    in_lab(play, "ilo5")
