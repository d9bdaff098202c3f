"""Web servers for tests."""

import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_SECONDS_TO_STOP = 60.0
_SECONDS_BETWEEN_LOOKS = 0.01


class FileHandler(SimpleHTTPRequestHandler):
    """Serves files, also to a client that takes it for a proxy and asks for a whole URL."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(urlsplit(path).path)

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    """At an IPv4 or an IPv6 address; bears clients that hang up or refuse its certificate."""

    def __init__(self, address: str, handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), handler)

    def handle_error(self, *arguments: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*arguments)


@contextmanager
def web_server(directory: Path, address: str = "127.0.0.1") -> Iterator[str]:
    """Serve a directory, and yield the URL."""
    with serving(partial(FileHandler, directory=directory), address=address) as url:
        yield url


@contextmanager
def serving(
    handler: Callable[..., BaseHTTPRequestHandler],
    tls: ssl.SSLContext | None = None,
    address: str = "127.0.0.1",
) -> Iterator[str]:
    """Answer requests, and yield the URL."""
    with _Server(address, handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(_SECONDS_BETWEEN_LOOKS,))
        thread.start()
        host = f"[{address}]" if ":" in address else address
        try:
            yield f"http{'s' if tls else ''}://{host}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(_SECONDS_TO_STOP)
