"""Serve the objects of an ``ObjectDirectory`` to iLOs: ``ironic-ilo serve-images``.

A process of its own, so that restarting a conductor does not cut a server off its virtual
CD-ROM. An iLO does not download an image, it reads blocks by HTTP ranges (RFC 9110 section 14)
as the server asks for them, for as long as the medium is in use.
"""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ironic_ilo.exception import InvalidInput, StoreError
from ironic_ilo.signed_path import PathSigner, SignedPath, parse_path
from ironic_ilo.web_store import ObjectDirectory, StoredObject

LOG = logging.getLogger(__name__)

_SWEEP_SECONDS = 60.0
_STALLED_SECONDS = 900.0
_SECONDS_TO_FINISH = 10.0
_IDLE_SECONDS = 75.0
_BACKLOG = 1024

_BYTE_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Selection:
    """Which bytes of an object go out.

    :ivar partial: the client asked for a range (206), not for all of it (200).
    """

    offset: int
    count: int
    partial: bool


class _RefusedError(Exception):
    """A path grants nothing; the log says why."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, why)
        self.what = what
        self.why = why


class RangeNotSatisfiableError(Exception):
    """None of the bytes that were asked for exist."""


def select_bytes(range_header: str | None, size: int) -> Selection:
    """Read a ``Range`` header against an object's size.

    As RFC 9110 section 14.2 has it, what is no valid byte range is ignored; so are several
    ranges at once, which no BMC asks for.

    :raises RangeNotSatisfiableError: it begins behind the end, or asks for the last 0 bytes.
    """
    match = _BYTE_RANGE.fullmatch(range_header or "")
    first, last = match.groups() if match else ("", "")
    if not first and not last:
        return Selection(0, size, partial=False)
    if first and last and int(last) < int(first):
        return Selection(0, size, partial=False)
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        raise RangeNotSatisfiableError
    return Selection(start, end - start, partial=True)


class ImageServer:
    """The request handlers over one directory.

    :param stalled_seconds: a client that takes no byte for so long is cut off.
    """

    def __init__(
        self, store: ObjectDirectory, signer: PathSigner, *, stalled_seconds: float
    ) -> None:
        self._store = store
        self._signer = signer
        self._stalled_seconds = stalled_seconds

    def application(self) -> web.Application:
        """Make the application: images at signed paths, ``/healthz`` for monitoring."""
        application = web.Application()
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/{path:.*}", self._image)
        return application

    async def _health(self, _request: web.Request) -> web.Response:
        """Answer 200 when the directory can be read, 503 otherwise."""
        try:
            await asyncio.to_thread(self._store.create_root)
        except StoreError as error:
            LOG.warning("Not healthy: %s", error)
            return web.Response(status=503, text="the images cannot be read\n")
        return web.Response(text="ok\n")

    async def _image(self, request: web.Request) -> web.StreamResponse:
        try:
            path, stored = await asyncio.to_thread(self._open, request.method, request.raw_path)
        except _RefusedError as refusal:
            LOG.warning("Refused %s to %s: %s", refusal.what, request.remote, refusal.why)
            # The same answer whatever the reason: it tells a stranger nothing.
            return web.Response(status=404, text="There is no such image.\n")
        with closing(stored.file):
            return await self._send(request, path, stored)

    def _open(self, method: str, raw_path: str) -> tuple[SignedPath, StoredObject]:
        path = parse_path(raw_path)
        if path is None:
            raise _RefusedError("a path", "it is not a temporary URL of ours")
        what = f"{path.container}/{path.object_name}"
        try:
            stored = self._store.open_object(path.container, path.object_name)
        except StoreError as error:
            raise _RefusedError(what, str(error)) from error
        if stored is None:
            raise _RefusedError(what, "it does not exist any more")
        if not self._signer.permits(path, stored.etag, time.time()):
            stored.file.close()
            raise _RefusedError(
                what, "the URL has expired, is for an older content, or another key signed it"
            )
        if method == "GET":
            self._note_fetch(path)
        return path, stored

    def _note_fetch(self, path: SignedPath) -> None:
        """Let the conductor know that the URL is read from; the reader does not depend on it."""
        try:
            self._store.note_fetch(path.container, path.object_name, path.expires)
        except StoreError as error:
            LOG.warning("%s", error)

    async def _send(
        self, request: web.Request, path: SignedPath, stored: StoredObject
    ) -> web.StreamResponse:
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-store",
            "Content-Type": "application/octet-stream",
            "ETag": f'"{stored.etag}"',
            "Last-Modified": formatdate(stored.stored_at, usegmt=True),
        }
        try:
            selection = select_bytes(_range_to_honour(request, headers), stored.size)
        except RangeNotSatisfiableError:
            _log(request, path, 416, 0, 0)
            return web.Response(status=416, headers={"Content-Range": f"bytes */{stored.size}"})
        if selection.partial:
            headers["Content-Range"] = (
                f"bytes {selection.offset}-{selection.offset + selection.count - 1}/{stored.size}"
            )
        response = web.StreamResponse(status=206 if selection.partial else 200, headers=headers)
        response.content_length = selection.count
        count = selection.count if request.method == "GET" else 0
        stored.file.seek(selection.offset)
        try:
            await response.prepare(request)
            if count:
                await self._stream(request, stored, selection.offset, count)
            await response.write_eof()
        finally:
            # sendfile leaves the position behind the last byte sent, also when it fails.
            sent = stored.file.tell() - selection.offset
            _log(request, path, response.status, sent, count)
        return response

    async def _stream(
        self, request: web.Request, stored: StoredObject, offset: int, count: int
    ) -> None:
        """Send bytes from file to socket: in the kernel, unless TLS stands between."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("The client has gone")
        # A BMC that is gone or stuck must not hold its file for ever (tcp(7); milliseconds).
        connection: socket.socket = transport.get_extra_info("socket")
        timeout = int(self._stalled_seconds * 1000)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout)
        await asyncio.get_running_loop().sendfile(transport, stored.file, offset, count)


def run_server(
    root: Path,
    signing_key: str,
    host: str,
    port: int,
    *,
    ready_file: Path | None = None,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    sweep_seconds: float = _SWEEP_SECONDS,
    stalled_seconds: float = _STALLED_SECONDS,
) -> None:
    """Serve until SIGTERM or SIGINT, and remove expired objects meanwhile.

    Running transfers then have a few seconds to finish.

    :param root: the directory of the conductors' ``WebStore``; created when it is missing.
    :param port: 0: any; the ready file then tells which.
    :param ready_file: written when the server listens: ``{"url": ..., "pid": ...}``.
    :param certificate: PEM file, with the whole chain, to serve HTTPS; ``None``: HTTP.
    :param key: the certificate's private key, PEM; ``None``: in the same file.
    :param sweep_seconds: between two looks for expired objects.
    :param stalled_seconds: a client that takes no byte for so long is cut off.
    :raises InvalidInput: the signing key, the certificate or its key is no good.
    :raises StoreError: the directory cannot be used, or the address cannot be listened on.
    """
    signer = PathSigner(signing_key)
    tls = _tls_context(certificate, key)
    store = ObjectDirectory(root)
    store.create_root()
    server = ImageServer(store, signer, stalled_seconds=stalled_seconds)
    asyncio.run(
        _serve(
            server,
            store,
            (host, port),
            tls=tls,
            ready_file=ready_file,
            sweep_seconds=sweep_seconds,
        )
    )


async def _serve(
    server: ImageServer,
    store: ObjectDirectory,
    address: tuple[str, int],
    *,
    tls: ssl.SSLContext | None,
    ready_file: Path | None,
    sweep_seconds: float,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        server.application(),
        access_log=None,  # it would show signatures
        logger=_http_logger(),
        keepalive_timeout=_IDLE_SECONDS,
        shutdown_timeout=_SECONDS_TO_FINISH,
    )
    await runner.setup()
    try:
        url = await _listen(runner, address, tls)
        LOG.info("Serving images at %s", url)
        with _announced(ready_file, url):
            async with asyncio.TaskGroup() as tasks:
                sweeping = tasks.create_task(_sweep_forever(store, sweep_seconds))
                await stop.wait()
                sweeping.cancel()
    finally:
        await runner.cleanup()


async def _listen(
    runner: web.AppRunner, address: tuple[str, int], tls: ssl.SSLContext | None
) -> str:
    """Begin to listen; return the URL."""
    host, port = address
    site = web.TCPSite(runner, host, port, ssl_context=tls, backlog=_BACKLOG)
    try:
        await site.start()
    except OSError as error:
        raise StoreError(f"Cannot listen on {host} port {port}: {error}") from error
    bound_host, bound_port = runner.addresses[0][:2]
    shown_host = f"[{bound_host}]" if ":" in bound_host else bound_host
    return f"{'https' if tls else 'http'}://{shown_host}:{bound_port}"


async def _sweep_forever(store: ObjectDirectory, seconds: float) -> None:
    while True:
        try:
            removed = await asyncio.to_thread(store.sweep)
        except StoreError as error:
            LOG.warning("%s", error)
        else:
            for name in removed:
                LOG.info("Removed %s: it has expired", name)
        await asyncio.sleep(seconds)


@contextmanager
def _announced(ready_file: Path | None, url: str) -> Iterator[None]:
    """Write the ready file, whole at once, for as long as we serve."""
    if ready_file is None:
        yield
        return
    unfinished = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
    try:
        unfinished.write_text(json.dumps({"url": url, "pid": os.getpid()}))
        unfinished.replace(ready_file)
    except OSError as error:
        raise InvalidInput(f"The ready file {ready_file} cannot be written: {error}") from error
    try:
        yield
    finally:
        ready_file.unlink(missing_ok=True)


def _tls_context(certificate: str | Path | None, key: str | Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # an SSLError is one
        raise InvalidInput(
            f"The certificate {certificate} with the key {key or 'in it'} is no good: {error}"
        ) from error
    return context


def _range_to_honour(request: web.Request, headers: Mapping[str, str]) -> str | None:
    """Find the range that applies: to a GET, of the content that ``If-Range`` names, if any."""
    known = request.headers.get("If-Range")
    if request.method != "GET" or known not in (None, headers["ETag"], headers["Last-Modified"]):
        return None
    return request.headers.get("Range")


def _log(request: web.Request, path: SignedPath, status: int, sent: int, count: int) -> None:
    """Log an access; the signature grants the image, so the URL must not be there."""
    LOG.info(
        "%s %s %s/%s range %.60r: status %d, %d of %d bytes",
        request.remote,
        request.method,
        path.container,
        path.object_name,
        request.headers.get("Range", "-"),
        status,
        sent,
        count,
    )


def _http_logger() -> logging.Logger:
    """Make a logger for aiohttp, which shows malformed requests, signature and all."""
    logger = logging.getLogger(f"{__name__}.http")
    logger.addFilter(_hide_request)
    return logger


def _hide_request(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}", None
        record.exc_info = None
    return True
