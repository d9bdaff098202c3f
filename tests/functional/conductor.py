"""An Ironic besides the one of a lab, for what needs options of its own, or restarts."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import requests

from lab.config_file import write_config_file
from lab.process import Program, own_command, running

SECONDS = 120


@dataclass
class Conductor:
    """An Ironic that can be ended, and started again on the same database.

    :ivar config: its configuration files; the later ones win.
    :ivar list_drivers: ask its API for ``/v1/drivers``.
    """

    config: list[Path]
    log: Path
    list_drivers: Callable[[], requests.Response]
    _running: ExitStack = field(default_factory=ExitStack)
    _process: subprocess.Popen[bytes] | None = None

    def start(self, host: str = "lab") -> None:
        """Start it under a host name."""
        named = self.config[-1].with_name(f"{host}.conf")
        write_config_file(named, {"DEFAULT": {"host": host}})
        files = (f"--config-file={path}" for path in (*self.config, named))
        program = Program("Ironic", [own_command("ironic"), *files], self.log)
        self._process = self._running.enter_context(
            running(program, is_ready=self._drives, timeout=SECONDS)
        )

    def _drives(self) -> bool:
        try:
            reply = self.list_drivers()
        except requests.ConnectionError:
            return False
        return "ilo" in {driver["name"] for driver in reply.json().get("drivers", ())}

    def stop(self) -> None:
        """End it."""
        self._running.close()

    def kill(self) -> None:
        """End it as a power failure does: it tidies up nothing."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(SECONDS)
        self.stop()

    def restart(self, host: str = "lab") -> None:
        """End it, and start it again."""
        self.stop()
        self.start(host)

    def said(self) -> str:
        """Read its log."""
        return self.log.read_text()


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait for something that should come soon."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
