"""Web servers for tests."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

_SECONDS_TO_STOP = 60.0


class FileHandler(SimpleHTTPRequestHandler):
    """Serves files, also to a client that takes it for a proxy and asks for a whole URL."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(urlsplit(path).path)

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


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
    with ThreadingHTTPServer((address, 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://{address}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(_SECONDS_TO_STOP)
