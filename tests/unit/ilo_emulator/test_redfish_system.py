"""The system in Redfish: power, what it boots from, the firmware's settings."""

import asyncio
from typing import Any

import pytest

from tests.unit.ilo_emulator.conftest import Lab, message

SYSTEM = "/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
BUTTON = f"{SYSTEM}/Actions/Oem/Hpe/HpeComputerSystemExt.PowerButton"
SYSTEM_RESET = f"{SYSTEM}/Actions/Oem/Hpe/HpeComputerSystemExt.SystemReset"
SETTINGS = "/systems/1/bios/settings"
SECURE_BOOT = f"{SYSTEM}/SecureBoot"
RESET_KEYS = f"{SECURE_BOOT}/Actions/SecureBoot.ResetKeys"
WRONG_STATE = "iLO.2.8.InvalidOperationForSystemState"


async def wait_for_power(lab: Lab, power: str) -> None:
    while (await lab.ask("GET", "/servers/ilo5"))[1]["power"] != power:
        await asyncio.sleep(0.01)


def boot(target: str | None = None, enabled: str | None = None, **more: str) -> dict[str, Any]:
    named = {"BootSourceOverrideTarget": target, "BootSourceOverrideEnabled": enabled}
    return {"Boot": {name: value for name, value in named.items() if value is not None} | more}


@pytest.mark.parametrize(
    ("was_on", "path", "body", "then"),
    [
        (False, RESET, {"ResetType": "On"}, "on"),
        (False, RESET, {"ResetType": "PushPowerButton"}, "on"),
        (False, BUTTON, {"PushType": "Press"}, "on"),
        (False, SYSTEM_RESET, {"ResetType": "ColdBoot"}, "on"),
        (True, RESET, {"ResetType": "ForceOff"}, "off"),
        (True, RESET, {"ResetType": "GracefulShutdown"}, "off"),
        (True, RESET, {"ResetType": "PushPowerButton"}, "off"),
        (True, BUTTON, {"PushType": "PressAndHold"}, "off"),
        (True, RESET, {"ResetType": "Nmi"}, "on"),
    ],
)
def test_power(in_lab, was_on: bool, path: str, body: dict[str, str], then: str):
    async def play(lab: Lab) -> None:
        if was_on:
            await lab.ask("POST", "/servers/ilo5/press")
        status, document, _ = await lab.redfish("POST", path, body)
        assert (status, message(document)) == (200, "Base.1.4.Success")
        await wait_for_power(lab, then)
        _, system, _ = await lab.redfish("GET", SYSTEM)
        assert system["PowerState"].lower() == then
        post = {"on": "FinishedPost", "off": "PowerOff"}[then]
        assert system["Oem"]["Hpe"]["PostState"] == post

    in_lab(play, "ilo5")


def test_a_restart_is_a_start(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("POST", "/servers/ilo5/press")
        assert (await lab.redfish("POST", RESET, {"ResetType": "ForceRestart"}))[0] == 200
        _, server = await lab.ask("GET", "/servers/ilo5")
        assert (server["power"], server["starts"]) == ("on", 2)

    in_lab(play, "ilo5")


@pytest.mark.parametrize(
    ("is_on", "path", "body", "words"),
    [
        (True, RESET, {"ResetType": "On"}, WRONG_STATE),
        (False, RESET, {"ResetType": "ForceOff"}, WRONG_STATE),
        (False, RESET, {"ResetType": "ForceRestart"}, WRONG_STATE),
        (False, RESET, {"ResetType": "GracefulShutdown"}, WRONG_STATE),
        (False, RESET, {"ResetType": "Nmi"}, WRONG_STATE),
        (False, BUTTON, {"PushType": "PressAndHold"}, WRONG_STATE),
        (True, RESET, {}, "Base.1.4.ActionParameterMissing"),
        (True, RESET, {"ResetType": "Explode"}, "iLO.2.8.ActionParameterValueNotInList"),
        (True, RESET, {"ResetType": ["On"]}, "iLO.2.8.ActionParameterValueNotInList"),
        (True, RESET, {"ResetType": "On", "Now": True}, "Base.1.4.ActionParameterUnknown"),
    ],
)
def test_power_that_is_refused(in_lab, is_on: bool, path: str, body: object, words: str):
    async def play(lab: Lab) -> None:
        if is_on:
            await lab.ask("POST", "/servers/ilo5/press")
        status, document, _ = await lab.redfish("POST", path, body)
        assert (status, message(document)) == (400, words)
        _, server = await lab.ask("GET", "/servers/ilo5")
        assert (server["power"], server["starts"]) == (("on", 1) if is_on else ("off", 0))

    in_lab(play, "ilo5")


def test_early_firmware_does_not_shut_down(in_lab):
    async def play(lab: Lab) -> None:
        body = {"ResetType": "GracefulShutdown"}
        status, document, _ = await lab.redfish("POST", f"{RESET}/", body, "ilo5-early")
        assert (status, message(document)) == (400, "iLO.2.0.ActionParameterValueNotInList")

    in_lab(play, "ilo5-early")


@pytest.mark.parametrize(
    ("change", "enabled", "target", "starts"),
    [
        (boot("Pxe", "Once"), "Once", "Pxe", ["network", "hdd"]),
        (boot("Pxe", "Continuous"), "Continuous", "Pxe", ["network", "network"]),
        (boot("Pxe"), "Once", "Pxe", ["network", "hdd"]),
        (boot("None"), "Disabled", "None", ["hdd", "hdd"]),
        (boot(None, "Disabled"), "Disabled", "None", ["hdd", "hdd"]),
        # There is nothing in the drive.
        (boot("Cd", "Once"), "Once", "Cd", ["hdd", "hdd"]),
    ],
)
def test_what_it_boots_from(in_lab, change, enabled: str, target: str, starts: list[str]):
    async def play(lab: Lab) -> None:
        assert (await lab.redfish("PATCH", SYSTEM, change))[0] == 200
        _, system, _ = await lab.redfish("GET", SYSTEM)
        assert system["Boot"]["BootSourceOverrideEnabled"] == enabled
        assert system["Boot"]["BootSourceOverrideTarget"] == target
        for _ in starts:
            await lab.redfish("POST", SYSTEM_RESET, {"ResetType": "ColdBoot"})
        _, server = await lab.ask("GET", "/servers/ilo5")
        assert [each["device"] for each in server["boots"]] == starts
        _, system, _ = await lab.redfish("GET", SYSTEM)
        lasts = enabled == "Continuous"
        assert system["Boot"]["BootSourceOverrideEnabled"] == (enabled if lasts else "Disabled")

    in_lab(play, "ilo5")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (boot("Pxe", "Once", BootSourceOverrideMode="UEFI"), "PropertyNotWritableOrUnknown"),
        (boot("Pxe", "Once", HttpBootUri="http://h/x"), "PropertyNotWritableOrUnknown"),
        (boot(None, "Once"), "PropertyValueNotInList"),
        (boot("None", "Continuous"), "PropertyValueNotInList"),
        (boot("Pxe", "Twice"), "PropertyValueNotInList"),
        (boot("Tape", "Once"), "PropertyValueNotInList"),
        ({"Boot": {"BootSourceOverrideTarget": ["Pxe"]}}, "PropertyValueNotInList"),
        ({"Boot": "Pxe"}, "PropertyValueNotInList"),
    ],
)
def test_boot_settings_that_are_refused(in_lab, change: object, words: str):
    async def play(lab: Lab) -> None:
        status, document, _ = await lab.redfish("PATCH", SYSTEM, change)
        assert (status, message(document).rpartition(".")[2]) == (400, words)
        _, system, _ = await lab.redfish("GET", SYSTEM)
        assert system["Boot"]["BootSourceOverrideEnabled"] == "Disabled"

    in_lab(play, "ilo5")


def test_one_choice_replaces_the_other(in_lab):
    async def play(lab: Lab) -> None:
        await lab.redfish("PATCH", SYSTEM, boot("Pxe", "Continuous"))
        await lab.redfish("PATCH", SYSTEM, boot("Hdd"))
        _, system, _ = await lab.redfish("GET", SYSTEM)
        assert system["Boot"]["BootSourceOverrideEnabled"] == "Continuous"
        assert system["Boot"]["BootSourceOverrideTarget"] == "Hdd"
        await lab.redfish("PATCH", SYSTEM, boot(None, "Once"))
        await lab.redfish("POST", RESET, {"ResetType": "On"})
        _, system, _ = await lab.redfish("GET", SYSTEM)
        assert system["Boot"]["BootSourceOverrideEnabled"] == "Disabled"

    in_lab(play, "ilo5")


def test_the_boot_mode_is_pending_until_the_next_start(in_lab):
    async def play(lab: Lab) -> None:
        _, bios, _ = await lab.redfish("GET", "/systems/1/bios")
        assert bios["Attributes"]["BootMode"] == "Uefi"
        tag = {"If-Match": bios["@Redfish.Settings"]["ETag"]}
        change = {"Attributes": {"BootMode": "legacybios"}}
        status, document, _ = await lab.redfish("PATCH", SETTINGS, change, **tag)
        assert (status, message(document)) == (200, "iLO.2.8.SystemResetRequired")
        assert (await lab.redfish("PATCH", SETTINGS, change, **tag))[0] == 412
        for path, mode in (("/systems/1/bios", "Uefi"), (SETTINGS, "LegacyBios")):
            _, document, _ = await lab.redfish("GET", path)
            assert document["Attributes"]["BootMode"] == mode
        await lab.redfish("POST", RESET, {"ResetType": "On"})
        _, system, _ = await lab.redfish("GET", SYSTEM)
        assert system["Boot"]["BootSourceOverrideMode"] == "Legacy"

    in_lab(play, "ilo5")


def test_the_boot_order(in_lab):
    async def play(lab: Lab) -> None:
        place, settings = "/systems/1/bios/boot", "/systems/1/bios/boot/settings"
        _, boot, _ = await lab.redfish("GET", place)
        disk, network = boot["PersistentBootConfigOrder"]
        named = {each["StructuredBootString"]: each["BootString"] for each in boot["BootSources"]}
        assert "Logical Drive" in named[disk]
        change = {"PersistentBootConfigOrder": [network, disk]}
        status, document, _ = await lab.redfish("PATCH", settings, change)
        assert (status, message(document)) == (200, "iLO.2.8.SystemResetRequired")
        image = {"Image": "http://h/x.iso"}
        insert = "/Managers/1/VirtualMedia/2/Actions/VirtualMedia.InsertMedia"
        await lab.redfish("POST", insert, image)
        _, boot, _ = await lab.redfish("GET", place)
        assert boot["PersistentBootConfigOrder"] == [network, disk, "CD.Virtual.2.1"]
        await lab.redfish("POST", RESET, {"ResetType": "On"})
        assert (await lab.ask("GET", "/servers/ilo5"))[1]["booted_from"] == "network"
        for wrong in (["Tape"], "HD", [["HD"]], []):
            change = {"PersistentBootConfigOrder": wrong}
            assert (await lab.redfish("PATCH", settings, change))[0] == 400

    in_lab(play, "ilo5")


def test_what_ilo7_does_not_have_any_more(in_lab):
    async def play(lab: Lab) -> None:
        assert (await lab.redfish("GET", "/systems/1/bios/boot", server="ilo7"))[0] == 404
        _, system, _ = await lab.redfish("GET", SYSTEM, server="ilo7")
        assert not [name for name in system["Boot"] if name.endswith("AllowableValues")]
        change = boot("Pxe", "Once")
        assert (await lab.redfish("PATCH", SYSTEM, change, "ilo7"))[0] == 200

    in_lab(play, "ilo7")


def test_ilo6_knows_uefi_alone(in_lab):
    async def play(lab: Lab) -> None:
        change = {"Attributes": {"BootMode": "LegacyBios"}}
        status, document, _ = await lab.redfish("PATCH", SETTINGS, change, "ilo6")
        assert (status, message(document)) == (400, "Base.1.12.PropertyValueNotInList")
        _, system, _ = await lab.redfish("GET", SYSTEM, server="ilo6")
        assert system["Oem"]["Hpe"]["Bios"]["UefiClass"] == 3

    in_lab(play, "ilo6")


def test_secure_boot(in_lab):
    async def play(lab: Lab) -> None:
        async def shown(start: str) -> tuple[bool, str, str]:
            await lab.redfish("POST", SYSTEM_RESET, {"ResetType": start})
            _, now, _ = await lab.redfish("GET", SECURE_BOOT)
            return (
                now["SecureBootEnable"],
                now["SecureBootCurrentBoot"],
                now["SecureBootMode"],
            )

        status, document, _ = await lab.redfish("PATCH", SECURE_BOOT, {"SecureBootEnable": True})
        assert (status, message(document)) == (200, "iLO.2.8.SystemResetRequired")
        _, now, _ = await lab.redfish("GET", SECURE_BOOT)
        assert now["SecureBootCurrentBoot"] == "Disabled"
        assert await shown("ColdBoot") == (True, "Enabled", "UserMode")
        await lab.redfish("POST", RESET_KEYS, {"ResetKeysType": "DeletePK"})
        assert await shown("ColdBoot") == (True, "Disabled", "SetupMode")
        await lab.redfish("POST", RESET_KEYS, {"ResetKeysType": "ResetAllKeysToDefault"})
        assert await shown("ColdBoot") == (True, "Enabled", "UserMode")

    in_lab(play, "ilo5")


def test_secure_boot_needs_uefi(in_lab):
    async def play(lab: Lab) -> None:
        await lab.redfish("PATCH", SETTINGS, {"Attributes": {"BootMode": "LegacyBios"}})
        await lab.redfish("POST", RESET, {"ResetType": "On"})
        status, document, _ = await lab.redfish("PATCH", SECURE_BOOT, {"SecureBootEnable": True})
        assert status == 400
        assert message(document) == "iLO.2.8.UnsupportedOperationInLegacyBootMode"

    in_lab(play, "ilo5")


def test_ilo4_has_settings_of_its_own(in_lab):
    async def play(lab: Lab) -> None:
        _, system, _ = await lab.redfish("GET", "/Systems/1/", server="gen9")
        place = system["Oem"]["Hp"]["Links"]["BIOS"]["@odata.id"].removeprefix("/redfish/v1")
        _, bios, _ = await lab.redfish("GET", place, server="gen9")
        assert (bios["BootMode"], "Attributes" in bios, "Bios" in system) == (
            "LegacyBios",
            False,
            False,
        )
        settings = bios["Links"]["Settings"]["@odata.id"].removeprefix("/redfish/v1")
        assert (await lab.redfish("PATCH", settings, {"BootMode": "uefi"}, "gen9"))[0] == 200
        await lab.redfish("POST", RESET, {"ResetType": "On"}, "gen9")
        _, server = await lab.ask("GET", "/servers/gen9")
        assert server["boot_mode"] == "uefi"
        change = {"SecureBootEnable": True}
        assert (await lab.redfish("PATCH", SECURE_BOOT, change, "gen9"))[0] == 200

    in_lab(play)
