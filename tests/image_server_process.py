"""Runs the real image server as a process, on loopback, for tests."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIGNING_KEY = "0123456789abcdef0123456789abcdef"
HOST = "127.0.23.1"
_SECONDS_TO_START = 60
_SECONDS_TO_STOP = 60

_PROGRAM = """
import json, logging, sys
from pathlib import Path
from ironic_ilo.image_server import run_server
logging.basicConfig(level=logging.DEBUG, format="%(name)s %(message)s")
options = json.loads(sys.argv[1])
for name in ("root", "ready_file"):
    options[name] = Path(options[name])
run_server(signing_key=sys.stdin.read(), **options)
"""


@dataclass(frozen=True)
class RunningImageServer:
    url: str
    root: Path
    process: subprocess.Popen[str]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.rpartition("//")[2].rpartition(":")
        return host, int(port)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_SECONDS_TO_STOP)


@contextmanager
def running_image_server(directory: Path, **options: object) -> Iterator[RunningImageServer]:
    """Run a server over ``<directory>/root``; ``options`` go to ``run_server``."""
    root, ready_file, log_file = directory / "root", directory / "ready", directory / "log"
    every = {"root": str(root), "host": HOST, "port": 0, "ready_file": str(ready_file)} | options
    with log_file.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps(every)],
            stdin=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdin is not None
        process.stdin.write(SIGNING_KEY)
        process.stdin.close()
        deadline = time.monotonic() + _SECONDS_TO_START
        while not ready_file.exists():
            assert process.poll() is None, log_file.read_text()
            assert time.monotonic() < deadline, "the image server did not start"
            time.sleep(0.02)
        ready = json.loads(ready_file.read_text())
        assert ready["pid"] == process.pid
        yield RunningImageServer(ready["url"], root, process, log_file)
    finally:
        process.kill()
        process.wait(_SECONDS_TO_STOP)
