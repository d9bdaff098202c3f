"""Shaking hands with an iLO, and reading the certificate that it shows."""

import datetime
import socket
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from ironic_ilo.bmc import Access
from ironic_ilo.bmc.https import make_endpoint


@dataclass(frozen=True)
class Handshake:
    """What was agreed on, and the certificate that was shown (DER)."""

    version: str
    cipher: str
    certificate: bytes


@dataclass(frozen=True)
class Certificate:
    """What a certificate says of itself.

    :ivar names: the host names and addresses that it is for.
    :ivar fingerprint: SHA-256 of it, in hexadecimal with colons, as OpenSSL and iLOs show it.
    """

    issuer: str
    names: tuple[str, ...]
    expires: datetime.datetime
    fingerprint: str


def shake_hands(access: Access) -> Handshake:
    """Connect as the driver does, agree on TLS, and close the connection again.

    :raises ssl.SSLCertVerificationError: the certificate is not trusted.
    :raises OSError: the connection or (``ssl.SSLError``) TLS failed.
    :raises InvalidInput: the CA file or directory cannot be used.
    """
    endpoint = make_endpoint(access)
    with (
        socket.create_connection((access.address, access.port), access.timeout) as plain,
        endpoint.context.wrap_socket(plain, server_hostname=endpoint.host) as encrypted,
    ):
        cipher = encrypted.cipher()
        return Handshake(
            encrypted.version() or "",
            cipher[0] if cipher else "",
            encrypted.getpeercert(binary_form=True) or b"",
        )


def read_certificate(der: bytes) -> Certificate:
    """Read a certificate, whether or not it is trusted.

    :raises ValueError: it is none.
    """
    found = x509.load_der_x509_certificate(der)
    return Certificate(
        issuer=found.issuer.rfc4514_string(),
        names=_read_names(found),
        expires=found.not_valid_after_utc,
        fingerprint=found.fingerprint(SHA256()).hex(":").upper(),
    )


def _read_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    kinds = (x509.DNSName, x509.IPAddress)
    return tuple(str(name.value) for name in extension.value if isinstance(name, kinds))
