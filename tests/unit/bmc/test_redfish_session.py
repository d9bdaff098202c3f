"""Logging in and out, deadlines, redirects, and what must not be told."""

import dataclasses
import gc
import logging
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest

from ironic_ilo.bmc import Access, BootDevice, Device, PowerState, connect
from ironic_ilo.exception import BmcBusy, BmcError, BmcLoginFailed, BmcUnreachable
from tests.unit.bmc.conftest import PASSWORD
from tests.unit.bmc.redfish_ilo import (
    CD,
    DRIVES,
    ROOT,
    SESSIONS,
    SYSTEM,
    RedfishIlo,
    message,
    redfish,
    redirect,
    refuse,
)
from tests.unit.bmc.scripted_ilo import drip, drop, raw, silence

# What an exchange of 0.4 s may really take on a busy machine.
MOST_SECONDS = 6.0
URL = "https://192.0.2.1/v1/canary-signature/deploy.iso"
CANARIES = (PASSWORD, "nary", "192.0.2.1")


def test_one_login_serves_all_and_is_ended(redfish_ilo: RedfishIlo, redfish_access: Access):
    with connect(redfish_access) as bmc:
        assert redfish_ilo.commands == []
        bmc.get_power_state()
        bmc.insert_media(Device.CDROM, URL)
        bmc.set_one_time_boot(BootDevice.CDROM)
        assert len(redfish_ilo.sessions) == 1
    assert (redfish_ilo.logins, redfish_ilo.sessions) == (1, {})


def test_nothing_is_sent_when_nothing_is_asked(redfish_ilo: RedfishIlo, redfish_access: Access):
    with connect(redfish_access) as bmc:
        bmc.close()
    assert redfish_ilo.commands == []


def test_after_a_logout_comes_another_login(redfish_ilo: RedfishIlo, redfish_access: Access):
    with connect(redfish_access) as bmc:
        for _ in range(2):
            bmc.get_media_status(Device.CDROM)
            bmc.close()
            assert redfish_ilo.sessions == {}
    assert redfish_ilo.logins == 2


@pytest.mark.parametrize("behaviour", [drop, refuse("Whatever", 500), redfish([])])
def test_a_failure_ends_the_session(redfish_ilo: RedfishIlo, redfish_access: Access, behaviour):
    redfish_ilo.on(f"GET {SYSTEM}", behaviour)
    with pytest.raises(BmcError), connect(redfish_access) as bmc:
        bmc.get_power_state()
    assert (redfish_ilo.logins, redfish_ilo.sessions) == (1, {})


def test_a_door_that_nobody_knows_any_more_is_closed(redfish_ilo, redfish_access):
    connect(redfish_access).get_power_state()
    gc.collect()
    assert (redfish_ilo.logins, redfish_ilo.sessions) == (1, {})


def test_the_end_of_the_process_ends_the_session(redfish_ilo: RedfishIlo, redfish_access: Access):
    script = f"""
from ironic_ilo.bmc import Access, connect
access = Access("127.0.0.1", "admin", {PASSWORD!r}, {redfish_access.port},
                verify_ca={str(redfish_access.verify_ca)!r})
bmc = connect(access)
bmc.get_power_state()
raise SystemExit(3)
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, timeout=120, check=False)
    assert (done.returncode, redfish_ilo.logins, redfish_ilo.sessions) == (3, 1, {})


def test_a_session_that_the_ilo_has_forgotten_is_renewed(
    redfish_ilo: RedfishIlo, redfish_access: Access
):
    with connect(redfish_access) as bmc:
        bmc.get_power_state()
        redfish_ilo.sessions.clear()  # as after a reset of the iLO
        assert bmc.get_power_state() is PowerState.OFF
    assert (redfish_ilo.logins, redfish_ilo.sessions) == (2, {})


def test_a_session_that_is_never_good_is_given_up(redfish_ilo, redfish_access: Access):
    redfish_ilo.on(f"GET {ROOT}/Systems", refuse("NoValidSession", 401))
    with pytest.raises(BmcLoginFailed), connect(redfish_access) as bmc:
        bmc.get_power_state()
    assert redfish_ilo.logins == 2
    redfish_ilo.sessions.popitem()  # the one that it has called invalid, and so cannot be ended


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_wrong_password_is_sent_once(redfish_ilo: RedfishIlo, redfish_access: Access, status):
    redfish_ilo.on(f"POST {SESSIONS}", refuse("UnauthorizedLoginAttempt", status))
    with pytest.raises(BmcLoginFailed, match="`ilo_username` and `ilo_password`"):
        with connect(redfish_access) as bmc:
            bmc.power_on()
    assert sum(PASSWORD in request for request in redfish_ilo.requests) == 1
    assert "authorization" not in redfish_ilo.headers


def test_an_ilo_without_a_session_to_spare(redfish_ilo: RedfishIlo, redfish_access: Access):
    redfish_ilo.on(f"POST {SESSIONS}", refuse("SessionLimitExceeded", 503))
    with pytest.raises(BmcBusy, match="End sessions that nobody needs"):
        with connect(redfish_access) as bmc:
            bmc.get_power_state()


@pytest.mark.parametrize("headers", ["", f"Location: {SESSIONS}/x\r\n"])
def test_a_login_without_a_token(redfish_ilo: RedfishIlo, redfish_access: Access, headers):
    redfish_ilo.on(f"POST {SESSIONS}", redfish(message("Created"), status=201, headers=headers))
    with pytest.raises(BmcUnreachable, match="MissingXAuthToken"):
        with connect(redfish_access) as bmc:
            bmc.get_power_state()


def test_an_ilo_that_does_not_take_the_logout(
    redfish_ilo: RedfishIlo, redfish_access: Access, caplog
):
    redfish_ilo.on(f"DELETE {SESSIONS}/admin1", refuse("Whatever", 500))
    with connect(redfish_access) as bmc:
        assert bmc.get_power_state() is PowerState.OFF
    assert "could not log out: it says Whatever" in caplog.text
    redfish_ilo.sessions.clear()


@pytest.mark.parametrize(
    "password",
    ["p&<w>'0rd;", 'say "x" & \\', " spaces  in it ", "käse-пароль-密码", "&amp;{}%25\t"],
)
def test_a_password_arrives_as_it_is(redfish_ilo: RedfishIlo, redfish_access: Access, password):
    redfish_ilo.login = ("käse", password)
    access = dataclasses.replace(redfish_access, username="käse", password=password)
    with connect(access) as bmc:
        assert bmc.get_power_state() is PowerState.OFF


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(silence, id="silent"),
        pytest.param(drip("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n" * 99), id="drips"),
    ],
)
@pytest.mark.parametrize("path", [ROOT, SYSTEM])
def test_the_deadline_is_hard(redfish_ilo: RedfishIlo, redfish_access: Access, path, behaviour):
    with connect(dataclasses.replace(redfish_access, timeout=0.4)) as bmc:
        redfish_ilo.on(f"GET {path}", behaviour)
        started = time.monotonic()
        with pytest.raises(BmcUnreachable, match=r"within 0\.4 s"):
            bmc.get_power_state()
        assert time.monotonic() - started < MOST_SECONDS


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        pytest.param(drop, "cut off", id="dropped"),
        pytest.param(raw(""), "connection failed", id="closed"),
        pytest.param(raw("hello\r\n\r\n"), "not HTTP", id="not HTTP"),
        pytest.param(raw("HTTP/1.1 200 OK\r\n\r\n<html>canary"), "not JSON", id="HTML"),
        pytest.param(redfish([1]), "not what its documentation says", id="a list"),
        pytest.param(refuse("Whatever", 500), r"Whatever \(HTTP status 500\)", id="500"),
        pytest.param(raw("HTTP/1.1 500 Oops\r\n\r\n"), r"nothing more \(HTTP.* 500\)", id="bare"),
    ],
)
def test_odd_answers_are_not_asked_for_again(redfish_ilo, redfish_access, behaviour, words):
    redfish_ilo.on(f"GET {SYSTEM}", behaviour)
    with pytest.raises(BmcError, match=words) as caught, connect(redfish_access) as bmc:
        bmc.get_power_state()
    assert str(caught.value).startswith(f"iLO 127.0.0.1:{redfish_ilo.port}: could not read the po")
    assert caught.value.hint
    assert redfish_ilo.commands.count(f"GET {SYSTEM}") == 1


def test_a_redirect_to_the_form_without_a_slash_is_followed(redfish_ilo, redfish_access):
    """As on iLO 5 before 1.40."""
    redfish_ilo.on(
        f"POST {CD}/Actions/VirtualMedia.InsertMedia",
        redirect(f"https://127.0.0.1:{redfish_ilo.port}{CD}/Actions/VirtualMedia.InsertMedia"),
        redfish_ilo.serve,
    )
    redfish_ilo.on(f"GET {DRIVES}", redirect(DRIVES), redfish_ilo.serve)
    with connect(redfish_access) as bmc:
        bmc.insert_media(Device.CDROM, URL)
        assert bmc.get_media_status(Device.CDROM).url == URL


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://192.0.2.9/redfish/v1/Systems/1", "another server"),
        ("https://127.0.0.1:1/redfish/v1/Systems/1", "another server"),
        ("//192.0.2.9/redfish/v1/Systems/1", "another server"),
        ("http://127.0.0.1/redfish/v1/Systems/1", "another server"),
        (SYSTEM, "redirected too often"),
        ("", "redirected too often"),
    ],
)
def test_other_redirects_are_not(redfish_ilo: RedfishIlo, redfish_access, location, words):
    redfish_ilo.on(f"GET {SYSTEM}", redirect(location))
    with pytest.raises(BmcUnreachable, match=words), connect(redfish_access) as bmc:
        bmc.get_power_state()


def test_a_redirect_that_changes_the_method_is_not_followed(redfish_ilo, redfish_access):
    redfish_ilo.on(f"GET {SYSTEM}", redirect("/", 302))
    with pytest.raises(BmcError, match="HTTP status 302"), connect(redfish_access) as bmc:
        bmc.get_power_state()


def test_links_lead_to_no_other_server(redfish_ilo: RedfishIlo, redfish_access: Access):
    """The token goes only where the password went."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.2)
        port = other.getsockname()[1]
        redfish_ilo.documents[ROOT]["Systems"] = {
            "@odata.id": f"https://127.0.0.1:{port}{ROOT}/Systems"
        }
        with connect(redfish_access) as bmc:
            assert bmc.get_power_state() is PowerState.OFF
        with pytest.raises(TimeoutError):
            other.accept()


def test_the_environment_decides_nothing(
    redfish_ilo: RedfishIlo, redfish_access: Access, monkeypatch, tmp_path
):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "missing.pem"))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with connect(redfish_access) as bmc:
        assert bmc.get_power_state() is PowerState.OFF
    assert "authorization" not in redfish_ilo.headers


def test_a_certificate_is_verified_by_default(redfish_ilo: RedfishIlo, redfish_access: Access):
    with pytest.raises(BmcUnreachable, match=r"certificate.*`ilo_verify_ca`"):
        with connect(dataclasses.replace(redfish_access, verify_ca=True)) as bmc:
            bmc.get_power_state()
    assert redfish_ilo.requests == []
    with connect(dataclasses.replace(redfish_access, verify_ca=False)) as bmc:
        assert bmc.get_power_state() is PowerState.OFF


def assert_silent(text: str) -> None:
    for canary in CANARIES:
        assert canary not in text


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def test_a_success_is_logged_without_secrets(redfish_ilo, redfish_access, everything_logged):
    redfish_ilo.documents[CD] |= {"Inserted": True, "Image": f"{URL}?old"}
    with connect(redfish_access) as bmc:
        bmc.insert_media(Device.CDROM, URL)
        bmc.insert_media(Device.FLOPPY, URL)
        bmc.set_one_time_boot(BootDevice.CDROM)
        bmc.product()
        assert_silent(repr(bmc))
    assert any(PASSWORD in request for request in redfish_ilo.requests)  # it was there to leak
    assert "insert an image in CDROM" in everything_logged.text
    assert_silent(everything_logged.text)


ECHO = {
    "MessageId": "iLO.2.8.Whatever",
    "Message": f"{PASSWORD} {URL}",
    "MessageArgs": [PASSWORD, URL],
    "Severity": "Critical",
}
TOLD = {"error": {"code": "iLO.0.10.ExtendedInfo", "@Message.ExtendedInfo": [ECHO]}}


@pytest.mark.parametrize(
    "behaviour",
    [
        *[
            pytest.param(redfish(TOLD, status=status), id=str(status))
            for status in (400, 401, 403, 404, 406, 412, 500, 503)
        ],
        pytest.param(raw(f"HTTP/1.1 500 {URL}\r\n\r\n{URL}"), id="not JSON"),
        pytest.param(raw(f"HTTP/1.1 200 OK\r\n\r\n{URL} {PASSWORD}"), id="not JSON either"),
        pytest.param(raw(f"{PASSWORD}\r\n"), id="not HTTP"),
        pytest.param(redfish({PASSWORD: URL}), id="another document"),
        pytest.param(redirect(f"https://192.0.2.1/{PASSWORD}"), id="redirect"),
        pytest.param(drop, id="dropped"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        f"POST {SESSIONS}",
        f"GET {CD}",
        f"POST {CD}/Actions/VirtualMedia.InsertMedia",
        f"PATCH {CD}",
    ],
)
def test_no_failure_tells(
    redfish_ilo: RedfishIlo, redfish_access: Access, everything_logged, command, behaviour
):
    redfish_ilo.on(command, behaviour)
    hasty = dataclasses.replace(redfish_access, change_timeout=0.3, busy_timeout=0.3)
    with connect(hasty) as bmc:
        try:
            bmc.insert_media(Device.CDROM, URL)
        except BmcError as error:
            assert_silent("".join(traceback.format_exception(error)))
            assert_silent(repr(error))
    assert_silent(everything_logged.text)
    redfish_ilo.sessions.clear()
