"""Old TLS for the nodes that need it, and IPv6; over both protocols."""

import dataclasses
import datetime
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from ironic_ilo.bmc import Access, PowerState, TlsVersion, connect
from ironic_ilo.bmc.https import make_endpoint
from ironic_ilo.exception import BmcUnreachable
from tests.unit.bmc.conftest import PASSWORD
from tests.unit.bmc.redfish_ilo import RedfishIlo
from tests.unit.bmc.scripted_ilo import ScriptedIlo, answer

OFF = answer('<GET_HOST_POWER HOST_POWER="OFF" />')
SERVERS = ("ribcl", "redfish")


def start(kind: str, certificate: Path, **listening: str) -> ScriptedIlo:
    if kind == "redfish":
        return RedfishIlo(certificate, ("admin", PASSWORD), **listening)
    server = ScriptedIlo(certificate, **listening)
    server.on("GET_HOST_POWER_STATUS", OFF)
    return server


@pytest.fixture(scope="session")
def old_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like an iLO 4's own: RSA, 1024 bits; and a host name only."""
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ILOCZ1234ABCD")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("old") / "ilo.pem"
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(encoding))
    return path


@pytest.fixture(params=SERVERS)
def old_ilo(request: pytest.FixtureRequest, certificate: Path) -> Iterator[ScriptedIlo]:
    """An iLO that speaks TLS 1.0 and nothing newer."""
    server = start(request.param, certificate, ciphers="ALL:@SECLEVEL=0")
    server.context.minimum_version = ssl.TLSVersion.TLSv1
    server.context.maximum_version = ssl.TLSVersion.TLSv1
    yield server
    server.stop()


def reach(server: ScriptedIlo, access: Access, oldest: TlsVersion | None) -> PowerState:
    way = dataclasses.replace(access, port=server.port, min_tls_version=oldest)
    with connect(way) as bmc:
        return bmc.get_power_state()


def test_tls_1_0_where_the_node_asks_for_it(old_ilo: ScriptedIlo, access: Access):
    assert reach(old_ilo, access, TlsVersion.TLS_1_0) is PowerState.OFF


@pytest.mark.parametrize("oldest", [None, TlsVersion.TLS_1_1, TlsVersion.TLS_1_2])
def test_tls_1_0_for_nobody_else(old_ilo: ScriptedIlo, access: Access, oldest):
    assert reach(old_ilo, access, TlsVersion.TLS_1_0) is PowerState.OFF
    asked = len(old_ilo.requests)
    with pytest.raises(BmcUnreachable, match=r"TLS failed.*`ilo_min_tls_version`"):
        reach(old_ilo, access, oldest)
    assert len(old_ilo.requests) == asked


def test_old_tls_is_still_verified(old_ilo: ScriptedIlo, access: Access):
    with pytest.raises(BmcUnreachable, match="certificate is not trusted"):
        reach(old_ilo, dataclasses.replace(access, verify_ca=True), TlsVersion.TLS_1_0)
    assert old_ilo.requests == []


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("suite", ["AES128-SHA", "AES256-GCM-SHA384"])
def test_key_exchange_over_rsa_alone(kind, suite, old_certificate: Path, access: Access):
    server = start(kind, old_certificate, ciphers=f"{suite}:@SECLEVEL=0")
    server.context.maximum_version = ssl.TLSVersion.TLSv1_2
    way = dataclasses.replace(access, address="localhost", verify_ca=str(old_certificate))
    try:
        # Pythons differ: Debian's own knows the suite by default, but bears no such certificate.
        with pytest.raises(BmcUnreachable, match=r"(TLS failed|weak).*`ilo_min_tls_version`"):
            reach(server, way, None)
        assert reach(server, way, TlsVersion.TLS_1_2) is PowerState.OFF
    finally:
        server.stop()


@pytest.mark.parametrize("kind", SERVERS)
def test_no_suite_does_without_a_certificate(kind, certificate: Path, access: Access):
    server = start(kind, certificate, ciphers="aNULL:@SECLEVEL=0")
    server.context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        with pytest.raises(BmcUnreachable, match="TLS failed"):
            reach(server, access, TlsVersion.TLS_1_0)
    finally:
        server.stop()


@pytest.mark.parametrize("oldest", list(TlsVersion))
def test_what_is_allowed_always_proves_who_it_is(access: Access, oldest):
    context = make_endpoint(dataclasses.replace(access, min_tls_version=oldest)).context
    suites = context.get_ciphers()
    assert suites
    assert all(
        suite["auth"] in ("auth-rsa", "auth-ecdsa", "auth-dss", "auth-any") for suite in suites
    )
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("kind", SERVERS)
def test_an_ilo_at_an_ipv6_address(kind, certificate: Path, access: Access):
    server = start(kind, certificate, address="::1")
    try:
        way = dataclasses.replace(access, address="::1")
        assert reach(server, way, None) is PowerState.OFF
        assert server.headers["host"] == f"[::1]:{server.port}"
    finally:
        server.stop()
