"""An Ironic besides the one of a lab, for what needs options of its own, or restarts."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from lab.config_file import write_config_file
from lab.database import IRONIC, create_database
from lab.emulator import running_emulator
from lab.image_server import running_image_server
from lab.ironic_service import write_config
from lab.process import Program, own_command, running
from lab.services import Services
from tests.functional.cloud import Artifacts, Cloud, paper_settings

SECONDS = 120


@dataclass
class Conductor:
    """An Ironic that can be ended, and started again on the same database.

    :ivar config: its configuration files; the later ones win.
    :ivar list_drivers: ask its API for ``/v1/drivers``.
    :ivar environment: variables on top of our own.
    """

    config: list[Path]
    log: Path
    list_drivers: Callable[[], requests.Response]
    environment: Mapping[str, str] = field(default_factory=dict)
    _host: str = "lab"
    _running: ExitStack = field(default_factory=ExitStack)
    _process: subprocess.Popen[bytes] | None = None

    def start(self, host: str | None = None) -> None:
        """Start it, under another host name if one is given."""
        self._host = host or self._host
        named = self.config[-1].with_name(f"{self._host}.conf")
        write_config_file(named, {"DEFAULT": {"host": self._host}})
        files = (f"--config-file={path}" for path in (*self.config, named))
        argv = [own_command("ironic"), *files]
        program = Program("Ironic", argv, self.log, self.environment)
        self._process = self._running.enter_context(
            running(program, is_ready=self._drives, timeout=SECONDS)
        )

    def _drives(self) -> bool:
        try:
            reply = self.list_drivers()
        except requests.ConnectionError:
            return False
        return "ilo" in {driver["name"] for driver in reply.json().get("drivers", ())}

    @property
    def pid(self) -> int:
        """Its master process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End it."""
        self._running.close()

    def kill(self) -> None:
        """End it as a power failure does: it tidies up nothing."""
        assert self._process is not None
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(SECONDS)
        self.stop()

    def restart(self, host: str | None = None) -> None:
        """End it, and start it again, under another host name if one is given."""
        self.stop()
        self.start(host)

    def said(self) -> str:
        """Read its log."""
        return self.log.read_text()


@contextmanager
def running_conductor(
    directory: Path,
    artifacts: Artifacts,
    *,
    first_address: str,
    options: Mapping[str, Mapping[str, object]],
    nodes: int = 1,
    session: requests.Session | None = None,
) -> Iterator[tuple[Cloud, Conductor]]:
    """Run a lab of paper machines whose conductor can be ended, and started again.

    :param session: signed in, where Ironic's API asks who calls.
    """
    settings = paper_settings(directory, first_address=first_address, nodes=nodes)
    config = write_config(settings, file_paths=[artifacts.directory], options=options)
    create_database(IRONIC, directory / "ironic" / "ironic.sqlite")
    with running_emulator(settings) as emulator, running_image_server(settings, config):
        services = Services(
            settings.api_url, str(config), emulator.control_url, emulator.servers, {}, None
        )
        cloud = Cloud(directory, services, artifacts, session or requests.Session())
        log, temporary = directory / "logs" / "ironic.log", directory / "tmp"
        temporary.mkdir()
        conductor = Conductor(
            [config], log, lambda: cloud.call("GET", "drivers"), {"TMPDIR": str(temporary)}
        )
        conductor.start()
        try:
            yield cloud, conductor
        finally:
            conductor.stop()


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait for something that should come soon."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
