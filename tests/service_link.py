"""A link to a service that can be down: a TCP relay before it, whose address a test hands out."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_CHUNK = 65536
_SECONDS_TO_CONNECT = 10.0


class _Relay(socketserver.ThreadingTCPServer):
    """Forwards connections to another port."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], upstream: tuple[str, int]) -> None:
        super().__init__(address, _Connection)
        self.upstream = upstream
        self.open: set[socket.socket] = set()


class _Connection(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        assert isinstance(self.server, _Relay)
        with socket.create_connection(self.server.upstream, _SECONDS_TO_CONNECT) as service:
            service.settimeout(None)
            self.server.open |= {self.request, service}
            back = threading.Thread(target=_copy, args=(service, self.request), daemon=True)
            back.start()
            _copy(self.request, service)
            back.join()
            self.server.open -= {self.request, service}


class ServiceLink:
    """A link that is up, until it is cut; :func:`start_link` makes it.

    :ivar url: where the service is reached while it is up; without a path.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._relay = self._listen((upstream[0], 0))
        self.url = "http://{}:{}".format(*self._relay.server_address)

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Refuse connections while the block runs, and break those that there are."""
        address = self._relay.server_address
        self.close()
        try:
            yield
        finally:
            self._relay = self._listen(address)

    def close(self) -> None:
        """Refuse connections from now on."""
        self._relay.shutdown()
        self._relay.server_close()
        for connection in tuple(self._relay.open):
            _shut(connection)

    def _listen(self, address: tuple[str, int]) -> _Relay:
        relay = _Relay(address, self._upstream)
        threading.Thread(target=relay.serve_forever, args=(0.05,), daemon=True).start()
        return relay


@contextmanager
def start_link(url: str) -> Iterator[ServiceLink]:
    """Run a link to the service at a URL, on a free port of the same address."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    link = ServiceLink((parts.hostname, parts.port))
    try:
        yield link
    finally:
        link.close()


def _copy(source: socket.socket, destination: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            destination.sendall(chunk)
    _shut(source)
    _shut(destination)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
