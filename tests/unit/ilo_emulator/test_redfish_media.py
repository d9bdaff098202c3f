"""Virtual media in Redfish."""

from typing import Any

import pytest

from tests.unit.ilo_emulator.conftest import Lab, message

FLOPPY, CDROM = "/Managers/1/VirtualMedia/1", "/Managers/1/VirtualMedia/2"
INSERT, EJECT = "Actions/VirtualMedia.InsertMedia", "Actions/VirtualMedia.EjectMedia"
OEM = "Actions/Oem/Hpe/HpeiLOVirtualMedia"
RESET = "/Systems/1/Actions/ComputerSystem.Reset"
ISO = "http://h/boot.iso"
ONCE = {"Oem": {"Hpe": {"BootOnNextServerReset": True}}}


async def shown(lab: Lab, path: str = CDROM, server: str = "ilo5") -> dict[str, Any]:
    _, document, _ = await lab.redfish("GET", path, server=server)
    return document


def test_empty_drives(in_lab):
    async def play(lab: Lab) -> None:
        for path, kinds in ((FLOPPY, ["Floppy", "USBStick"]), (CDROM, ["CD", "DVD"])):
            drive = await shown(lab, path)
            assert (drive["MediaTypes"], drive["Image"]) == (kinds, "")
            assert (drive["Inserted"], drive["ConnectedVia"]) == (False, "NotConnected")
            extension = drive["Oem"]["Hpe"]
            assert extension.get("BootOnNextServerReset") is (None if path == FLOPPY else False)

    in_lab(play, "ilo5")


@pytest.mark.parametrize("action", [INSERT, f"{OEM}.InsertVirtualMedia"])
def test_what_is_inserted_is_seen_until_it_is_ejected(in_lab, action: str):
    async def play(lab: Lab) -> None:
        assert (await lab.redfish("POST", f"{CDROM}/{action}", {"Image": ISO}))[0] == 200
        drive = await shown(lab)
        assert (drive["Image"], drive["ImageName"]) == (ISO, "boot.iso")
        assert (drive["Inserted"], drive["ConnectedVia"]) == (True, "URI")
        for kind in ("On", "ForceRestart"):
            await lab.redfish("POST", RESET, {"ResetType": kind})
        _, server = await lab.ask("GET", "/servers/ilo5")
        boots = [(each["device"], each["cdrom_url"]) for each in server["boots"]]
        assert boots == [("hdd", ISO), ("hdd", ISO)]
        eject = action.replace("Insert", "Eject")
        assert (await lab.redfish("POST", f"{CDROM}/{eject}", {}))[0] == 200
        assert not (await shown(lab))["Inserted"]

    in_lab(play, "ilo5")


def test_boots_once_at_the_next_reset_and_ejects_at_the_one_after(in_lab):
    async def play(lab: Lab) -> None:
        await lab.redfish("POST", f"{CDROM}/{INSERT}", {"Image": ISO})
        assert (await lab.redfish("PATCH", CDROM, ONCE))[0] == 200
        assert (await shown(lab))["Oem"]["Hpe"]["BootOnNextServerReset"]
        await lab.redfish("POST", RESET, {"ResetType": "On"})
        drive = await shown(lab)
        assert (drive["Inserted"], drive["Oem"]["Hpe"]["BootOnNextServerReset"]) == (True, False)
        await lab.redfish("POST", RESET, {"ResetType": "ForceRestart"})
        assert not (await shown(lab))["Inserted"]
        _, server = await lab.ask("GET", "/servers/ilo5")
        assert [each["device"] for each in server["boots"]] == ["cdrom", "hdd"]

    in_lab(play, "ilo5")


def test_a_boot_that_is_called_off(in_lab):
    async def play(lab: Lab) -> None:
        await lab.redfish("POST", f"{CDROM}/{INSERT}", {"Image": ISO})
        for value in (True, False):
            change = {"Oem": {"Hpe": {"BootOnNextServerReset": value}}}
            assert (await lab.redfish("PATCH", CDROM, change))[0] == 200
        await lab.redfish("POST", RESET, {"ResetType": "On"})
        assert (await shown(lab))["Inserted"]
        assert (await lab.ask("GET", "/servers/ilo5"))[1]["booted_from"] == "hdd"

    in_lab(play, "ilo5")


def test_a_property_inserts_and_ejects_too(in_lab):
    async def play(lab: Lab) -> None:
        both = {**ONCE, "Image": ISO}
        path = f"{CDROM}/"
        assert (await lab.redfish("PATCH", path, both, "ilo5-early"))[0] == 200
        assert (await shown(lab, path, "ilo5-early"))["Oem"]["Hpe"]["BootOnNextServerReset"]
        assert (await lab.redfish("PATCH", path, {"Image": None}, "ilo5-early"))[0] == 200
        assert not (await shown(lab, path, "ilo5-early"))["Inserted"]

    in_lab(play, "ilo5-early")


def test_early_firmware_has_only_actions_of_its_own(in_lab):
    async def play(lab: Lab) -> None:
        early, late = await shown(lab, f"{CDROM}/", "ilo5-early"), await shown(lab)
        assert "Actions" not in early
        assert set(late["Actions"]) == {"#VirtualMedia.InsertMedia", "#VirtualMedia.EjectMedia"}
        for drive in (early, late):
            assert set(drive["Oem"]["Hpe"]["Actions"]) == {
                "#HpeiLOVirtualMedia.InsertVirtualMedia",
                "#HpeiLOVirtualMedia.EjectVirtualMedia",
            }
        insert = f"{CDROM}/{INSERT}/"
        assert (await lab.redfish("POST", insert, {"Image": ISO}, "ilo5-early"))[0] == 404
        image = {"Image": ISO, "WriteProtected": True}
        insert = f"{CDROM}/{OEM}.InsertVirtualMedia/"
        status, document, _ = await lab.redfish("POST", insert, image, "ilo5-early")
        assert (status, message(document)) == (400, "Base.1.0.ActionParameterUnknown")

    in_lab(play, "ilo5-early", "ilo5")


def test_ilo6_tells_the_protocol(in_lab):
    async def play(lab: Lab) -> None:
        assert "TransferProtocolType" not in await shown(lab)
        assert (await shown(lab, server="ilo6"))["TransferProtocolType"] is None
        image = {"Image": "https://h/x.iso", "TransferProtocolType": "HTTPS"}
        assert (await lab.redfish("POST", f"{CDROM}/{INSERT}", image))[0] == 400
        assert (await lab.redfish("POST", f"{CDROM}/{INSERT}", image, "ilo6"))[0] == 200
        assert (await shown(lab, server="ilo6"))["TransferProtocolType"] == "HTTPS"

    in_lab(play, "ilo5", "ilo6")


def test_an_address_that_is_none(in_lab):
    async def play(lab: Lab) -> None:
        image = {"Image": "http://[h/x.iso?a=/b"}
        assert (await lab.redfish("POST", f"{CDROM}/{INSERT}", image))[0] == 200
        assert (await shown(lab))["ImageName"] == "x.iso"

    in_lab(play, "ilo5")


def test_not_to_be_inserted_yet(in_lab):
    async def play(lab: Lab) -> None:
        image = {"Image": ISO, "Inserted": False}
        assert (await lab.redfish("POST", f"{CDROM}/{INSERT}", image))[0] == 200
        assert (await shown(lab))["ConnectedVia"] == "NotConnected"

    in_lab(play, "ilo5")


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", f"{CDROM}/{INSERT}", {"Image": ISO}, "iLO.2.8.MaxVirtualMediaConnection"),
        ("PATCH", CDROM, {"Image": ISO}, "iLO.2.8.MaxVirtualMediaConnectionEstablished"),
        ("POST", f"{FLOPPY}/{EJECT}", {}, "iLO.2.8.NoVirtualMediaConnectionAvailable"),
        ("PATCH", FLOPPY, {"Image": None}, "iLO.2.8.NoVirtualMediaConnectionAvailable"),
        ("POST", f"{CDROM}/{EJECT}", None, "Base.1.4.MalformedJSON"),
        ("POST", f"{CDROM}/{EJECT}", {"Image": ""}, "Base.1.4.ActionParameterUnknown"),
        ("POST", f"{FLOPPY}/{INSERT}", {}, "Base.1.4.ActionParameterMissing"),
        ("POST", f"{FLOPPY}/{INSERT}", {"Image": "x"}, "Base.1.4.PropertyValueNotInList"),
        (
            "POST",
            f"{FLOPPY}/{INSERT}",
            {"Image": ISO, "Inserted": 1},
            "Base.1.4.ActionParameterValueTypeError",
        ),
        # What sushy writes where it finds no action.
        ("PATCH", FLOPPY, {"Image": ISO, "Inserted": True}, "iLO.2.8.PropertyNotWritableOrUn"),
        ("PATCH", CDROM, {"Oem": {"Hpe": {"BootOnNextServerReset": 1}}}, "Base.1.4.PropertyVal"),
        ("PATCH", FLOPPY, ONCE, "iLO.2.8.PropertyNotWritableOrUnknown"),
        ("PATCH", FLOPPY, {"Image": 1}, "Base.1.4.PropertyValueNotInList"),
    ],
)
def test_what_is_refused(in_lab, method: str, path: str, body: object, words: str):
    async def play(lab: Lab) -> None:
        await lab.redfish("POST", f"{CDROM}/{INSERT}", {"Image": ISO})
        status, document, _ = await lab.redfish(method, path, body)
        assert status == 400
        assert message(document).startswith(words)
        assert (await shown(lab))["Inserted"]
        assert not (await shown(lab, FLOPPY))["Inserted"]

    in_lab(play, "ilo5")


def test_booting_once_needs_a_medium(in_lab):
    async def play(lab: Lab) -> None:
        _, document, _ = await lab.redfish("PATCH", CDROM, ONCE)
        assert message(document) == "iLO.2.8.NoVirtualMediaConnectionAvailable"

    in_lab(play, "ilo5")


def test_no_licence(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/ilo5/faults", {"no_license": True})
        for action in (INSERT, f"{OEM}.InsertVirtualMedia"):
            status, document, _ = await lab.redfish("POST", f"{CDROM}/{action}", {"Image": ISO})
            assert (status, message(document)) == (400, "iLO.2.8.LicenseKeyRequired")
        _, license_, _ = await lab.redfish("GET", "/Managers/1/LicenseService/1")
        assert license_["License"] == "iLO Standard"

    in_lab(play, "ilo5")


def test_an_eject_that_fails_and_one_that_shows_late(in_lab):
    async def play(lab: Lab) -> None:
        await lab.redfish("POST", f"{CDROM}/{INSERT}", {"Image": ISO})
        await lab.ask("PUT", "/servers/ilo5/faults", {"eject_fails": True})
        status, document, _ = await lab.redfish("POST", f"{CDROM}/{EJECT}", {})
        assert (status, message(document)) == (500, "Base.1.4.InternalError")
        await lab.ask("PUT", "/servers/ilo5/faults", {"stale_inserted": 600})
        assert (await lab.redfish("POST", f"{CDROM}/{EJECT}", {}))[0] == 200
        assert (await shown(lab))["Image"] == ISO
        assert (await lab.ask("GET", "/servers/ilo5"))[1]["media"]["CDROM"]["url"] is None
        await lab.ask("DELETE", "/servers/ilo5/faults")
        assert not (await shown(lab))["Inserted"]

    in_lab(play, "ilo5")


def test_ribcl_and_redfish_see_the_same_drive(in_lab):
    async def play(lab: Lab) -> None:
        await lab.redfish("POST", f"{CDROM}/{INSERT}", {"Image": ISO})
        await lab.redfish("PATCH", CDROM, ONCE)
        ask = '<GET_VM_STATUS DEVICE="CDROM"/>'
        status = await lab.ribcl("RIB_INFO", ask, server="ilo5")
        assert 'BOOT_OPTION="BOOT_ONCE"' in status
        assert f'IMAGE_URL="{ISO}"' in status
        await lab.ribcl("RIB_INFO", '<EJECT_VIRTUAL_MEDIA DEVICE="CDROM"/>', server="ilo5")
        assert not (await shown(lab))["Inserted"]

    in_lab(play, "ilo5")


def test_ilo4_names_its_actions_otherwise(in_lab):
    async def play(lab: Lab) -> None:
        drive = await shown(lab, f"{CDROM}/", "gen9")
        [insert, eject] = sorted(drive["Oem"]["Hp"]["Actions"], reverse=True)
        assert (insert, eject) == (
            "#HpiLOVirtualMedia.InsertVirtualMedia",
            "#HpiLOVirtualMedia.EjectVirtualMedia",
        )
        target = drive["Oem"]["Hp"]["Actions"][insert]["target"].removeprefix("/redfish/v1")
        assert (await lab.redfish("POST", target, {"Image": ISO}, "gen9"))[0] == 200
        _, document, _ = await lab.redfish("POST", target, {"Image": ISO}, "gen9")
        assert message(document) == "iLO.0.10.MaxVirtualMediaConnectionEstablished"

    in_lab(play)
