"""The control API."""

import asyncio

import pytest

from tests.unit.ilo_emulator.conftest import Lab

ISO = "http://h/x.iso"


def test_shows_a_server(in_lab):
    async def play(lab: Lab) -> None:
        _, server = await lab.ask("GET", "/servers/node-0")
        assert server["name"] == "node-0"
        assert (server["power"], server["starts"], server["booted_from"]) == ("off", 0, "none")
        assert set(server["media"]) == {"FLOPPY", "CDROM"}
        assert server["bytes_fetched"] == 0
        assert server["boot_mode"] == server["pending_boot_mode"] == "legacy"
        assert not server["secure_boot"]
        _, other = await lab.ask("GET", "/servers/gen9")
        assert await lab.ask("GET", "/servers") == (200, [server, other])

    in_lab(play)


def test_records_starts_and_media(in_lab):
    async def play(lab: Lab) -> None:
        once = (
            f'<INSERT_VIRTUAL_MEDIA DEVICE="CDROM" IMAGE_URL="{ISO}"/>'
            '<SET_VM_STATUS DEVICE="CDROM"><VM_BOOT_OPTION VALUE="BOOT_ONCE"/></SET_VM_STATUS>'
        )
        await lab.ribcl("RIB_INFO", once)
        await lab.ribcl("SERVER_INFO", "<PRESS_PWR_BTN/>")
        _, server = await lab.ask("POST", "/servers/node-0/reset")
        assert (server["power"], server["starts"]) == ("on", 2)
        boots = [(boot["device"], boot["cdrom_url"]) for boot in server["boots"]]
        assert boots == [("cdrom", ISO), ("hdd", None)]
        _, requests = await lab.ask("GET", "/servers/node-0/requests")
        commands = [request["command"] for request in requests]
        assert commands == ["INSERT_VIRTUAL_MEDIA", "SET_VM_STATUS", "PRESS_PWR_BTN"]
        assert ISO not in str(requests)

    in_lab(play)


def test_the_power_button(in_lab):
    async def play(lab: Lab) -> None:
        _, server = await lab.ask("POST", "/servers/node-0/press")
        assert server["power"] == "on"
        await lab.ask("POST", "/servers/node-0/press")
        while server["power"] == "on":  # the system obeys a moment later
            _, server = await lab.ask("GET", "/servers/node-0")
            await asyncio.sleep(0.01)

    in_lab(play)


def test_faults_are_replaced_and_cleared(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/node-0/faults", {"slow_s": 1})
        status, faults = await lab.ask("PUT", "/servers/node-0/faults", {"drop": True})
        assert status == 200
        assert (faults["slow_s"], faults["drop"]) == (0, True)
        await lab.ask("DELETE", "/servers/node-0/faults")
        _, server = await lab.ask("GET", "/servers/node-0")
        assert not any(server["faults"].values())

    in_lab(play)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/servers/other", None, 404),
        ("PUT", "/servers/node-0/faults", {"other": 1}, 400),
        ("PUT", "/servers/node-0/faults", [1], 400),
        ("POST", "/servers/node-0/reset", None, 409),
        ("POST", "/servers/node-0/screenshot", None, 409),
    ],
)
def test_what_cannot_be_done_is_explained(in_lab, method, path, body, status):
    async def play(lab: Lab) -> None:
        answer = await lab.ask(method, path, body)
        assert answer[0] == status
        assert answer[1]["error"]

    in_lab(play)
