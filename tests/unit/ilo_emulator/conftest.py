"""One emulated iLO with a machine of paper, listening for real."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ilo_emulator.config import load
from ilo_emulator.emulator import running

DEADLINE = 30
ADDRESS = "127.0.20.11"
PASSWORD = "s3cret"
CONFIG = f"""
[emulator]
state_dir = "state"
ready_file = "ready.json"

[[server]]
name = "node-0"
address = "{ADDRESS}"
port = 0
password = "{PASSWORD}"

[[server]]
name = "gen9"
address = "{ADDRESS}"
port = 0
password = "{PASSWORD}"
generation = "ilo4-gen9"
"""


@dataclass(frozen=True)
class Lab:
    """Where the emulated iLOs and the control API listen.

    :ivar port: of the Gen8; ``rest_port`` is that of the Gen9, which has REST.
    """

    port: int
    certificate: Path
    rest_port: int
    rest_certificate: Path
    control: str
    http: aiohttp.ClientSession

    def context(self, certificate: Path | None = None) -> ssl.SSLContext:
        """Trust an iLO's certificate, as strictly as OpenSSL can."""
        context = ssl.create_default_context(cafile=certificate or self.certificate)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    async def exchange(self, request: bytes) -> bytes:
        """Send bytes over TLS and read until the iLO closes."""
        reader, writer = await asyncio.open_connection(ADDRESS, self.port, ssl=self.context())
        writer.write(request)
        reply = await reader.read()
        writer.close()
        return reply

    async def ribcl(
        self, block: str, commands: str, password: str = PASSWORD, mode: str = "write"
    ) -> str:
        """Send a script with one block and return the whole reply, with its chunks joined."""
        login = f'<LOGIN USER_LOGIN="Administrator" PASSWORD="{password}">'
        inside = f'{login}<{block} MODE="{mode}">{commands}</{block}></LOGIN>'
        body = f'<RIBCL VERSION="2.0">{inside}</RIBCL>'
        url = f"https://{ADDRESS}:{self.port}/ribcl"
        async with self.http.post(url, data=body, ssl=self.context()) as reply:
            return await reply.text()

    async def rest(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Call the REST service: status, document and headers."""
        url = f"https://{ADDRESS}:{self.rest_port}{path}"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        context = self.context(self.rest_certificate)
        async with self.http.request(
            method, url, data=data, headers=headers, ssl=context
        ) as reply:
            return reply.status, await reply.json(), reply.headers

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Call the control API."""
        async with self.http.request(method, self.control + path, json=body) as reply:
            return reply.status, await reply.json()


@asynccontextmanager
async def _lab(directory: Path) -> AsyncIterator[Lab]:
    (directory / "lab.toml").write_text(CONFIG)
    async with running(load(directory / "lab.toml")), aiohttp.ClientSession() as http:
        ready = json.loads((directory / "ready.json").read_text())
        listening = []
        for server in ready["servers"].values():
            port = int(server["url"].rpartition(":")[2])
            listening += [port, Path(server["certificate"])]
        yield Lab(*listening, ready["control"], http)


@pytest.fixture
def in_lab(tmp_path: Path) -> Callable[[Callable[[Lab], Awaitable[None]]], None]:
    """Run a coroutine function in a lab, within a deadline."""

    async def run(play: Callable[[Lab], Awaitable[None]]) -> None:
        async with asyncio.timeout(DEADLINE), _lab(tmp_path) as lab:
            await play(lab)

    return lambda play: asyncio.run(run(play))
