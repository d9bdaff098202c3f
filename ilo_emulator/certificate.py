"""The certificate that an iLO makes for itself.

It is its own CA, so that a client can be told to trust exactly this iLO: RFC 5280, with all the
extensions that OpenSSL's strict checks (``X509_V_FLAG_X509_STRICT``) ask for.
"""

import datetime
import ipaddress
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = datetime.timedelta(days=3650)
_CLOCK_SKEW = datetime.timedelta(days=1)


def server_context(
    directory: Path,
    address: str,
    names: Sequence[str],
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
) -> ssl.SSLContext:
    """Make a TLS context from the certificate in a directory; make that first when needed.

    :param address: the IP address that the certificate is for; a scope, as in ``fe80::1%eth0``, is
        none of it.
    :param names: the DNS names that it is for; the first is its subject.
    :param newest: the newest TLS that it speaks, with the suites of that time.
    """
    address = address.partition("%")[0]
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    if not _is_for(certificate, key, address):
        _create(certificate, key, address, names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if newest is not ssl.TLSVersion.MAXIMUM_SUPPORTED:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = newest
        context.set_ciphers("ALL:!aNULL:!eNULL:@SECLEVEL=0")
    return context


def _is_for(certificate: Path, key: Path, address: str) -> bool:
    """Tell whether there is a certificate for the address: kept, so that trust in it lasts."""
    if not (certificate.exists() and key.exists()):
        return False
    known = x509.load_pem_x509_certificate(certificate.read_bytes())
    alternative = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = alternative.get_values_for_type(x509.IPAddress)
    now = datetime.datetime.now(datetime.UTC)
    valid = known.not_valid_before_utc <= now < known.not_valid_after_utc
    return valid and ipaddress.ip_address(address) in addresses


def _create(certificate: Path, key: Path, address: str, names: Sequence[str]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    signed = _sign(private, address, names)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key.unlink(missing_ok=True)
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def _sign(
    private: ec.EllipticCurvePrivateKey, address: str, names: Sequence[str]
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
    )
    for extension, critical in _extensions(private.public_key(), address, names):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(private, hashes.SHA256())


def _extensions(
    public: ec.EllipticCurvePublicKey, address: str, names: Sequence[str]
) -> list[tuple[x509.ExtensionType, bool]]:
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    alternatives: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(address))]
    alternatives += [x509.DNSName(name) for name in names]
    return [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName(alternatives), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ]
