"""Emulated iLOs with machines of paper: how our client reaches them, how to look behind them."""

import base64
import contextlib
import dataclasses
import datetime
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ironic_ilo.bmc import Access, Bmc, connect
from ironic_ilo.bmc.https import follow, make_endpoint

ADDRESS = "127.0.22.10"
USERNAME = "Administrator"
# Every character that XML would escape, with which RIBCL differs.
PASSWORD = "p&<w>'0rd;"
ISO = "http://127.0.22.1:8088/v1/signature/deploy.iso"
FLOPPY = "http://127.0.22.1:8088/v1/signature/image-1.img"
RIBCL = ("ilo4-gen8", "ilo4-gen9")
REDFISH = ("ilo5-early", "ilo5", "ilo6", "ilo7")
GENERATIONS = (*RIBCL, *REDFISH)
SESSIONS = "/redfish/v1/SessionService/Sessions/"

_SECONDS_TO_START = 60
_SECONDS_TO_ANSWER = 30
_CONFIG = """
[emulator]
state_dir = "{directory}"
control = "127.0.0.1:0"
ready_file = "{directory}/ready.json"
"""


@dataclasses.dataclass(frozen=True)
class Server:
    """What the emulator is told of a server; ``more`` are other keys of its table."""

    name: str
    generation: str
    address: str = ADDRESS
    password: str = PASSWORD
    more: dict[str, str] = dataclasses.field(default_factory=dict)

    def table(self) -> str:
        values = {"name": self.name, "generation": self.generation, "address": self.address}
        values |= {"username": USERNAME, "password": self.password, **self.more}
        # A JSON string is a TOML one, too.
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        return "\n".join(["[[server]]", "port = 0", *lines, ""])


@dataclasses.dataclass(frozen=True)
class Emulated:
    """One emulated iLO: how to reach it, and how to look behind it."""

    name: str
    generation: str
    access: Access
    control: str

    @property
    def speaks_redfish(self) -> bool:
        return self.generation in REDFISH

    def connect(self, **changes: Any) -> Bmc:
        return connect(dataclasses.replace(self.access, **changes))

    def state(self) -> Any:
        return self._call("GET", "")

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[str]]:
        """List what it is asked while the block runs, once that is over; the first first."""
        asked: list[str] = []
        start = datetime.datetime.now(datetime.UTC)
        yield asked
        records = self._call("GET", "/requests")
        since = start.isoformat(timespec="microseconds")
        asked += [record["command"] for record in records if record["at"] >= since]

    @contextlib.contextmanager
    def fault(self, **faults: Any) -> Iterator[None]:
        self._call("PUT", "/faults", json.dumps(faults).encode())
        try:
            yield
        finally:
            self._call("DELETE", "/faults")

    def rest(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any, Any]:
        """Ask its REST service as somebody else, without a session: status, document, headers."""
        login = base64.b64encode(f"{USERNAME}:{self.access.password}".encode()).decode()
        given = {"Authorization": f"Basic {login}", "Content-Type": "application/json", **headers}
        data = None if body is None else json.dumps(body).encode()
        reply = follow(make_endpoint(self.access), method, path, given, data)
        return reply.status, json.loads(reply.body), reply.headers

    def sessions(self) -> list[str]:
        """List the paths of the sessions that there are."""
        members = self.rest("GET", SESSIONS)[1]["Members"]
        return [member["@odata.id"] for member in members]

    def _call(self, method: str, path: str, data: bytes | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.control}/servers/{self.name}{path}",
            data,
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER) as response:
            content = response.read()
        return json.loads(content) if content else None


@contextlib.contextmanager
def running_emulator(directory: Path, servers: Iterable[Server]) -> Iterator[dict[str, Emulated]]:
    """Run ``ilo-emulator`` with some servers; the value is how to reach them, by name."""
    known = {server.name: server for server in servers}
    config = directory / "lab.toml"
    tables = [server.table() for server in known.values()]
    config.write_text("\n".join([_CONFIG.format(directory=directory), *tables]))
    command = [sys.executable, "-m", "ilo_emulator.cli", "--config", str(config)]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            ready = _wait_for(directory / "ready.json", process)
            yield {name: _reach(server, ready) for name, server in known.items()}
        finally:
            process.terminate()
            process.wait(_SECONDS_TO_START)


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> Any:
    deadline = time.monotonic() + _SECONDS_TO_START
    while not path.exists():
        assert process.poll() is None, "the emulator has ended"
        assert time.monotonic() < deadline, "the emulator is not ready in time"
        time.sleep(0.1)
    return json.loads(path.read_text())


def _reach(server: Server, ready: Any) -> Emulated:
    listening = ready["servers"][server.name]
    port = int(listening["url"].rpartition(":")[2])
    access = Access(
        server.address,
        USERNAME,
        server.password,
        port,
        verify_ca=listening["certificate"],
        timeout=_SECONDS_TO_ANSWER,
    )
    return Emulated(server.name, server.generation, access, ready["control"])
