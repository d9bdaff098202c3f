"""One HTTPS exchange with a hard deadline.

The standard library's client, since everything that ``requests`` adds would have to be switched
off for a BMC: proxies, CA bundles and credentials from the environment, redirects (which would
carry the password to another host), connection reuse, retries; and its timeouts are for one read
each, so a peer that sends a byte a second holds its caller for ever.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from ironic_ilo.bmc.types import Access, TlsVersion
from ironic_ilo.bmc.waiting import Deadline
from ironic_ilo.exception import InvalidInput

_TLS_VERSIONS = {
    TlsVersion.TLS_1_0: ssl.TLSVersion.TLSv1,
    TlsVersion.TLS_1_1: ssl.TLSVersion.TLSv1_1,
    TlsVersion.TLS_1_2: ssl.TLSVersion.TLSv1_2,
}
# What iLO 5 before 1.40 answers to paths without a slash at their end; the method stays.
_REDIRECTS = (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT)
_MOST_REDIRECTS = 3
# The largest reply known, GET_EMBEDDED_HEALTH, is about 200 kB.
_MOST_BYTES = 8 * 1024 * 1024

_SocketAddress = tuple[socket.AddressFamily, tuple[Any, ...]]


class AnswerError(Exception):
    """It speaks HTTP, yet does not answer what was asked."""


@dataclass(frozen=True)
class Endpoint:
    """Where, how and for how long to speak.

    :ivar address: host name or IP address, without brackets; a link-local one with its scope, as
        in ``fe80::1%eth0``.
    :ivar timeout: seconds for a whole exchange: name look-up, connection, TLS, reply.
    """

    address: str
    port: int
    context: ssl.SSLContext
    timeout: float

    @property
    def host(self) -> str:
        """Tell the address as the iLO knows it: scopes are this machine's own (RFC 6874)."""
        return self.address.partition("%")[0]

    @property
    def authority(self) -> str:
        """Write address and port as URLs do."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


def make_endpoint(access: Access) -> Endpoint:
    """Find out how to speak to an iLO.

    :raises InvalidInput: the CA file or directory cannot be used.
    """
    context = make_context(access.verify_ca)
    if access.min_tls_version is not None:
        _weaken(context, access.min_tls_version)
    return Endpoint(access.address, access.port, context, access.timeout)


def make_context(verify_ca: bool | str) -> ssl.SSLContext:
    """Make TLS settings; ``verify_ca`` is that of ``Access``.

    The system's CAs are those that OpenSSL looks up, ``SSL_CERT_FILE`` included.

    :raises InvalidInput: the CA file or directory cannot be used.
    """
    context = _unverified() if verify_ca is False else _verified(verify_ca)
    context.sslsocket_class = _BoundedSocket
    return context


@dataclass(frozen=True)
class Reply:
    """What came back; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def post(endpoint: Endpoint, path: str, body: bytes) -> bytes:
    """Send a body, and return that of the reply; errors are those of ``exchange``.

    :raises AnswerError: the reply has another status than 200.
    """
    reply = exchange(endpoint, "POST", path, {}, body)
    if reply.status != HTTPStatus.OK:
        raise AnswerError(f"HTTP status {reply.status}")
    return reply.body


def exchange(
    endpoint: Endpoint, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> Reply:
    """Send a request, and read the reply, whatever its status.

    :raises TimeoutError: the exchange was not over in time.
    :raises OSError: the connection or (``ssl.SSLError``) TLS failed.
    :raises http.client.HTTPException: the reply is not HTTP.
    :raises AnswerError: the reply is cut short, or too long.
    """
    connection = _BoundedConnection(endpoint)
    try:
        connection.request(method, path, body, {"Connection": "close", **headers})
        with connection.getresponse() as response:
            named = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, named, _read(response))
    except TimeoutError:
        raise TimeoutError(f"no complete answer within {endpoint.timeout:g} s") from None
    finally:
        connection.close()


def follow(
    endpoint: Endpoint, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> Reply:
    """Do an exchange, again where the same server redirects it to; errors as of ``exchange``.

    :raises AnswerError: it is redirected to another server, or too often.
    """
    for _ in range(_MOST_REDIRECTS):
        reply = exchange(endpoint, method, path, headers, body)
        if reply.status not in _REDIRECTS:
            return reply
        path = _find_path(endpoint, path, reply.headers.get("location", ""))
    raise AnswerError("redirected too often")


def path_of(link: str) -> str:
    """Reduce a link to its path: nothing but the iLO that was named is ever asked.

    :raises AnswerError: it has none.
    """
    parts = urlsplit(link)
    if not parts.path.startswith("/"):
        raise AnswerError("a link without a path")
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _find_path(endpoint: Endpoint, path: str, location: str) -> str:
    here = urlsplit(urljoin(f"https://{replace(endpoint, address=endpoint.host).authority}", path))
    there = urlsplit(urljoin(here.geturl(), location))
    if (there.scheme, there.hostname, there.port or 443) != ("https", here.hostname, here.port):
        raise AnswerError("a redirect to another server")
    return path_of(there.geturl())


def _read(response: http.client.HTTPResponse) -> bytes:
    body = response.read(_MOST_BYTES + 1)
    if len(body) > _MOST_BYTES:
        raise AnswerError(f"longer than {_MOST_BYTES} bytes")
    if response.length:
        raise AnswerError(f"cut off {response.length} bytes before its end")
    return body


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _verified(verify_ca: bool | str) -> ssl.SSLContext:
    if verify_ca is True:
        return ssl.create_default_context()
    path = Path(str(verify_ca))
    try:
        if path.is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidInput(
            f"The CA file {path} of ilo_verify_ca cannot be used: {error.strerror or error}",
            hint="Name a readable PEM file with the CA that signed the iLO's certificate.",
        ) from None


def _weaken(context: ssl.SSLContext, oldest: TlsVersion) -> None:
    """Take also what old firmware of iLO 4 speaks (ilo-protocol.md 1.7), for this iLO alone.

    OpenSSL's security level 0 allows key exchange without forward secrecy, SHA-1, and RSA keys of
    1024 bits. Suites without a certificate stay out, for they would make verifying one void.
    """
    context.minimum_version = _TLS_VERSIONS[oldest]
    context.set_ciphers("DEFAULT:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0")


class _BoundedSocket(ssl.SSLSocket):
    """A TLS socket whose reads and writes all share one deadline."""

    # Set after the handshake: ``SSLContext.wrap_socket`` makes the instances.
    deadline: Deadline

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002
        self.settimeout(self.deadline.budget())
        return super().read(len, buffer)

    def send(self, data: Any, flags: int = 0) -> int:
        self.settimeout(self.deadline.budget())
        return super().send(data, flags)


class _BoundedConnection(http.client.HTTPSConnection):
    """A connection for one exchange, over by the endpoint's timeout whatever the peer does."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint.host, endpoint.port, context=endpoint.context)
        self._address = endpoint.address
        self._tls = endpoint.context
        self._deadline = Deadline(endpoint.timeout)

    def connect(self) -> None:
        """Connect and shake hands, both within the deadline."""
        plain = _dial(self._address, self.port, self._deadline)
        try:
            # The handshake as a whole, not each read, is held to the socket's timeout.
            plain.settimeout(self._deadline.budget())
            encrypted = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
        encrypted.deadline = self._deadline  # type: ignore[attr-defined]
        self.sock = encrypted


def _dial(address: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first of a host's addresses that takes the connection."""
    failure = OSError(f"no address for {address}")
    for found in _look_up(address, port, deadline):
        try:
            return _connect(*found, deadline)
        except OSError as error:
            failure = error
    raise failure


def _connect(
    family: socket.AddressFamily, found: tuple[Any, ...], deadline: Deadline
) -> socket.socket:
    """Connect to all that was found: a link-local address is nothing without its scope."""
    plain = socket.socket(family, socket.SOCK_STREAM)
    try:
        plain.settimeout(deadline.budget())
        plain.connect(found)
    except BaseException:
        plain.close()
        raise
    return plain


def _look_up(address: str, port: int, deadline: Deadline) -> list[_SocketAddress]:
    """Resolve a name in a thread that is left behind at the deadline: nothing else bounds it."""
    future: Future[list[_SocketAddress]] = Future()

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            future.set_exception(error)
        else:
            future.set_result([(info[0], info[4]) for info in infos])

    threading.Thread(target=look_up, name=f"look up {address}", daemon=True).start()
    return future.result(deadline.budget())
