"""The emulated servers of a lab: ``ilo-emulator``, and a client of its control API."""

import json
import os
import secrets
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests

from lab.process import Program, own_command, running
from lab.settings import AGENT_PORT, ILO_PORT, ISCSI_PORT, LOOPBACK, Settings

USER_NAME = "Administrator"

# All of the agent's system is in memory.
_AGENT_MIB = 2048
_SECONDS_TO_START = 60.0
_SECONDS_FOR_ANSWER = 60.0


@dataclass(frozen=True)
class EmulatedServer:
    """How to reach one emulated server.

    :ivar password_file: readable by its owner alone.
    :ivar certificate: PEM file to verify its iLO with.
    :ivar iscsi_portal: where its ramdisk's target is reached from here.
    """

    name: str
    address: str
    port: int
    username: str
    password_file: str
    certificate: str
    mac: str
    iscsi_portal: str

    def read_password(self) -> str:
        """Read the password of its iLO."""
        return Path(self.password_file).read_text()


class Control:
    """The emulator's control API.

    :param url: where it listens.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()

    def server(self, name: str) -> dict[str, Any]:
        """Describe a server: ``power``, ``boots``, ``media``, ``bytes_fetched`` and more."""
        described: dict[str, Any] = self._call("GET", name)
        return described

    def requests(self, name: str) -> list[dict[str, str]]:
        """List the commands that a server's iLO was given lately."""
        recent: list[dict[str, str]] = self._call("GET", f"{name}/requests")
        return recent

    def set_faults(self, name: str, **faults: float | bool) -> None:
        """Make a server's iLO misbehave, in these ways alone."""
        self._call("PUT", f"{name}/faults", faults)

    def clear_faults(self, name: str) -> None:
        """Make a server's iLO behave again."""
        self._call("DELETE", f"{name}/faults")

    def reset(self, name: str) -> None:
        """Reset a server as its own system would."""
        self._call("POST", f"{name}/reset")

    def press(self, name: str) -> None:
        """Press a server's power button."""
        self._call("POST", f"{name}/press")

    def screenshot(self, name: str) -> Path:
        """Take a picture of a server's screen, as a PNG file."""
        return Path(self._call("POST", f"{name}/screenshot")["path"])

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def _call(self, method: str, path: str, body: object = None) -> Any:
        reply = self._session.request(
            method, f"{self._url}/servers/{path}", json=body, timeout=_SECONDS_FOR_ANSWER
        )
        reply.raise_for_status()
        return reply.json()


@dataclass(frozen=True)
class Emulator:
    """A running emulator.

    :ivar servers: by name.
    """

    control_url: str
    servers: dict[str, EmulatedServer]


@contextmanager
def running_emulator(settings: Settings) -> Iterator[Emulator]:
    """Run a lab's servers, all off, while the block runs.

    :raises ProcessError: it could not be started; the end of its log is in the text.
    """
    config = _write_config(settings)
    ready_file = settings.directory / "emulator.json"
    program = Program(
        "The emulator",
        [own_command("ilo-emulator"), "--config", config],
        settings.directory / "logs" / "ilo-emulator.log",
    )
    with running(program, is_ready=ready_file.exists, timeout=_SECONDS_TO_START):
        yield _read_ready_file(ready_file, config)


def _write_config(settings: Settings) -> Path:
    """Write the emulator's configuration; passwords are new, and in files of their own."""
    directory = settings.directory / "emulator"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    tables = [
        _table(
            "[emulator]",
            state_dir=str(directory),
            control=f"{LOOPBACK}:{settings.ports.control}",
            ready_file=str(settings.directory / "emulator.json"),
        )
    ]
    for number, name in enumerate(settings.node_names()):
        tables += _server_tables(settings, directory, number, name)
    path = directory / "lab.toml"
    path.write_text("\n".join(tables))
    return path


def _server_tables(settings: Settings, directory: Path, number: int, name: str) -> Iterator[str]:
    address = settings.node_address(number)
    yield _table(
        "[[server]]",
        name=name,
        address=address,
        port=ILO_PORT,
        username=USER_NAME,
        password_file=str(_write_password(directory / f"{name}.password")),
        generation=settings.generation,
        boot_mode=settings.boot_mode,
        secure_boot=settings.secure_boot,
        machine=settings.machine,
    )
    if settings.machine == "qemu":
        yield _table(
            "[server.qemu]",
            # Under TCG a second one costs more than it does: on two cores a deploy takes a third
            # more CPU time with it (measured).
            cpus=1,
            disk=str(directory / f"{name}.qcow2"),
            mac=_mac(number),
            iscsi_portal=f"{address}:{ISCSI_PORT}",
            memory_mib=_AGENT_MIB if settings.agent else None,
            agent_portal=f"{address}:{AGENT_PORT}" if settings.agent else None,
        )
        for disk in settings.extra_disks:
            yield _table("[[server.qemu.extra_disks]]", **asdict(disk))


def _write_password(path: Path) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(16))
    return path


def _mac(number: int) -> str:
    """Make a MAC address of the range that QEMU's guests use."""
    return f"52:54:00:11:{number >> 8:02x}:{number & 255:02x}"


def _table(header: str, **values: str | int | None) -> str:
    # A JSON string, number or truth value is a TOML one, too; TOML has nothing for None.
    given = {name: value for name, value in values.items() if value is not None}
    lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
    return "\n".join((header, *lines, ""))


def _read_ready_file(ready_file: Path, config: Path) -> Emulator:
    ready = json.loads(ready_file.read_text())
    servers = {}
    for number, table in enumerate(tomllib.loads(config.read_text())["server"]):
        name, listening = table["name"], ready["servers"][table["name"]]
        servers[name] = EmulatedServer(
            name=name,
            address=table["address"],
            port=int(listening["url"].rpartition(":")[2]),
            username=table["username"],
            password_file=table["password_file"],
            certificate=listening["certificate"],
            mac=_mac(number),
            iscsi_portal=f"{table['address']}:{ISCSI_PORT}",
        )
    return Emulator(ready["control"], servers)
