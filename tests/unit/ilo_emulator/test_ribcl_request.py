"""Reading RIBCL as the two clients write it: one escapes the password, the other does not."""

import xml.etree.ElementTree as ET
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilo_emulator.ribcl.request import Command, MalformedRequest, parse

BLOCK = '<RIB_INFO MODE="write"><EJECT_VIRTUAL_MEDIA DEVICE="CDROM"/></RIB_INFO>'
PASSWORDS = [
    "plain",
    'quo"te',
    '"starts and ends"',
    "amper&sand",
    "looks&amp;escaped",
    "less<than>greater",
    'ends a tag"><b c="',
    'ends LOGIN"/>',
    "two words ",
    "apo'strophe",
    "sn\u00f8fnug \u96ea \N{SNOWFLAKE}",
    "everything: \"&<>' \u00e9&quot;",
    "",
]


def script(login: str, block: str = BLOCK) -> bytes:
    """Write a script as python-hpilo encodes it: ASCII with character references."""
    text = f'<?xml version="1.0"?>\r\n<RIBCL VERSION="2.0"><LOGIN {login}>{block}</LOGIN></RIBCL>'
    return text.encode("ascii", "xmlcharrefreplace")


def readings(body: bytes) -> frozenset[str]:
    login = parse(body).login
    assert login is not None
    assert login.username == "Admin & Co"
    return login.passwords


USER = 'USER_LOGIN="Admin &amp; Co"'


@pytest.mark.parametrize("password", PASSWORDS)
def test_raw_password(password: str):
    assert password in readings(script(f'{USER} PASSWORD="{password}"'))


@pytest.mark.parametrize("password", PASSWORDS)
def test_raw_password_first(password: str):
    assert password in readings(script(f'PASSWORD="{password}" {USER}'))


@pytest.mark.parametrize("password", [each for each in PASSWORDS if "'" not in each])
def test_raw_password_in_the_other_quotes(password: str):
    user = "USER_LOGIN='Admin &amp; Co'"
    assert password in readings(script(f"{user} PASSWORD='{password}'"))
    assert password in readings(script(f"PASSWORD='{password}' {user}"))


@pytest.mark.parametrize("password", PASSWORDS)
def test_escaped_password(password: str):
    login = ET.Element("LOGIN", {"USER_LOGIN": "Admin & Co", "PASSWORD": password})
    login.append(ET.fromstring(BLOCK))
    body = b'<RIBCL VERSION="2.0">' + ET.tostring(login) + b"</RIBCL>\r\n"
    assert password in readings(body)


@given(st.text(st.characters(exclude_categories=["C"]), max_size=40))
def test_any_password_survives_both_ways(password: str):
    escaped = quoteattr(password, {'"': "&quot;"})
    assert password in readings(script(f"{USER} PASSWORD={escaped}"))
    assert password in readings(script(f'{USER} PASSWORD="{password}"'))


def test_the_raw_password_does_not_disturb_the_commands():
    request = parse(script(f'{USER} PASSWORD="a"><x y="&""'))
    [[command]] = request.blocks
    assert (command.block, command.write, command.name) == (
        "RIB_INFO",
        True,
        "EJECT_VIRTUAL_MEDIA",
    )
    assert command.attribute("DEVICE") == "CDROM"


def test_the_password_is_in_no_representation():
    request = parse(script(f'{USER} PASSWORD="hunter2"'))
    assert "hunter2" not in repr(request)


def test_several_commands_and_blocks_in_order():
    block = '<SERVER_INFO MODE="read"><GET_A/><GET_B/></SERVER_INFO><RIB_INFO><GET_C/></RIB_INFO>'
    blocks = parse(script(f'{USER} PASSWORD="x"', block)).blocks
    assert [[command.name for command in each] for each in blocks] == [
        ["GET_A", "GET_B"],
        ["GET_C"],
    ]
    assert not blocks[1][0].write


@pytest.mark.parametrize("name", ["VALUE", "value", "Value"])
def test_names_of_attributes_in_any_case(name: str):
    block = (
        '<RIB_INFO MODE="write"><SET_VM_STATUS DEVICE="CDROM">'
        f'<VM_BOOT_OPTION {name}="BOOT_ONCE"/></SET_VM_STATUS></RIB_INFO>'
    )
    [[command]] = parse(script(f'{USER} PASSWORD="x"', block)).blocks
    assert isinstance(command, Command)
    assert command.child_values("VM_BOOT_OPTION") == ["BOOT_ONCE"]


def test_the_probe_has_no_login():
    request = parse(b'<?xml version="1.0"?>\r\n<RIBCL VERSION="2.0"></RIBCL>')
    assert request.login is None
    assert request.blocks == ()


def test_processing_instructions_are_skipped():
    body = b'<?ilo entity-processing="standard"?>' + script(f'{USER} PASSWORD="x"')
    assert "x" in readings(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"<RIBCL><LOGIN",
        b"<OTHER/>",
        b"<RIBCL><RIB_INFO/></RIBCL>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><RIBCL/>',
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_ribcl(body: bytes):
    with pytest.raises(MalformedRequest):
        parse(body)


def test_reading_is_linear_in_the_size_of_the_script():
    # A pattern that backtracks would take minutes here.
    with pytest.raises(MalformedRequest):
        parse(b'<RIBCL><LOGIN PASSWORD="' + b'" ' * 50_000)
