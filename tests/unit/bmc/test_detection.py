"""What kind of iLO it is, and what is spoken to it."""

import dataclasses
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_ilo.bmc import Access, PowerState, connect
from ironic_ilo.bmc.detection import (
    Identity,
    Known,
    Protocol,
    identify,
    parse_service_root,
    parse_xmldata,
)
from ironic_ilo.bmc.https import Reply, make_endpoint
from ironic_ilo.exception import BmcLoginFailed, BmcUnreachable
from tests.unit.bmc.conftest import PASSWORD
from tests.unit.bmc.redfish_ilo import ROOT, SESSIONS, RedfishIlo, redfish, redirect, refuse
from tests.unit.bmc.scripted_ilo import (
    ScriptedIlo,
    answer,
    body,
    drop,
    not_found,
    raw,
    silence,
    xmldata,
)

ON = '<GET_HOST_POWER HOST_POWER="ON" />'
RIBCL_4 = Identity(Protocol.RIBCL, 4, "2.55")
GROWTH = "".join(
    f'<!ENTITY {after} "{f"&{name};" * 10}">' for name, after in itertools.pairwise("abcdefghij")
)
ENTITIES = (
    f'<?xml version="1.0"?><!DOCTYPE RIMP [<!ENTITY a "aaaaaaaaaa">{GROWTH}]>'
    "<RIMP><MP><PN>&j;</PN></MP></RIMP>"
)


def reply(text: str) -> Reply:
    return Reply(200, {}, text.encode())


@pytest.fixture
def mute_ilo(ilo: ScriptedIlo) -> ScriptedIlo:
    """An iLO that tells strangers nothing."""
    ilo.xmldata = not_found
    for path in (f"{ROOT}/", ROOT, "?"):
        ilo.on(f"GET {path}" if path != "?" else path, not_found)
    return ilo


def root(word: str, manager: object) -> str:
    text = f'{{"Oem": {{"{word}": {{"Manager": {manager}}}}}}}'
    return text.replace("'", '"')


@pytest.mark.parametrize(
    ("title", "firmware", "identity"),
    [
        ("Integrated Lights-Out 4 (iLO 4)", "2.55", RIBCL_4),
        ("Integrated Lights-Out 3 (iLO 3)", "1.82", Identity(Protocol.RIBCL, 3, "1.82")),
        ("Integrated Lights-Out 5 (iLO 5)", "1.15", Identity(Protocol.REDFISH, 5, "1.15")),
        ("Integrated Lights-Out 6 (iLO 6)", "1.10", Identity(Protocol.REDFISH, 6, "1.10")),
        ("Onboard Administrator", "4.85", None),
    ],
)
def test_what_xmldata_says(title, firmware, identity):
    parts = f"<MP><PN>{title}</PN><FWRI>{firmware}</FWRI></MP>"
    assert parse_xmldata(reply(f'<?xml version="1.0"?><RIMP>{parts}</RIMP>')) == identity


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html/>",
        "<RIMP>",
        "<RIMP/>",
        "hello",
        '<?xml version="1.0" encoding="no-such-one"?><RIMP/>',
        '<?xml version="1.0" encoding="utf-7"?><RIMP/>',
        '<?xml version="1.0" encoding="shift-jis"?><RIMP/>',
        pytest.param(f"<RIMP><MP><PN>iLO {'4' * 5000}</PN></MP></RIMP>", id="a long number"),
        pytest.param(ENTITIES, id="entities"),
    ],
)
def test_what_is_no_xmldata(text):
    started = time.monotonic()
    assert parse_xmldata(reply(text)) is None
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        (
            root("Hpe", [{"ManagerType": "iLO 5", "ManagerFirmwareVersion": "1.10"}]),
            Identity(Protocol.REDFISH, 5, "1.10"),
        ),
        (
            root("Hpe", [{"ManagerType": "iLO 7", "ManagerFirmwareVersion": "1.12.00"}]),
            Identity(Protocol.REDFISH, 7, "1.12.00"),
        ),
        (root("Hp", [{"ManagerType": "iLO 4", "ManagerFirmwareVersion": "2.55"}]), RIBCL_4),
        (root("Hpe", [{"ManagerType": "Chassis Manager", "ManagerFirmwareVersion": "1"}]), None),
        (root("Hpe", []), None),
        (root("Dell", [{"ManagerType": "iLO 5"}]), None),
        (root("Hpe", [{"ManagerType": 5, "ManagerFirmwareVersion": "1"}]), None),
        pytest.param("[" * 100_000, None, id="nested deeply"),
        ('{"Oem": []}', None),
        ("[]", None),
        ("<html/>", None),
        ("", None),
    ],
)
def test_what_the_service_root_says(text, identity):
    assert parse_service_root(reply(text)) == identity


@given(st.binary())
def test_nothing_that_answers_breaks_it(content):
    assert parse_xmldata(Reply(200, {}, content)) is None
    assert parse_service_root(Reply(200, {}, content)) is None


def test_an_ilo_4_is_spoken_to_over_ribcl(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", answer(ON))
    for _ in range(3):
        with connect(access) as bmc:
            assert bmc.get_power_state() is PowerState.ON
    assert (ilo.questions, set(ilo.commands)) == (1, {"GET_HOST_POWER_STATUS"})


def test_an_ilo_5_is_spoken_to_over_redfish(redfish_ilo: RedfishIlo, redfish_access: Access):
    for _ in range(3):
        with connect(redfish_access) as bmc:
            assert bmc.get_power_state() is PowerState.OFF
    assert redfish_ilo.questions == 1


@pytest.mark.parametrize("nothing", [not_found, drop, raw(""), body("<html/>")])
def test_an_ilo_7_has_no_xmldata(redfish_ilo: RedfishIlo, redfish_access: Access, nothing):
    redfish_ilo.xmldata = nothing
    manager = {"ManagerType": "iLO 7", "ManagerFirmwareVersion": "1.12.00"}
    redfish_ilo.documents[ROOT]["Oem"]["Hpe"]["Manager"] = [manager]
    identity = identify(make_endpoint(redfish_access))
    assert identity == Identity(Protocol.REDFISH, 7, "1.12.00")
    assert redfish_ilo.commands == [f"GET {ROOT}/"]
    with connect(redfish_access) as bmc:
        assert bmc.get_power_state() is PowerState.OFF


def test_early_firmware_redirects_its_root(redfish_ilo: RedfishIlo, redfish_access: Access):
    redfish_ilo.xmldata = not_found
    redfish_ilo.on(f"GET {ROOT}", redirect(ROOT), redfish_ilo.serve)
    assert identify(make_endpoint(redfish_access)).generation == 5


def test_an_ilo_4_whose_anonymous_data_is_switched_off(mute_ilo: ScriptedIlo, access: Access):
    manager = {"ManagerType": "iLO 4", "ManagerFirmwareVersion": "2.55"}
    mute_ilo.on(f"GET {ROOT}/", redfish({"Oem": {"Hp": {"Manager": [manager]}}}))
    assert identify(make_endpoint(access)) == RIBCL_4


def test_an_old_ilo_4_whose_anonymous_data_is_switched_off(mute_ilo: ScriptedIlo, access: Access):
    mute_ilo.on("?", answer())
    mute_ilo.on("GET_HOST_POWER_STATUS", answer(ON))
    with connect(access) as bmc:
        assert bmc.get_power_state() is PowerState.ON
    assert not any(PASSWORD in request for request in mute_ilo.requests[:-1])


def test_what_is_no_ilo_gets_no_password(mute_ilo: ScriptedIlo, access: Access):
    mute_ilo.on(f"GET {ROOT}/", redfish({"Vendor": "Another", "RedfishVersion": "1.6.0"}))
    for _ in range(2):
        with pytest.raises(BmcUnreachable, match=r"does not answer as an iLO.*`ilo_address`"):
            connect(access)
    assert not any(PASSWORD in request for request in mute_ilo.requests)
    mute_ilo.xmldata = xmldata()  # it is not remembered that it was none
    connect(access)


def test_a_silent_ilo_is_asked_but_once(ilo: ScriptedIlo, access: Access):
    ilo.xmldata = silence
    with pytest.raises(BmcUnreachable, match=r"could not read what kind .* within 0\.4 s"):
        connect(dataclasses.replace(access, timeout=0.4))
    assert (ilo.questions, ilo.commands) == (1, [])


def test_a_wrong_password_is_tried_with_one_protocol(ilo, access, redfish_ilo, redfish_access):
    ilo.on("GET_HOST_POWER_STATUS", answer(status=0x005F, message="Login failed."))
    redfish_ilo.on(f"POST {SESSIONS}", refuse("UnauthorizedLoginAttempt"))
    for server, way in ((ilo, access), (redfish_ilo, redfish_access)):
        with pytest.raises(BmcLoginFailed), connect(way) as bmc:
            bmc.power_off()
        assert sum(PASSWORD in request for request in server.requests) == 1


def test_another_ilo_at_the_same_address_is_found(redfish_ilo, redfish_access: Access):
    newer = redfish_ilo.xmldata
    redfish_ilo.xmldata = xmldata()
    bmc = connect(redfish_access)
    redfish_ilo.xmldata = newer  # someone has changed the server
    with pytest.raises(BmcUnreachable, match="HTTP status 404"):
        bmc.get_power_state()
    with connect(redfish_access) as bmc:
        assert bmc.get_power_state() is PowerState.OFF


def test_what_is_known_is_bounded_and_ages():
    known = Known(most=2, seconds=0.2)
    for name in ("a", "b", "c"):
        known.keep(name, RIBCL_4)
    assert [known.get(name) for name in ("a", "b", "c")] == [None, RIBCL_4, RIBCL_4]
    known.forget("b")
    known.forget("b")
    assert known.get("b") is None
    deadline = time.monotonic() + 20
    while known.get("c") is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_threads_may_share_it():
    known = Known(most=5, seconds=0.001)

    def use(number: int) -> None:
        for turn in range(300):
            name = str((number + turn) % 9)
            known.keep(name, RIBCL_4)
            assert known.get(name) in (None, RIBCL_4)
            known.forget(name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
