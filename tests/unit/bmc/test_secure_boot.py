"""Boot modes to choose from, and Secure Boot, which goes over REST."""

import base64
import dataclasses
import json
import logging

import pytest

from ironic_ilo.bmc import Access, BootMode, SecureBoot, connect
from ironic_ilo.exception import (
    BmcBusy,
    BmcError,
    BmcFeatureMissing,
    BmcLoginFailed,
    BmcStateMismatch,
    BmcUnreachable,
    InvalidInput,
)
from tests.unit.bmc.conftest import PASSWORD
from tests.unit.bmc.scripted_ilo import (
    Behaviour,
    ScriptedIlo,
    answer,
    answers,
    body,
    drop,
    raw,
    rest,
    silence,
)

SYSTEM = "/rest/v1/Systems/1"
SECURE_BOOT = f"{SYSTEM}/SecureBoot"
BIOS = "/rest/v1/systems/1/bios"
GEN9 = {
    "Type": "ComputerSystem.0.9.6",
    "Oem": {"Hp": {"links": {"SecureBoot": {"href": SECURE_BOOT}, "BIOS": {"href": BIOS}}}},
}
GEN8 = {"Type": "ComputerSystem.0.9.6", "Oem": {"Hp": {"links": {}}}}
MODE_IS_UEFI = {"Type": "HpBios.1.0.0", "BootMode": "Uefi", "CustomPostMessage": ""}
DONE = {"Messages": [{"MessageID": "Base.0.10.Success"}]}


def pending(mode: str) -> str:
    return f'<GET_PENDING_BOOT_MODE><BOOT_MODE VALUE="{mode}"/></GET_PENDING_BOOT_MODE>'


def supported(modes: str) -> str:
    inside = f'<SUPPORTED_BOOT_MODE VALUE="{modes}"/>'
    return f"<GET_SUPPORTED_BOOT_MODE>{inside}</GET_SUPPORTED_BOOT_MODE>"


def secure_boot(*, current: bool, pending: bool) -> Behaviour:
    state = {"SecureBootCurrentState": current, "SecureBootEnable": pending}
    return rest({"Type": "HpSecureBoot.0.9.5", **state})


def refusal(message: str, status: int = 400) -> Behaviour:
    messages = [{"MessageID": f"iLO.0.10.{message}"}]
    return rest({"Type": "ExtendedError.1.0.0", "Messages": messages}, status=status)


@pytest.fixture
def gen9(ilo: ScriptedIlo) -> ScriptedIlo:
    """A Gen9 in UEFI mode, with Secure Boot off."""
    ilo.on(f"GET {SYSTEM}", rest(GEN9))
    ilo.on(f"GET {BIOS}", rest(MODE_IS_UEFI))
    ilo.on(f"PATCH {BIOS}", rest(DONE))
    ilo.on(f"GET {SECURE_BOOT}", secure_boot(current=False, pending=False))
    return ilo


@pytest.mark.parametrize(
    ("value", "modes"),
    [
        ("LEGACY_ONLY", [BootMode.LEGACY]),
        ("UEFI_ONLY", [BootMode.UEFI]),
        ("LEGACY_UEFI", [BootMode.LEGACY, BootMode.UEFI]),
    ],
)
def test_the_supported_boot_modes(ilo: ScriptedIlo, access: Access, value, modes):
    ilo.on("GET_SUPPORTED_BOOT_MODE", answer(supported(value)))
    assert connect(access).get_supported_boot_modes() == modes


def test_a_supported_boot_mode_without_a_name(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_SUPPORTED_BOOT_MODE", answer(supported("SOME")))
    with pytest.raises(BmcUnreachable, match="could not read the supported boot modes"):
        connect(access).get_supported_boot_modes()


def test_a_server_without_boot_modes_has_one(ilo: ScriptedIlo, access: Access):
    unsupported = answer(status=0x003C, message="Feature not supported.")
    for command in ("GET_SUPPORTED", "GET_PENDING", "SET_PENDING"):
        ilo.on(f"{command}_BOOT_MODE", unsupported)
    server = connect(access)
    assert server.get_supported_boot_modes() == [BootMode.LEGACY]
    server.set_pending_boot_mode(BootMode.LEGACY)
    assert "SET_PENDING_BOOT_MODE" not in ilo.commands
    with pytest.raises(BmcFeatureMissing, match="could not set the boot mode to UEFI"):
        server.set_pending_boot_mode(BootMode.UEFI)


def test_a_boot_mode_is_set_and_read_back(ilo: ScriptedIlo, access: Access):
    ilo.on("SET_PENDING_BOOT_MODE", answer(status=1, message="The server is in POST."), answer())
    ilo.on("GET_PENDING_BOOT_MODE", *answers([pending("LEGACY"), pending("UEFI")]))
    connect(access).set_pending_boot_mode(BootMode.UEFI)
    assert ilo.commands.count("SET_PENDING_BOOT_MODE") == 2
    assert 'value="UEFI"' in ilo.requests[1]


def test_a_boot_mode_that_is_set_already_is_left_alone(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_PENDING_BOOT_MODE", answer(pending("UEFI")))
    connect(access).set_pending_boot_mode(BootMode.UEFI)
    assert ilo.commands == ["GET_PENDING_BOOT_MODE"]


def test_secure_boot_is_read(gen9: ScriptedIlo, access: Access):
    gen9.on(f"GET {SECURE_BOOT}", secure_boot(current=False, pending=True))
    assert connect(access).get_secure_boot() == SecureBoot(current=False, pending=True)
    login = base64.b64decode(gen9.headers["authorization"].removeprefix("Basic ")).decode()
    assert login == f"admin:{PASSWORD}"


def test_secure_boot_is_set_and_read_back(gen9: ScriptedIlo, access: Access):
    off, on = (secure_boot(current=False, pending=pending) for pending in (False, True))
    gen9.on(f"GET {SECURE_BOOT}", off, on)
    gen9.on(f"PATCH {SECURE_BOOT}", refusal("UnableToModifyDuringSystemPOST"), rest(DONE))
    connect(access).set_secure_boot(enabled=True)
    written = [
        json.loads(request)
        for command, request in zip(gen9.commands, gen9.requests, strict=True)
        if command == f"PATCH {SECURE_BOOT}"
    ]
    assert written == [{"SecureBootEnable": True}] * 2


def test_secure_boot_that_is_set_already_is_left_alone(gen9: ScriptedIlo, access: Access):
    connect(access).set_secure_boot(enabled=False)
    assert not [command for command in gen9.commands if command.startswith("PATCH")]


def test_secure_boot_that_does_not_stick_is_a_mismatch(gen9: ScriptedIlo, access: Access):
    gen9.on(f"PATCH {SECURE_BOOT}", rest(DONE))
    with pytest.raises(BmcStateMismatch, match="Secure Boot on was accepted"):
        connect(dataclasses.replace(access, change_timeout=0.3)).set_secure_boot(enabled=True)


def test_secure_boot_needs_uefi(gen9: ScriptedIlo, access: Access):
    gen9.on(f"GET {BIOS}", rest(MODE_IS_UEFI | {"BootMode": "LegacyBios"}))
    with pytest.raises(BmcFeatureMissing, match=r"legacy BIOS mode\. Put the server into UEFI"):
        connect(access).set_secure_boot(enabled=True)


@pytest.mark.parametrize(
    "behaviour",
    [
        rest(GEN8),
        rest(GEN8 | {"Oem": {"Hp": {}}}),
        rest(GEN8 | {"Oem": {"Hpe": {"Links": {}}}}),
        refusal("MalformedURL", 404),
        raw("HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_a_server_without_secure_boot(ilo: ScriptedIlo, access: Access, behaviour):
    ilo.on(f"GET {SYSTEM}", behaviour)
    with pytest.raises(BmcFeatureMissing, match=r"Secure Boot: .* Check the server's generation"):
        connect(access).get_secure_boot()


@pytest.mark.parametrize(
    ("behaviour", "error", "words"),
    [
        (refusal("NoValidSession", 401), BmcLoginFailed, "`ilo_password`"),
        (rest({}, status=401), BmcLoginFailed, "nothing more"),
        (refusal("InsufficientPrivilege", 403), BmcError, "privilege"),
        (refusal("LicenseKeyRequired"), BmcFeatureMissing, "licence"),
        (refusal("ResourceInUse"), BmcError, r"ResourceInUse \(HTTP status 400\)"),
        (rest([], status=500), BmcError, "HTTP status 500"),
        (
            rest({"Messages": [{"MessageID": "X"}] * 99}, status=500),
            BmcError,
            r"says (X, ){9}X \(",
        ),
        (raw("HTTP/1.1 302 X\r\nLocation: https://127.0.0.2/\r\n\r\n"), BmcError, "302"),
        (body("<html>Welcome</html>"), BmcUnreachable, "JSONDecodeError"),
        (rest([]), BmcUnreachable, "TypeError"),
        (rest({"Type": "Other.0.1"}), BmcError, "IloError"),
        (drop, BmcUnreachable, "cut off"),
    ],
)
def test_rest_that_fails(ilo: ScriptedIlo, access: Access, behaviour, error, words):
    ilo.on(f"GET {SYSTEM}", behaviour)
    with pytest.raises(error, match=words) as caught:
        connect(access).get_secure_boot()
    assert "could not read the state of Secure Boot" in str(caught.value)
    assert caught.value.hint
    assert PASSWORD not in str(caught.value)


def test_a_state_that_is_no_truth_value(gen9: ScriptedIlo, access: Access):
    gen9.on(f"GET {SECURE_BOOT}", rest({"SecureBootCurrentState": "on", "SecureBootEnable": 1}))
    with pytest.raises(BmcUnreachable, match="TypeError"):
        connect(access).get_secure_boot()


def test_rest_during_post_is_sat_out_and_then_given_up(gen9: ScriptedIlo, access: Access):
    gen9.on(f"PATCH {SECURE_BOOT}", refusal("UnableToModifyDuringSystemPOST"))
    with pytest.raises(BmcBusy, match="and did so for"):
        connect(dataclasses.replace(access, busy_timeout=0.5)).set_secure_boot(enabled=True)


def test_rest_has_a_deadline_too(ilo: ScriptedIlo, access: Access):
    ilo.on(f"GET {SYSTEM}", silence)
    with pytest.raises(BmcUnreachable, match=r"within 0\.4 s"):
        connect(dataclasses.replace(access, timeout=0.4)).get_secure_boot()


def test_rest_verifies_the_certificate(gen9: ScriptedIlo, access: Access):
    with pytest.raises(BmcUnreachable, match="certificate"):
        connect(dataclasses.replace(access, verify_ca=True)).get_secure_boot()
    assert not gen9.requests


def test_a_user_name_that_basic_authentication_cannot_say(gen9: ScriptedIlo, access: Access):
    with pytest.raises(InvalidInput, match="colon"):
        connect(dataclasses.replace(access, username="a:b")).get_secure_boot()
    assert not gen9.requests


def test_the_password_is_not_logged(gen9: ScriptedIlo, access: Access, caplog):
    gen9.on(f"PATCH {SECURE_BOOT}", refusal("ResourceInUse"))
    with caplog.at_level(logging.DEBUG), pytest.raises(BmcError):
        connect(access).set_secure_boot(enabled=True)
    assert caplog.text
    assert PASSWORD not in caplog.text
    assert gen9.headers["authorization"] not in caplog.text
