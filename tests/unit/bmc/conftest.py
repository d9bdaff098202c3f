"""A scripted iLO, its certificate, and the access to it."""

import dataclasses
import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ironic_ilo.bmc import Access
from ironic_ilo.bmc.detection import KNOWN
from tests.unit.bmc.redfish_ilo import RedfishIlo
from tests.unit.bmc.scripted_ilo import ScriptedIlo

PASSWORD = "canary-Pa$$w0rd"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for this host with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ILOCZ1234ABCD")])
    now = datetime.datetime.now(datetime.UTC)
    addresses = [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ("127.0.0.1", "::1")]
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("ilo") / "ilo.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture(autouse=True)
def no_memory() -> None:
    """What listened at a port in another test says nothing."""
    KNOWN.clear()


@pytest.fixture
def ilo(certificate: Path) -> Iterator[ScriptedIlo]:
    server = ScriptedIlo(certificate)
    yield server
    server.stop()


@pytest.fixture
def access(ilo: ScriptedIlo, certificate: Path) -> Access:
    """A verified access to the scripted iLO, generous with time."""
    return Access(
        "127.0.0.1", "admin", PASSWORD, ilo.port, verify_ca=str(certificate), timeout=20.0
    )


@pytest.fixture
def redfish_ilo(certificate: Path) -> Iterator[RedfishIlo]:
    """An iLO 5 whose server is off, in UEFI mode; nobody may stay logged in when a test ends."""
    server = RedfishIlo(certificate, ("admin", PASSWORD))
    yield server
    server.stop()
    assert server.sessions == {}


@pytest.fixture
def redfish_access(redfish_ilo: RedfishIlo, access: Access) -> Access:
    return dataclasses.replace(access, port=redfish_ilo.port)
