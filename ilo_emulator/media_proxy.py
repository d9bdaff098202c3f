"""Streams a server's virtual media from their image servers, as an iLO does.

QEMU reads from here rather than from the image server, so that no signed URL stands in its
command line, redirects and self-signed image servers work as they do with an iLO, and the bytes
that virtual media cost are counted.
"""

import asyncio
import base64
import hmac
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from ilo_emulator.state import Device

LOG = logging.getLogger(__name__)

_KEPT = ("Content-Range", "Content-Length")
_PIECE = 64 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=30.0)
_SUFFIX = {Device.FLOPPY: "img", Device.CDROM: "iso"}


class MediumUnreadable(Exception):
    """The image server does not serve the image in ranges; the text says what it answered."""


class MediaProxy:
    """A loopback HTTP server with one file for each drive.

    :ivar password_file: what readers must know, readable by the owner alone: the floppy holds
        secrets, and other users of this machine can reach loopback.
    :ivar user: the name that goes with the password.
    :ivar rate: bytes per second that all drives get together; 0: as many as they can.
    """

    user = "qemu"

    def __init__(self, password_file: Path) -> None:
        self.password_file = password_file
        self.rate = 0
        self._free_at = 0.0
        self._password = secrets.token_urlsafe()
        self._sources: dict[Device, str] = {}
        self._fetched = dict.fromkeys(Device, 0)
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Listen, on any free port."""
        self.password_file.unlink(missing_ok=True)
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(self._password, encoding="ascii")
        application = web.Application(middlewares=[_unreadable_is_bad_gateway])
        application.router.add_head("/{name}", self._head)
        application.router.add_get("/{name}", self._get, allow_head=False)
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False)
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def close(self) -> None:
        """Stop listening and close what is open to the image servers."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def url(self, device: Device) -> str:
        """Tell where a drive is read."""
        assert self._runner is not None  # noqa: S101 - start comes first
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/{_file_name(device)}"

    def fetched(self, device: Device) -> int:
        """Count the bytes that came from image servers for a drive."""
        return self._fetched[device]

    def load(self, device: Device, source: str) -> None:
        """Serve this URL as a drive from now on."""
        self._sources[device] = source

    def unload(self, device: Device) -> None:
        """Serve nothing as a drive from now on."""
        self._sources.pop(device, None)

    async def size(self, device: Device) -> int:
        """Ask the image server for the size of a drive's image, in bytes.

        :raises MediumUnreadable: it does not answer as it must.
        """
        async with self._opened(device, "bytes=0-0") as answer:
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if not total.isdigit():
                raise MediumUnreadable(f"{self._shown(device)} does not tell the image's size")
            return int(total)

    @asynccontextmanager
    async def _opened(self, device: Device, span: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a range of an image, and translate what goes wrong until it is closed."""
        assert self._session is not None  # noqa: S101 - start comes first
        headers = {"Range": span, "Accept-Encoding": "identity"}
        try:
            # An iLO 4 does not verify image servers.
            async with self._session.get(
                self._sources[device], headers=headers, ssl=False
            ) as answer:
                if answer.status != web.HTTPPartialContent.status_code:
                    text = f"{self._shown(device)} answered HTTP {answer.status}, not a range"
                    raise MediumUnreadable(text)
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            text = f"{self._shown(device)} failed: {type(error).__name__}"
            raise MediumUnreadable(text) from None  # the error's own text holds the URL

    async def _head(self, request: web.Request) -> web.StreamResponse:
        size = await self.size(self._requested(request))
        headers = {"Accept-Ranges": "bytes", "Content-Length": str(size)}
        return web.Response(headers=headers)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        device = self._requested(request)
        async with self._opened(device, request.headers.get("Range", "bytes=0-")) as answer:
            kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for piece in answer.content.iter_chunked(_PIECE):
                self._fetched[device] += len(piece)
                await self._pace(len(piece))
                await response.write(piece)
            await response.write_eof()
            return response

    async def _pace(self, size: int) -> None:
        """Wait until so many bytes have come, one drive after the other."""
        if self.rate:
            now = asyncio.get_running_loop().time()
            self._free_at = max(now, self._free_at) + size / self.rate
            await asyncio.sleep(self._free_at - now)

    def _requested(self, request: web.Request) -> Device:
        credentials = base64.b64encode(f"{self.user}:{self._password}".encode())
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, b"Basic " + credentials):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Basic"})
        names = {_file_name(device): device for device in self._sources}
        if request.match_info["name"] not in names:
            raise web.HTTPNotFound
        return names[request.match_info["name"]]

    def _shown(self, device: Device) -> str:
        """Name an image without the parts of its URL that may be secret."""
        url = URL(self._sources[device])
        return f"the image server {url.host}:{url.port} ({url.name})"


def _file_name(device: Device) -> str:
    return f"{device.lower()}.{_SUFFIX[device]}"


@web.middleware
async def _unreadable_is_bad_gateway(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except MediumUnreadable as error:
        LOG.warning("%s", error)
        if request.writer.output_size and request.transport is not None:
            request.transport.abort()  # in the middle of a range there is no other way to say so
        raise web.HTTPBadGateway from None
