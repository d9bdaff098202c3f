"""Framing and faults of the iLO's web server, byte by byte."""

import asyncio
import re
import ssl
import time

import aiohttp
import pytest

from tests.unit.ilo_emulator.conftest import ADDRESS, Lab

PROBE = b'<RIBCL VERSION="2.0"></RIBCL>'
REQUEST = (
    b"POST /ribcl HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nConnection: Close\r\n\r\n"
)
STATUS = "<GET_HOST_POWER_STATUS/>"


def test_frames_as_an_ilo_does(in_lab):
    async def play(lab: Lab) -> None:
        reply = await lab.exchange(REQUEST % len(PROBE) + PROBE)
        head, _, body = reply.partition(b"\r\n\r\n")
        lines = head.decode("ascii").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        assert lines[0] == "HTTP/1.1 200 OK"
        assert headers["transfer-encoding"] == "chunked"
        assert headers["connection"] == "close"
        assert headers["content-type"] == "text/xml"
        assert "content-length" not in headers
        sizes = re.findall(rb"(?:^|\r\n)([0-9a-f]+)\r\n", body)
        assert len(sizes) > 2
        assert body.endswith(b"\r\n0\r\n\r\n")
        assert b"Scripting utility should be updated" in body

    in_lab(play)


def test_closes_where_the_client_would_keep_the_connection(in_lab):
    async def play(lab: Lab) -> None:
        request = REQUEST.replace(b"Connection: Close", b"Connection: keep-alive")
        assert await lab.exchange(request % len(PROBE) + PROBE)

    in_lab(play)


def test_reads_a_body_that_comes_in_pieces(in_lab):
    async def play(lab: Lab) -> None:
        reader, writer = await asyncio.open_connection(ADDRESS, lab.port, ssl=lab.context())
        for piece in (REQUEST % len(PROBE), PROBE[:5], PROBE[5:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()

    in_lab(play)


def test_the_certificate_names_the_address_and_the_names(in_lab):
    async def play(lab: Lab) -> None:
        for name in (ADDRESS, "node-0"):
            _, writer = await asyncio.open_connection(
                ADDRESS, lab.port, ssl=lab.context(), server_hostname=name
            )
            writer.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(
                ADDRESS, lab.port, ssl=lab.context(), server_hostname="node-1"
            )

    in_lab(play)


def test_unknown_paths_and_items(in_lab):
    async def play(lab: Lab) -> None:
        for path in ("/", "/ribcl", "/redfish/v1", "/xmldata", "/xmldata?item=none"):
            url = f"https://{ADDRESS}:{lab.port}{path}"
            async with lab.http.get(url, ssl=lab.context()) as reply:
                assert reply.status in (404, 405)

    in_lab(play)


def test_ribcl_that_is_disabled_and_that_is_gone(in_lab):
    async def play(lab: Lab) -> None:
        assert 'HOST_POWER="OFF"' in await lab.ribcl("SERVER_INFO", STATUS, server="ilo5")
        await lab.ask("PUT", "/servers/ilo5/faults", {"ribcl_disabled": True})
        for server in ("ilo5", "ilo6"):
            reply = await lab.ribcl("SERVER_INFO", STATUS, server=server)
            assert "MESSAGE='Error: RIBCLI is disabled.'" in reply
            assert reply.count("<?xml") == 1
            assert "HOST_POWER" not in reply
        assert "404" in await lab.ribcl("SERVER_INFO", STATUS, server="ilo7")

    in_lab(play, "ilo5", "ilo6", "ilo7")


@pytest.mark.parametrize("fault", ["refuse", "drop"])
def test_a_connection_that_breaks(in_lab, fault: str):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/node-0/faults", {fault: True})
        with pytest.raises(aiohttp.ClientError):
            await lab.ribcl("SERVER_INFO", STATUS)
        await lab.ask("DELETE", "/servers/node-0/faults")
        assert 'HOST_POWER="OFF"' in await lab.ribcl("SERVER_INFO", STATUS)

    in_lab(play)


def test_refuse_carries_nothing_out_and_drop_does(in_lab):
    async def play(lab: Lab) -> None:
        for fault, power in (("refuse", "off"), ("drop", "on")):
            await lab.ask("PUT", "/servers/node-0/faults", {fault: True})
            with pytest.raises(aiohttp.ClientError):
                await lab.ribcl("SERVER_INFO", '<SET_HOST_POWER HOST_POWER="Yes"/>')
            _, server = await lab.ask("GET", "/servers/node-0")
            assert server["power"] == power

    in_lab(play)


def test_silence(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/node-0/faults", {"silent": True})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lab.ribcl("SERVER_INFO", STATUS), 0.5)

    in_lab(play)


def test_slowness(in_lab):
    async def play(lab: Lab) -> None:
        await lab.ask("PUT", "/servers/node-0/faults", {"slow_s": 0.5})
        begin = time.monotonic()
        assert 'HOST_POWER="OFF"' in await lab.ribcl("SERVER_INFO", STATUS)
        assert time.monotonic() - begin >= 0.5

    in_lab(play)
