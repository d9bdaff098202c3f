"""Shaking hands, also with what speaks nothing but old TLS."""

import dataclasses
import socket
import ssl
import threading
from contextlib import suppress

import pytest

from ironic_ilo.bmc import Access, TlsVersion
from ironic_ilo.check import ilo
from ironic_ilo.check.certificate import read_certificate, shake_hands
from ironic_ilo.check.findings import Status, run_checks
from tests.unit.bmc.conftest import certificate  # noqa: F401

# Several times what anything takes here.
SECONDS = 60


class Listener:
    """It shakes hands in this version of TLS or an older one, and says no more."""

    def __init__(self, pem, version):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.context.set_ciphers("ALL:@SECLEVEL=0")
        self.context.minimum_version = min(version, ssl.TLSVersion.TLSv1_2)
        self.context.maximum_version = version
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self):
        # Closing it alone would leave accept() waiting.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(SECONDS)

    def _serve(self):
        with suppress(OSError):
            while True:
                plain, _ = self._socket.accept()
                plain.settimeout(SECONDS)
                with suppress(OSError), plain, self.context.wrap_socket(plain, server_side=True):
                    pass


@pytest.fixture
def listen(certificate):  # noqa: F811
    """Start listeners."""
    started = []

    def start(version):
        started.append(Listener(certificate, version))
        return started[-1]

    yield start
    for listener in started:
        listener.stop()


@pytest.fixture
def access(certificate):  # noqa: F811
    return Access("127.0.0.1", "admin", "hunter2", verify_ca=str(certificate), timeout=SECONDS)


def check(access, server, **changes):
    changed = dataclasses.replace(access, port=server.port, **changes)
    group = ilo.make_group(lambda: changed, SECONDS)
    return {finding.check: finding for finding in run_checks(group, 2 * SECONDS)}


@pytest.mark.parametrize(
    ("version", "name", "oldest"),
    [
        (ssl.TLSVersion.TLSv1, "TLSv1 ", TlsVersion.TLS_1_0),
        (ssl.TLSVersion.TLSv1_1, "TLSv1.1 ", TlsVersion.TLS_1_1),
    ],
)
def test_old_tls_is_found_and_named(listen, access, version, name, oldest):
    server = listen(version)
    found = check(access, server)["tls"]
    assert found.status is Status.FAILURE
    assert name in found.detail
    assert f"`ilo_min_tls_version` in driver_info to {oldest}." in found.hint
    asked_for = check(access, server, min_tls_version=oldest)["tls"]
    assert asked_for.status is Status.WARNING


def test_a_certificate_that_ends_soon(listen, access):
    found = check(access, listen(ssl.TLSVersion.TLSv1_3))
    assert found["tls"].status is Status.OK
    assert found["certificate"].status is Status.WARNING
    assert "expires" in found["certificate"].detail


def test_reading_a_certificate(listen, access):
    server = listen(ssl.TLSVersion.TLSv1_3)
    shown = read_certificate(
        shake_hands(dataclasses.replace(access, port=server.port)).certificate
    )
    assert shown.issuer == "CN=ILOCZ1234ABCD"
    assert shown.names == ("127.0.0.1", "::1")
    assert len(shown.fingerprint.split(":")) == 32
