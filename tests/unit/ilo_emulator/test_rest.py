"""iLO 4's REST service, where clients of old and new meet it."""

import pytest
from yarl import URL

from tests.unit.ilo_emulator.conftest import PASSWORD, Lab, login

SYSTEM = "/rest/v1/Systems/1"
SECURE_BOOT = f"{SYSTEM}/SecureBoot"
SETTINGS = "/rest/v1/systems/1/bios/Settings"


def message(document: dict) -> str:
    """Read the message where clients of the first version of the API, and those of Redfish, do."""
    assert document["Type"].startswith("ExtendedError.")
    assert document["Messages"] == document["error"]["@Message.ExtendedInfo"]
    return document["Messages"][0]["MessageID"].rpartition(".")[2]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        login("wrong"),
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic \u00e9"},
        {"Authorization": "Bearer x"},
        {"X-Auth-Token": "none"},
        # A token that is wrong is not made good by a password that is right.
        {"X-Auth-Token": "none", **login()},
    ],
)
def test_who_does_not_log_in_sees_nothing(in_lab, headers):
    async def play(lab: Lab) -> None:
        for method, path in (("GET", SYSTEM), ("PATCH", SECURE_BOOT), ("GET", "/rest/v1/none")):
            status, document, _ = await lab.rest(method, path, **headers)
            assert (status, message(document)) == (401, "NoValidSession")

    in_lab(play)


def test_a_session(in_lab):
    async def play(lab: Lab) -> None:
        for body in ({"UserName": "Administrator", "Password": "wrong"}, [], b"{"):
            status, _, _ = await lab.rest("POST", "/rest/v1/Sessions", body)
            assert status == 400
        user = {"UserName": "Administrator", "Password": PASSWORD}
        status, _, headers = await lab.rest("POST", "/rest/v1/Sessions/", user)
        token, place = {"X-Auth-Token": headers["X-Auth-Token"]}, URL(headers["Location"])
        assert status == 201
        assert (place.scheme, place.port) == ("https", lab.ilos["gen9"].port)
        assert (await lab.rest("GET", SYSTEM, **token))[0] == 200
        assert (await lab.rest("DELETE", place.path, **token))[0] == 200
        assert (await lab.rest("GET", SYSTEM, **token))[0] == 401
        assert (await lab.rest("DELETE", place.path, **login()))[0] == 404

    in_lab(play)


def test_paths_are_found_whatever_their_case_and_slash(in_lab):
    async def play(lab: Lab) -> None:
        for path in (SYSTEM, f"{SYSTEM}/", SYSTEM.lower()):
            status, document, headers = await lab.rest("GET", path, **login(scheme="BASIC"))
            assert (status, document["Model"]) == (200, "ProLiant DL380 Gen9")
            assert headers["Allow"] == "GET"
        status, document, _ = await lab.rest("GET", "/rest/v1/Chassis", **login())
        assert (status, message(document)) == (404, "ResourceMissingAtURI")
        _, root, _ = await lab.rest("GET", "/rest/v1", **login())
        _, systems, _ = await lab.rest("GET", root["links"]["Systems"]["href"], **login())
        assert systems["links"]["Member"] == [{"href": SYSTEM}]

    in_lab(play)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (SYSTEM, {}, 405, "ActionNotSupported"),
        (SETTINGS, b"{", 400, "MalformedJSON"),
        (SETTINGS, [], 400, "MalformedJSON"),
        (SETTINGS, {"BootMode": "Uefi", "Colour": 1}, 400, "PropertyNotWritableOrUnknown"),
        (SETTINGS, {"BootMode": "Both"}, 400, "PropertyValueNotInList"),
        (SETTINGS, {"UefiOptimizedBoot": 1}, 400, "PropertyValueNotInList"),
        (SETTINGS, {"CustomPostMessage": 1}, 400, "PropertyValueNotInList"),
        (SECURE_BOOT, {"SecureBootEnable": "yes"}, 400, "PropertyValueNotInList"),
        (SECURE_BOOT, {"SecureBootEnable": True}, 400, "UnsupportedOperationInLegacyBootMode"),
        (SETTINGS, {"BootMode": "uefi"}, 200, "SystemResetRequired"),
    ],
)
def test_changes(in_lab, path, body, status, words):
    async def play(lab: Lab) -> None:
        got, document, _ = await lab.rest("PATCH", path, body, **login())
        assert (got, message(document)) == (status, words)
        _, server = await lab.ask("GET", "/servers/gen9")
        assert server["pending_boot_mode"] == ("uefi" if status == 200 else "legacy")
        assert server["boot_mode"] == "legacy"

    in_lab(play)


def test_what_clients_did_is_remembered_without_values(in_lab):
    async def play(lab: Lab) -> None:
        await lab.rest("PATCH", SETTINGS, {"CustomPostMessage": "hello"}, **login())
        _, requests = await lab.ask("GET", "/servers/gen9/requests")
        assert [request["command"] for request in requests] == [f"PATCH {SETTINGS}"]

    in_lab(play)
