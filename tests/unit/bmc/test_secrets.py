"""No password and no URL leaves the door: not in errors, tracebacks, logs or reprs."""

import dataclasses
import logging
import traceback

import pytest

from ironic_ilo.bmc import Access, Device, MediaStatus, connect
from ironic_ilo.exception import BmcError
from tests.unit.bmc.conftest import PASSWORD
from tests.unit.bmc.scripted_ilo import (
    ScriptedIlo,
    answer,
    answers,
    body,
    document,
    drop,
    payload_of_media,
    raw,
    silence,
)

URL = "https://192.0.2.1/v1/canary-signature/deploy.iso"
CANARIES = (PASSWORD, "nary", "192.0.2.1")
EMPTY = payload_of_media()
SET = payload_of_media(inserted="YES", boot="BOOT_ONCE", url=URL)
ECHO = f'USER_LOGIN="admin" PASSWORD="{PASSWORD}" IMAGE_URL="{URL}"'.replace('"', "&quot;")


def assert_silent(text: str) -> None:
    for canary in CANARIES:
        assert canary not in text


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def test_a_success_is_logged_without_secrets(ilo, access, everything_logged):
    ilo.on("GET_VM_STATUS", *answers([SET, SET, EMPTY, SET, SET]))
    for command in ("EJECT_VIRTUAL_MEDIA", "INSERT_VIRTUAL_MEDIA", "SET_VM_STATUS"):
        ilo.on(command, answer(message=f"Done: {ECHO}"))
    connect(access).insert_media(Device.CDROM, URL)
    assert any(PASSWORD in request for request in ilo.requests)  # it was there to leak
    assert "insert an image in CDROM" in everything_logged.text
    assert_silent(everything_logged.text)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answer(status=0x0001, message=f"Syntax error near: {ECHO}"), id="syntax"),
        pytest.param(
            answer(status=0x0001, message="Line #1: syntax error near &quot;nary-Pa"), id="a piece"
        ),
        pytest.param(answer(status=0x00FF, message=ECHO), id="refusal"),
        pytest.param(answer(status=0x005F, message=f"Login failed. {ECHO}"), id="login"),
        pytest.param(answer(status=0x0001, message=f"In POST. {ECHO}"), id="busy"),
        pytest.param(answer(status=0x002E, message=f"{ECHO}"), id="licence"),
        pytest.param(raw(f"HTTP/1.1 500 {ECHO}\r\n\r\n{ECHO}"), id="500"),
        pytest.param(raw(f"{ECHO}\r\n"), id="not HTTP"),
        pytest.param(body(ECHO), id="not RIBCL"),
        pytest.param(body(f'<?xml version="1.0"?><RIBCL a="{ECHO}'), id="bad XML"),
        pytest.param(body(document(f"<OTHER>{ECHO}</OTHER>")), id="another payload"),
        pytest.param(drop, id="dropped"),
        pytest.param(silence, id="silent"),
    ],
)
@pytest.mark.parametrize("command", ["GET_VM_STATUS", "INSERT_VIRTUAL_MEDIA"])
def test_no_failure_tells(ilo: ScriptedIlo, access: Access, everything_logged, command, behaviour):
    ilo.on("GET_VM_STATUS", *answers([EMPTY]))
    ilo.on(command, behaviour)
    timeout = 0.3 if behaviour is silence else 20.0
    hasty = dataclasses.replace(access, timeout=timeout, change_timeout=0.3, busy_timeout=0.3)
    with pytest.raises(BmcError) as caught:
        connect(hasty).insert_media(Device.CDROM, URL)
    assert_silent("".join(traceback.format_exception(caught.value)))
    assert_silent(repr(caught.value))
    assert_silent(everything_logged.text)


def test_reprs(access: Access):
    assert_silent(repr(access))
    assert_silent(repr(connect(access)))
    assert_silent(repr(MediaStatus(True, True, True, URL)))
