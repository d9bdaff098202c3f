"""The exchange: hard deadlines, TLS, no environment, and answers that are no RIBCL."""

import dataclasses
import socket
import threading
import time
from pathlib import Path

import pytest

from ironic_ilo.bmc import Access, PowerState, connect
from ironic_ilo.exception import (
    BmcFeatureMissing,
    BmcLoginFailed,
    BmcUnreachable,
    InvalidInput,
)
from tests.unit.bmc.scripted_ilo import (
    ScriptedIlo,
    answer,
    body,
    document,
    drip,
    drop,
    raw,
    reply,
    silence,
    slow,
)

ON = '<GET_HOST_POWER HOST_POWER="ON" />'
# What an exchange of 0.4 s may really take on a busy machine.
MOST_SECONDS = 6.0


def head(extra: str = "", *, status: str = "200 OK") -> str:
    return f"HTTP/1.1 {status}\r\n{extra}\r\n"


def in_time(access: Access) -> str:
    """Ask for the power state within 0.4 s, and return the failure, which is in time."""
    started = time.monotonic()
    with pytest.raises(BmcUnreachable) as caught:
        connect(dataclasses.replace(access, timeout=0.4)).get_power_state()
    assert time.monotonic() - started < MOST_SECONDS
    return str(caught.value)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(silence, id="silent"),
        pytest.param(drip(head("Content-Length: 5000\r\n") * 99), id="header drips"),
        pytest.param(drip("HTTP/1.1 200 OK" + " " * 999), id="status line drips"),
        pytest.param(
            lambda connection: (
                connection.send(head("Content-Length: 5000\r\n")),
                drip(document() * 9)(connection),
            ),
            id="body drips",
        ),
        pytest.param(slow(answer(ON), seconds=8), id="slow"),
    ],
)
def test_the_deadline_is_hard(ilo: ScriptedIlo, access: Access, behaviour):
    ilo.on("GET_HOST_POWER_STATUS", behaviour)
    failure = in_time(access)
    assert failure.startswith(f"iLO 127.0.0.1:{ilo.port}: could not read the power state: no comp")
    assert "within 0.4 s" in failure
    assert "`ilo_address`" in failure


def test_the_deadline_holds_for_the_handshake(access: Access):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        failure = in_time(dataclasses.replace(access, port=mute.getsockname()[1]))
    assert "within 0.4 s" in failure


def test_the_deadline_holds_for_the_connection(access: Access):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # beyond its backlog, a listener drops what knocks
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            assert "within 0.4 s" in in_time(dataclasses.replace(access, port=port))
        finally:
            for filler in fillers:
                filler.close()


def test_the_deadline_holds_for_the_name_look_up(access: Access, monkeypatch):
    def look_up_slowly(*_args: object, **_kwargs: object) -> list[object]:
        time.sleep(2)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up_slowly)
    assert "within 0.4 s" in in_time(dataclasses.replace(access, address="ilo.example"))


def test_a_slow_answer_in_time_is_good(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", slow(answer(ON), seconds=0.2))
    assert connect(access).get_power_state() is PowerState.ON


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(head() + reply(ON), id="until it closes"),
        pytest.param(
            head(f"Content-Length: {len(reply(ON))}\r\n") + reply(ON), id="with a length"
        ),
        pytest.param("HTTP/1.0 200 OK\r\n\r\n" + reply(ON), id="HTTP/1.0"),
        pytest.param(head() + "noise\r\n" + document(ON), id="noise before it"),
        pytest.param(
            head() + document() + document("<INFORM>Update your script.</INFORM>") + document(ON),
            id="an INFORM before the payload",
        ),
        pytest.param(
            head() + document(ON) + document("<INFORM>Update your script.</INFORM>"),
            id="an INFORM after the payload",
        ),
        pytest.param(
            head() + document(message="This is a notice.") + document(ON), id="a notice before it"
        ),
    ],
)
def test_framings_that_are_understood(ilo: ScriptedIlo, access: Access, text):
    ilo.on("GET_HOST_POWER_STATUS", raw(text))
    assert connect(access).get_power_state() is PowerState.ON


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        pytest.param(drop, "cut off", id="dropped"),
        pytest.param(raw(""), "connection failed", id="closed"),
        pytest.param(raw("hello\r\n\r\n"), "not HTTP", id="not HTTP"),
        pytest.param(
            raw(head("Transfer-Encoding: chunked\r\n") + "ffff\r\nshort"), "cut off", id="chunk"
        ),
        pytest.param(raw(head(status="500 Oops") + reply(ON)), "HTTP status 500", id="500"),
        pytest.param(raw(head(status="404 Not Found")), "HTTP status 404", id="404"),
        pytest.param(
            raw(head("Location: https://127.0.0.2/ribcl\r\n", status="307 Moved")),
            "HTTP status 307",
            id="redirected",
        ),
        pytest.param(body(""), "not RIBCL", id="empty"),
        pytest.param(body("<html>Welcome</html>"), "not RIBCL", id="HTML"),
        pytest.param(body('<?xml version="1.0"?><html/>'), "not RIBCL", id="XHTML"),
        pytest.param(body('<?xml version="1.0"?><RIBCL><a></RIBCL>'), "ParseError", id="bad XML"),
        pytest.param(body(reply()), "TypeError", id="no payload"),
        pytest.param(body(reply("<GET_OTHER/>")), "KeyError", id="another payload"),
        pytest.param(body(reply(ON.replace("ON", "HOT"))), "ValueError", id="another value"),
        pytest.param(
            body('<?xml version="1.0"?><RIBCL><RESPONSE STATUS="zero" MESSAGE="x"/></RIBCL>'),
            "ValueError",
            id="no status",
        ),
        pytest.param(
            body(reply("<a>" * 3000 + "</a>" * 3000)), "RecursionError", id="nested deeply"
        ),
        pytest.param(
            lambda connection: connection.send(head() + "x" * (9 << 20)),
            "longer than",
            id="endless",
        ),
    ],
)
def test_odd_answers(ilo: ScriptedIlo, access: Access, behaviour, words):
    ilo.on("GET_HOST_POWER_STATUS", behaviour)
    with pytest.raises(BmcUnreachable, match=words) as caught:
        connect(access).get_power_state()
    assert str(caught.value).startswith(f"iLO 127.0.0.1:{ilo.port}: could not read the power st")
    assert caught.value.hint


def test_html_is_no_success_of_a_change(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", answer(ON))
    ilo.on("HOLD_PWR_BTN", body("<html>Welcome</html>"))
    with pytest.raises(BmcUnreachable, match="not RIBCL"):
        connect(access).power_off()


def test_nobody_listens(access: Access):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(BmcUnreachable) as caught:
        connect(dataclasses.replace(access, port=port)).get_power_state()
    assert str(caught.value) == (
        f"iLO 127.0.0.1:{port}: could not read what kind of iLO it is: the connection failed "
        "(Connection refused). Check that the iLO has power and network, and `ilo_address` and "
        "`client_port` in driver_info."
    )


@pytest.mark.parametrize("address", ["ilo.invalid", "a" * 70 + ".example"])
def test_a_name_that_means_nothing(access: Access, address):
    with pytest.raises(BmcUnreachable, match=r"iLO \w+\.\w+:\d+: .*ilo_address"):
        connect(dataclasses.replace(access, address=address)).get_power_state()


def test_an_ipv6_address_stands_in_brackets(access: Access):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(BmcUnreachable, match=rf"^iLO \[::1\]:{port}: "):
        connect(dataclasses.replace(access, address="::1", port=port)).get_power_state()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (0x005F, "Login failed."),
        (0x000A, "User login name was not found"),
        (0x0001, "Login credentials rejected."),
    ],
)
def test_a_refused_login_is_final(ilo: ScriptedIlo, access: Access, status, message):
    ilo.on("GET_HOST_POWER_STATUS", answer(status=status, message=message))
    with pytest.raises(BmcLoginFailed, match="`ilo_username` and `ilo_password`"):
        connect(access).power_on()
    assert len(ilo.requests) == 1


def test_ribcl_that_is_switched_off(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", answer(status=1, message="Error: RIBCLI is disabled."))
    ilo.on("GET_CURRENT_BOOT_MODE", answer(status=1, message="Error: RIBCLI is disabled."))
    for read in (connect(access).get_power_state, connect(access).get_boot_mode):
        with pytest.raises(BmcFeatureMissing, match=r"RIBCLI is disabled.*Enable RIBCL"):
            read()


def test_a_certificate_is_verified_by_default(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", answer(ON))
    unconfigured = Access("127.0.0.1", "admin", "secret", ilo.port)
    with pytest.raises(BmcUnreachable, match=r"certificate.*`ilo_verify_ca`"):
        connect(unconfigured).get_power_state()
    assert ilo.requests == []


def test_a_certificate_for_another_name_is_refused(ilo: ScriptedIlo, access: Access):
    with pytest.raises(BmcUnreachable, match=r"Hostname mismatch.*`ilo_address`"):
        connect(dataclasses.replace(access, address="localhost")).get_power_state()
    assert ilo.requests == []


def test_verification_can_be_switched_off(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", answer(ON))
    assert connect(dataclasses.replace(access, verify_ca=False)).get_power_state() is PowerState.ON


def test_a_ca_directory_without_the_ca(ilo: ScriptedIlo, access: Access, tmp_path: Path):
    with pytest.raises(BmcUnreachable, match="certificate"):
        connect(dataclasses.replace(access, verify_ca=str(tmp_path))).get_power_state()


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_file_that_cannot_be_used(access: Access, tmp_path: Path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInput, match=r"ca\.pem of ilo_verify_ca"):
        connect(dataclasses.replace(access, verify_ca=str(path)))


def test_plain_http_is_told_from_tls(access: Access):
    with socket.create_server(("127.0.0.1", 0)) as plain:
        greeter = threading.Thread(target=_answer_in_plain, args=(plain,))
        greeter.start()
        access = dataclasses.replace(access, port=plain.getsockname()[1], timeout=10.0)
        with pytest.raises(BmcUnreachable, match=r"TLS failed.*`client_port`"):
            connect(access).get_power_state()
        greeter.join(20)


def _answer_in_plain(listener: socket.socket) -> None:
    connection, _address = listener.accept()
    with connection:
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_the_environment_decides_nothing(ilo: ScriptedIlo, access: Access, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "missing.pem"))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ilo.on("GET_HOST_POWER_STATUS", answer(ON))
    assert connect(access).get_power_state() is PowerState.ON
    assert "other" not in ilo.requests[0]
