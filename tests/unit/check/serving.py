"""Small web servers, some of which fail."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

from tests import web_server


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], object]) -> Iterator[str]:
    """Answer whatever is asked for with this function; the value is the server's URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_HEAD(self) -> None:
            answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    with web_server.serving(Handler) as url:
        yield url


def send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes = b"",
    *,
    date: str | None = None,
    **headers: str,
) -> None:
    """Send an answer; underscores in names of headers are dashes."""
    handler.send_response_only(status)
    handler.send_header("Date", date or formatdate(usegmt=True))
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    if handler.command == "GET":
        handler.wfile.write(body)


def send_range(
    handler: BaseHTTPRequestHandler, content: bytes, *, date: str | None = None
) -> None:
    """Send the range asked for."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
    if asked is None:
        send(handler, 200, content, date=date)
    elif int(asked[1]) >= len(content):
        send(handler, 416, Content_Range=f"bytes */{len(content)}")
    else:
        part = content[int(asked[1]) : int(asked[2]) + 1]
        place = f"bytes {asked[1]}-{int(asked[1]) + len(part) - 1}/{len(content)}"
        send(handler, 206, part, date=date, Content_Range=place)
