"""Web servers for tests."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, also to a client that takes it for a proxy and asks for a whole URL."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(urlsplit(path).path)


@contextmanager
def web_server(directory: Path) -> Iterator[str]:
    """Serve a directory, and yield the URL."""
    with serving(partial(_Handler, directory=directory)) as url:
        yield url


@contextmanager
def serving(
    handler: Callable[..., BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Answer requests, and yield the URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
