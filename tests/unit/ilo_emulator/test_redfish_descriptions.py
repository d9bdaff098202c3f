"""What a Redfish service tells of itself: schemas, registries, and where its links lead."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import ilo_emulator
from ilo_emulator.rest.message_texts import TEXTS
from tests.unit.ilo_emulator.conftest import Lab, login, message

DESCRIBED = ("ilo5-early", "ilo5", "ilo6", "ilo7")
SYSTEM, SETTINGS = "/Systems/1/", "/systems/1/bios/settings/"
SESSIONS = "/redfish/v1/SessionService/Sessions/"


async def expanded(lab: Lab, path: str, server: str) -> list[Any]:
    _, listed, _ = await lab.redfish("GET", f"{path}/?$expand=.", server=server)
    members: list[Any] = listed["Members"]
    return members


async def file(lab: Lab, path: str, name: str, server: str) -> Any:
    """Read what a member of a collection of files leads to."""
    members = {member["Id"]: member for member in await expanded(lab, path, server)}
    [location] = members[name]["Location"]
    assert location["Language"] == "en"
    status, document, _ = await lab.rest("GET", location["Uri"], b"", server, **login())
    assert status == 200
    return document


@pytest.mark.parametrize("server", DESCRIBED)
def test_each_resource_is_as_its_schema_says(in_lab, server: str):
    async def play(lab: Lab) -> None:
        image = {"Image": "http://h/x.iso"}
        await lab.redfish("PATCH", "/Managers/1/VirtualMedia/2/", image, server)
        for path in (SYSTEM, SETTINGS, "/Managers/1/VirtualMedia/2/", "/Chassis/1/Thermal/", "/"):
            _, document, _ = await lab.redfish("GET", path, server=server)
            kind = document["@odata.type"].removeprefix("#")
            schema = await file(lab, "/JsonSchemas", kind.partition(".")[0], server)
            assert schema["title"] == kind.rpartition(".")[0]
            jsonschema.Draft4Validator(schema).validate(document)
            known = set(schema["properties"])
            assert {name for name in document if "@" not in name} <= known

    in_lab(play, server)


def test_a_schema_refuses_another_type(in_lab):
    async def play(lab: Lab) -> None:
        schema = await file(lab, "/JsonSchemas", "ComputerSystem", "ilo5")
        for wrong in ({"Boot": {"BootSourceOverrideTarget": "Tape"}}, {"Model": 5}, {"Boot": 1}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.Draft4Validator(schema).validate(wrong)

    in_lab(play, "ilo5")


def test_what_can_be_written(in_lab):
    async def play(lab: Lab) -> None:
        schema = await file(lab, "/JsonSchemas", "ComputerSystem", "ilo5")
        boot = schema["properties"]["Boot"]["properties"]
        writable = {name for name, described in boot.items() if not described["readonly"]}
        assert writable == {
            "BootSourceOverrideTarget",
            "BootSourceOverrideEnabled",
            "UefiTargetBootSourceOverride",
        }
        for name in boot:
            change = {"Boot": {name: "None"}}
            status, document, _ = await lab.redfish("PATCH", SYSTEM, change)
            refused = status == 400 and "PropertyNotWritable" in message(document)
            assert refused is (name not in writable)
        drive = await file(lab, "/JsonSchemas", "VirtualMedia", "ilo5")
        extension = drive["properties"]["Oem"]["properties"]["Hpe"]["properties"]
        assert not extension["BootOnNextServerReset"]["readonly"]
        assert not drive["properties"]["Image"]["readonly"]
        assert drive["properties"]["Inserted"]["readonly"]

    in_lab(play, "ilo5")


@pytest.mark.parametrize("server", DESCRIBED)
def test_a_message_is_found_in_its_registry(in_lab, server: str):
    async def play(lab: Lab) -> None:
        _, document, _ = await lab.redfish("PATCH", SYSTEM, {"Model": "x"}, server)
        name, _, key = message(document).rpartition(".")
        registry = await file(lab, "/Registries", name.partition(".")[0], server)
        assert registry["Id"] == f"{name}.0"
        text = registry["Messages"][key]
        assert text["Message"] == "The property %1 cannot be written, or is none."
        assert (text["NumberOfArgs"], text["ParamTypes"]) == (1, ["string"])

    in_lab(play, server)


def test_every_message_has_a_text():
    sources = Path(ilo_emulator.__file__).parent.rglob("*.py")
    code = "\n".join(path.read_text() for path in sources)
    found = re.findall(r'(?:Problem\(|(?:BASE|ILO), )\s*"(\w+)"', code)
    assert {"Success", "InternalError", "PreconditionFailed"} <= set(found)
    assert set(found) == {name for texts in TEXTS.values() for name in texts}


@pytest.mark.parametrize(
    ("server", "modes"), [("ilo5", {"Uefi", "LegacyBios"}), ("ilo7", {"Uefi"})]
)
def test_the_settings_of_the_bios_are_in_their_registry(in_lab, server: str, modes: set[str]):
    async def play(lab: Lab) -> None:
        _, settings, _ = await lab.redfish("GET", SETTINGS, server=server)
        registry = await file(lab, "/Registries", settings["AttributeRegistry"], server)
        attributes = {
            each["AttributeName"]: each for each in registry["RegistryEntries"]["Attributes"]
        }
        assert set(attributes) == set(settings["Attributes"])
        assert {each["ValueName"] for each in attributes["BootMode"]["Value"]} == modes
        assert attributes["CustomPostMessage"]["Type"] == "String"

    in_lab(play, server)


def test_ilo4_describes_nothing(in_lab):
    async def play(lab: Lab) -> None:
        for path in ("/JsonSchemas", "/Registries"):
            assert await expanded(lab, path, "gen9") == []

    in_lab(play)
