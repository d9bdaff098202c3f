"""Streaming virtual media through the proxy, from real image servers."""

import asyncio
import base64
import ssl
import stat
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from ilo_emulator.certificate import server_context
from ilo_emulator.media_proxy import MediaProxy, MediumUnreadable
from ilo_emulator.state import Device

IMAGE = bytes(range(256)) * 1024
SIGNATURE = "ef7c2f1a"
DEADLINE = 30


@dataclass(frozen=True)
class Bench:
    """An image server, and a proxy in front of it with a client that knows its password."""

    images: str
    proxy: MediaProxy
    http: aiohttp.ClientSession

    def load(self, path: str) -> str:
        self.proxy.load(Device.CDROM, f"{self.images}/{SIGNATURE}/{path}")
        return self.proxy.url(Device.CDROM)


async def _ranges(request: web.Request) -> web.StreamResponse:
    span = request.http_range
    part = IMAGE[span]
    start = span.start or 0
    headers = {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(IMAGE)}"}
    return web.Response(status=206, body=part, headers=headers)


async def _whole(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=IMAGE)


async def _redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(request.path.replace("moved", "image"))


async def _expired(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPGone


async def _breaks(request: web.Request) -> web.StreamResponse:
    headers = {"Content-Range": f"bytes 0-99/{len(IMAGE)}", "Content-Length": "100"}
    response = web.StreamResponse(status=206, headers=headers)
    await response.prepare(request)
    await response.write(IMAGE[:50])
    assert request.transport is not None
    request.transport.abort()
    return response


@pytest.fixture
def on_bench(tmp_path: Path) -> Callable[..., None]:
    """Run a coroutine function on a bench, within a deadline."""

    async def run(
        play: Callable[[Bench], Awaitable[None]], context: ssl.SSLContext | None
    ) -> None:
        application = web.Application()
        for name, handler in {
            "image.iso": _ranges,
            "whole.iso": _whole,
            "moved.iso": _redirect,
            "expired.iso": _expired,
            "breaks.iso": _breaks,
        }.items():
            application.router.add_get(f"/{SIGNATURE}/{name}", handler)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.20.12", 0, ssl_context=context).start()
        scheme = "https" if context else "http"
        proxy = MediaProxy(tmp_path / "media-password")
        await proxy.start()
        credentials = f"{proxy.user}:{proxy.password_file.read_text()}".encode()
        headers = {"Authorization": "Basic " + base64.b64encode(credentials).decode()}
        try:
            async with asyncio.timeout(DEADLINE), aiohttp.ClientSession(headers=headers) as http:
                await play(Bench(f"{scheme}://127.0.20.12:{runner.addresses[0][1]}", proxy, http))
        finally:
            await proxy.close()
            await runner.cleanup()

    return lambda play, context=None: asyncio.run(run(play, context))


def test_tells_size_and_ranges(on_bench):
    async def play(bench: Bench) -> None:
        async with bench.http.head(bench.load("image.iso")) as reply:
            assert reply.status == 200
            assert reply.headers["Accept-Ranges"] == "bytes"
            assert reply.headers["Content-Length"] == str(len(IMAGE))
        assert bench.proxy.fetched(Device.CDROM) == 0

    on_bench(play)


def test_passes_a_range_on_and_counts_it(on_bench):
    async def play(bench: Bench) -> None:
        url = bench.load("image.iso")
        async with bench.http.get(url, headers={"Range": "bytes=1000-1999"}) as reply:
            assert reply.status == 206
            assert await reply.read() == IMAGE[1000:2000]
        assert bench.proxy.fetched(Device.CDROM) == 1000
        assert bench.proxy.fetched(Device.FLOPPY) == 0

    on_bench(play)


def test_a_rate_holds_for_all_that_is_read(on_bench):
    async def play(bench: Bench) -> None:
        url = bench.load("image.iso")
        bench.proxy.rate = 4 * len(IMAGE)
        begin = time.monotonic()

        async def read() -> bytes:
            async with bench.http.get(url) as reply:
                return await reply.read()

        assert await asyncio.gather(read(), read()) == [IMAGE, IMAGE]
        assert time.monotonic() - begin >= 0.5
        bench.proxy.rate = 0
        assert await asyncio.wait_for(read(), DEADLINE / 2) == IMAGE

    on_bench(play)


def test_follows_redirects(on_bench):
    async def play(bench: Bench) -> None:
        async with bench.http.get(bench.load("moved.iso")) as reply:
            assert await reply.read() == IMAGE

    on_bench(play)


def test_does_not_verify_image_servers(on_bench, tmp_path: Path):
    async def play(bench: Bench) -> None:
        bench.load("image.iso")
        assert await bench.proxy.size(Device.CDROM) == len(IMAGE)

    on_bench(play, server_context(tmp_path, "127.0.20.99", ["elsewhere"]))


@pytest.mark.parametrize(
    ("path", "reason"),
    [("whole.iso", "HTTP 200"), ("expired.iso", "HTTP 410"), ("absent.iso", "HTTP 404")],
)
def test_what_cannot_be_streamed(on_bench, path: str, reason: str):
    async def play(bench: Bench) -> None:
        url = bench.load(path)
        with pytest.raises(MediumUnreadable, match=reason) as raised:
            await bench.proxy.size(Device.CDROM)
        assert SIGNATURE not in str(raised.value)
        for method in ("HEAD", "GET"):
            async with bench.http.request(method, url) as reply:
                assert reply.status == 502

    on_bench(play)


def test_an_image_server_that_is_not_there(on_bench):
    async def play(bench: Bench) -> None:
        bench.proxy.load(Device.CDROM, f"http://127.0.20.13:9/{SIGNATURE}/x.iso")
        with pytest.raises(MediumUnreadable, match="ClientConnectorError") as raised:
            await bench.proxy.size(Device.CDROM)
        assert SIGNATURE not in str(raised.value)

    on_bench(play)


def test_a_range_that_breaks_off_is_no_short_image(on_bench):
    async def play(bench: Bench) -> None:
        async with bench.http.get(bench.load("breaks.iso")) as reply:
            with pytest.raises(aiohttp.ClientError):
                await reply.read()

    on_bench(play)


def test_an_empty_drive_and_a_stranger(on_bench):
    async def play(bench: Bench) -> None:
        url = bench.load("image.iso")
        async with bench.http.get(bench.proxy.url(Device.FLOPPY)) as reply:
            assert reply.status == 404
        async with aiohttp.ClientSession() as stranger, stranger.get(url) as reply:
            assert reply.status == 401
        bench.proxy.unload(Device.CDROM)
        async with bench.http.get(url) as reply:
            assert reply.status == 404
        assert stat.S_IMODE(bench.proxy.password_file.stat().st_mode) == 0o600

    on_bench(play)
