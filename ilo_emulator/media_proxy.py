"""Streams a server's virtual media from their image servers, as an iLO does.

QEMU reads from here rather than from the image server, so that no signed URL stands in its
command line, redirects and self-signed image servers work as they do with an iLO, and the bytes
that virtual media cost are counted.
"""

import hmac
import logging
import secrets
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from ilo_emulator.state import Device

LOG = logging.getLogger(__name__)

_USER = "qemu"
_PIECE = 64 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=30.0)
_SUFFIX = {Device.FLOPPY: "img", Device.CDROM: "iso"}


class MediumUnreadable(Exception):
    """The image server does not serve the image in ranges; the text says what it answered."""


class MediaProxy:
    """A loopback HTTP server with one file for each drive.

    :ivar password_file: what readers must know, readable by the owner alone: the floppy holds
        secrets, and other users of this machine can reach loopback.
    """

    def __init__(self, password_file: Path) -> None:
        self.password_file = password_file
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
        application = web.Application()
        application.router.add_get("/{name}", self._serve)  # and HEAD
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

    @property
    def user(self) -> str:
        """The name that goes with the password."""
        return _USER

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
        try:
            async with self._fetch(device, "bytes=0-0") as answer:
                total = answer.headers.get("Content-Range", "").rpartition("/")[2]
                if answer.status != web.HTTPPartialContent.status_code or not total.isdigit():
                    raise MediumUnreadable(f"{self._shown(device)} gave HTTP {answer.status}")
                return int(total)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            text = f"{self._shown(device)}: {type(error).__name__}"
            raise MediumUnreadable(text) from None  # the error's own text holds the URL

    def _fetch(self, device: Device, span: str) -> "aiohttp.client._RequestContextManager":
        assert self._session is not None  # noqa: S101 - start comes first
        return self._session.get(
            self._sources[device],
            headers={"Range": span, "Accept-Encoding": "identity"},
            ssl=False,  # an iLO 4 does not verify image servers
        )

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        device = self._requested(request)
        try:
            size = await self.size(device) if request.method == "HEAD" else 0
        except MediumUnreadable as error:
            LOG.warning("%s", error)
            raise web.HTTPBadGateway from None
        if request.method == "HEAD":
            headers = {"Accept-Ranges": "bytes", "Content-Length": str(size)}
            return web.Response(headers=headers)
        return await self._stream(request, device)

    def _requested(self, request: web.Request) -> Device:
        given = request.headers.get("Authorization", "").encode()
        wanted = aiohttp.BasicAuth(_USER, self._password).encode().encode()
        if not hmac.compare_digest(given, wanted):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Basic"})
        names = {_file_name(device): device for device in self._sources}
        if request.match_info["name"] not in names:
            raise web.HTTPNotFound
        return names[request.match_info["name"]]

    async def _stream(self, request: web.Request, device: Device) -> web.StreamResponse:
        span = request.headers.get("Range", "bytes=0-")
        try:
            async with self._fetch(device, span) as answer:
                if answer.status != web.HTTPPartialContent.status_code:
                    LOG.warning("%s gave HTTP %d", self._shown(device), answer.status)
                    raise web.HTTPBadGateway
                return await self._pass_on(request, device, answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            LOG.warning("%s: %s", self._shown(device), type(error).__name__)
            raise web.HTTPBadGateway from None

    async def _pass_on(
        self, request: web.Request, device: Device, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        kept = ("Content-Range", "Content-Length")
        headers = {name: answer.headers[name] for name in kept if name in answer.headers}
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        async for piece in answer.content.iter_chunked(_PIECE):
            self._fetched[device] += len(piece)
            await response.write(piece)
        await response.write_eof()
        return response

    def _shown(self, device: Device) -> str:
        """Name an image without the parts of its URL that may be secret."""
        url = URL(self._sources[device])
        return f"the image server {url.host}:{url.port} ({url.name})"


def _file_name(device: Device) -> str:
    return f"{device.lower()}.{_SUFFIX[device]}"
