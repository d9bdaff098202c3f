"""RIBCL scripts and their replies: what no third-party client shows by itself."""

import re
import xml.etree.ElementTree as ET

import pytest

from tests.unit.ilo_emulator.conftest import Lab

INSERT = '<INSERT_VIRTUAL_MEDIA DEVICE="CDROM" IMAGE_URL="http://h/x.iso"/>'
ONE_TIME_CDROM = '<SET_ONE_TIME_BOOT value="CDROM"/>'


def documents(reply: str) -> list[ET.Element]:
    """Split a reply as both clients do: each document begins with its own prologue."""
    return [ET.fromstring(part) for part in re.split(r"(?=<\?xml)", reply) if part.strip()]


def statuses(reply: str) -> list[int]:
    return [int(root[0].attrib["STATUS"], 16) for root in documents(reply)]


def test_one_document_for_each_tag(in_lab):
    async def play(lab: Lab) -> None:
        reply = documents(await lab.ribcl("SERVER_INFO", "<GET_HOST_POWER_STATUS/>"))
        assert len(reply) == 7
        payloads = [root[1].tag for root in reply if len(root) > 1]
        assert payloads == ["GET_HOST_POWER"]
        assert {root[0].attrib["MESSAGE"] for root in reply} == {"No error"}

    in_lab(play)


def test_several_commands_give_several_payloads_in_order(in_lab):
    async def play(lab: Lab) -> None:
        reply = await lab.ribcl("SERVER_INFO", "<GET_PRODUCT_NAME/><GET_ONE_TIME_BOOT/>")
        payloads = [root[1].tag for root in documents(reply) if len(root) > 1]
        assert payloads == ["GET_PRODUCT_NAME", "ONE_TIME_BOOT"]

    in_lab(play)


@pytest.mark.parametrize(
    ("block", "command"),
    [
        ("SERVER_INFO", "<MAKE_COFFEE/>"),
        ("RIB_INFO", "<GET_HOST_POWER_STATUS/>"),
        ("USER_INFO", "<GET_ALL_USERS/>"),
    ],
)
def test_an_unknown_command_ends_the_reply(in_lab, block: str, command: str):
    async def play(lab: Lab) -> None:
        reply = await lab.ribcl(block, command + "<GET_PRODUCT_NAME/>")
        assert statuses(reply)[-1] == 1
        assert "syntax error near" in documents(reply)[-1][0].attrib["MESSAGE"]
        assert "PRODUCT_NAME VALUE" not in reply

    in_lab(play)


def test_malformed_scripts_are_answered_without_their_content(in_lab):
    async def play(lab: Lab) -> None:
        reply = await lab.ribcl("SERVER_INFO", "<GET_PRODUCT_NAME></OTHER>")
        assert statuses(reply) == [0, 1]
        assert "s3cret" not in reply

    in_lab(play)


@pytest.mark.parametrize("password", ["", "s3cre", "s3crett", "S3CRET"])
def test_wrong_passwords(in_lab, password: str):
    async def play(lab: Lab) -> None:
        reply = await lab.ribcl("SERVER_INFO", "<GET_PRODUCT_NAME/>", password)
        assert statuses(reply) == [0, 0x5F]

    in_lab(play)


def test_writing_needs_write_mode(in_lab):
    async def play(lab: Lab) -> None:
        refused = await lab.ribcl("SERVER_INFO", "<PRESS_PWR_BTN/>", mode="read")
        assert "Write access is required" in refused
        _, server = await lab.ask("GET", "/servers/node-0")
        assert server["power"] == "off"

    in_lab(play)


def test_a_reset_of_the_ilo_is_announced(in_lab):
    async def play(lab: Lab) -> None:
        reply = documents(await lab.ribcl("RIB_INFO", "<RESET_RIB/>"))
        [inform] = [root[1] for root in reply if len(root) > 1]
        assert inform.tag == "INFORM"
        assert "will reset" in (inform.text or "")

    in_lab(play)


def test_no_licence(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/node-0/faults", {"no_license": True})
        refused = await lab.ribcl("RIB_INFO", INSERT)
        assert "license" in refused
        assert 0x2E in statuses(refused)
        assert 'LICENSE_TYPE="iLO 4 Standard"' in await lab.ribcl("RIB_INFO", "<GET_FW_VERSION/>")

    in_lab(play)


def test_a_second_insert_is_refused(in_lab):
    async def play(lab: Lab) -> None:
        assert set(statuses(await lab.ribcl("RIB_INFO", INSERT))) == {0}
        assert set(statuses(await lab.ribcl("RIB_INFO", INSERT))) != {0}

    in_lab(play)


def test_post_refuses_as_often_as_asked(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/node-0/faults", {"post_refusals": 2})
        replies = [await lab.ribcl("SERVER_INFO", ONE_TIME_CDROM) for _ in range(3)]
        assert ["in POST" in reply for reply in replies] == [True, True, False]

    in_lab(play)


def test_post_refuses_for_a_time_after_each_start(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/node-0/faults", {"post_s": 60})
        assert set(statuses(await lab.ribcl("SERVER_INFO", ONE_TIME_CDROM))) == {0}
        await lab.ribcl("SERVER_INFO", '<SET_HOST_POWER HOST_POWER="Yes"/>')
        assert "in POST" in await lab.ribcl("SERVER_INFO", ONE_TIME_CDROM)
        await lab.ask("PUT", "/servers/node-0/faults", {"post_s": 0})
        assert set(statuses(await lab.ribcl("SERVER_INFO", ONE_TIME_CDROM))) == {0}

    in_lab(play)


def test_hold_with_toggle_powers_on(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ribcl("SERVER_INFO", '<HOLD_PWR_BTN TOGGLE="Yes"/>')
        _, server = await lab.ask("GET", "/servers/node-0")
        assert server["power"] == "on"
        await lab.ribcl("SERVER_INFO", '<HOLD_PWR_BTN TOGGLE="Yes"/>')
        again = await lab.ribcl("SERVER_INFO", '<HOLD_PWR_BTN TOGGLE="NO"/>')
        assert "Host power is already OFF." in again

    in_lab(play)
