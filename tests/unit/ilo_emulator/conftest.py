"""Emulated iLOs with machines of paper, listening for real."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
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
SERVER = f"""
[[server]]
name = "%s"
address = "{ADDRESS}"
port = 0
password = "{PASSWORD}"
generation = "%s"
"""


def login(password: str = PASSWORD, scheme: str = "Basic") -> dict[str, str]:
    """Write the headers of a login."""
    encoded = base64.b64encode(f"Administrator:{password}".encode()).decode()
    return {"Authorization": f"{scheme} {encoded}"}


def message(document: dict[str, Any]) -> str:
    """Read the message of a Redfish reply, which has this form always."""
    assert document["error"]["code"] == "iLO.0.10.ExtendedInfo"
    [entry] = document["error"]["@Message.ExtendedInfo"]
    name: str = entry.get("MessageId") or entry["MessageID"]
    return name


@dataclass(frozen=True)
class Listening:
    """Where an emulated iLO listens."""

    port: int
    certificate: Path

    def context(self) -> ssl.SSLContext:
        """Trust its certificate, as strictly as OpenSSL can."""
        context = ssl.create_default_context(cafile=self.certificate)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def url(self, path: str) -> str:
        """Write a URL of it."""
        return f"https://{ADDRESS}:{self.port}{path}"


@dataclass(frozen=True)
class Lab:
    """Where the emulated iLOs and the control API listen.

    :ivar ilos: ``node-0``, a Gen8, and ``gen9``; and what else was asked for, by its generation.
    """

    ilos: dict[str, Listening]
    control: str
    http: aiohttp.ClientSession

    @property
    def port(self) -> int:
        """Where the Gen8 listens."""
        return self.ilos["node-0"].port

    def context(self) -> ssl.SSLContext:
        """Trust the Gen8."""
        return self.ilos["node-0"].context()

    async def exchange(self, request: bytes) -> bytes:
        """Send bytes over TLS and read until the iLO closes."""
        reader, writer = await asyncio.open_connection(ADDRESS, self.port, ssl=self.context())
        writer.write(request)
        reply = await reader.read()
        writer.close()
        return reply

    async def ribcl(
        self,
        block: str,
        commands: str,
        password: str = PASSWORD,
        mode: str = "write",
        server: str = "node-0",
    ) -> str:
        """Send a script with one block and return the whole reply, with its chunks joined."""
        login = f'<LOGIN USER_LOGIN="Administrator" PASSWORD="{password}">'
        inside = f'{login}<{block} MODE="{mode}">{commands}</{block}></LOGIN>'
        body = f'<RIBCL VERSION="2.0">{inside}</RIBCL>'
        ilo = self.ilos[server]
        async with self.http.post(ilo.url("/ribcl"), data=body, ssl=ilo.context()) as reply:
            return await reply.text()

    async def rest(
        self, method: str, path: str, body: object = None, server: str = "gen9", **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Call a REST service: status, document and headers; bytes are sent as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | headers
        ilo = self.ilos[server]
        async with self.http.request(
            method,
            ilo.url(path),
            data=data,
            headers=headers,
            ssl=ilo.context(),
            allow_redirects=False,
        ) as reply:
            return reply.status, await reply.json(), reply.headers

    async def redfish(
        self, method: str, path: str, body: object = None, server: str = "ilo5", **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Call a Redfish service, logged in; the path begins after ``/redfish/v1``."""
        data = b"" if body is None else body
        return await self.rest(method, f"/redfish/v1{path}", data, server, **login(), **headers)

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Call the control API."""
        async with self.http.request(method, self.control + path, json=body) as reply:
            return reply.status, await reply.json()


@asynccontextmanager
async def _lab(directory: Path, generations: Sequence[str]) -> AsyncIterator[Lab]:
    servers = [SERVER % (name, name) for name in generations]
    (directory / "lab.toml").write_text("".join([CONFIG, *servers]))
    async with running(load(directory / "lab.toml")), aiohttp.ClientSession() as http:
        ready = json.loads((directory / "ready.json").read_text())
        ilos = {
            name: Listening(int(server["url"].rpartition(":")[2]), Path(server["certificate"]))
            for name, server in ready["servers"].items()
        }
        yield Lab(ilos, ready["control"], http)


@pytest.fixture
def in_lab(tmp_path: Path) -> Callable[..., None]:
    """Run a coroutine function in a lab, with servers of these generations, within a deadline."""

    async def run(play: Callable[[Lab], Awaitable[None]], generations: Sequence[str]) -> None:
        async with asyncio.timeout(DEADLINE), _lab(tmp_path, generations) as lab:
            await play(lab)

    return lambda play, *generations: asyncio.run(run(play, generations))
