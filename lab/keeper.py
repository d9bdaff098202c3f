"""A process of its own that holds a lab up, and takes it down again.

Who starts it speaks to its standard input: first the settings, then, to leave the lab running,
``detach``. When that input ends before, for whatever reason, the lab goes down: even a client that
was killed leaves nothing behind. SIGTERM takes the lab down as well.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ironic_ilo.exception import Error, InvalidInput, ProcessError
from lab.services import Services, running_services
from lab.settings import Settings
from lab.signals import Stopped, stopped_by_signals

_LOCK = "lab.lock"
_STATE = "lab.json"
_LOG = "keeper.log"
_DETACH = "detach\n"
_SECONDS_TO_START = 300.0
_SECONDS_TO_STOP = 120.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Lab:
    """A lab that is up.

    :ivar pid: of its keeper.
    """

    pid: int
    directory: Path
    services: Services


class KeptLab:
    """A lab whose keeper stops when we do, unless it is left running."""

    def __init__(self, lab: Lab, control: IO[bytes]) -> None:
        self.services = lab.services
        self._control = control
        self.is_detached = False

    def leave_running(self) -> None:
        """Let the lab run on until :func:`stop_lab`."""
        self._control.write(_DETACH.encode())
        self._control.flush()
        self.is_detached = True


def find_lab(directory: Path) -> Lab | None:
    """Find the lab that is up in a directory, if one is."""
    try:
        state: dict[str, Any] = json.loads((directory / _STATE).read_text())
    except FileNotFoundError:
        return None
    if not _is_locked(directory):
        return None
    return Lab(state["pid"], directory, Services.from_dict(state["services"]))


def stop_lab(directory: Path) -> bool:
    """Take down the lab in a directory, and wait until it is.

    :returns: whether there was one.
    :raises ProcessError: it is still there after two minutes.
    """
    if not _is_locked(directory):
        return False
    pid = int((directory / _LOCK).read_text())
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _SECONDS_TO_STOP
    while _is_locked(directory):
        if time.monotonic() > deadline:
            raise ProcessError(f"The lab in {directory} (process {pid}) does not stop")
        time.sleep(_POLL_SECONDS)
    return True


@contextmanager
def kept_lab(settings: Settings, file_paths: list[Path]) -> Iterator[KeptLab]:
    """Start a lab, and take it down at the end of the block unless it is left running.

    :param settings: without a port 0.
    :param file_paths: directories whose files nodes may be deployed from.
    :raises InvalidInput: the directory is another lab's, or not a lab's.
    :raises ProcessError: a service could not be started.
    """
    request = {
        "settings": settings.as_dict(),
        "file_paths": [str(path) for path in file_paths],
    }
    with _claimed(settings.directory) as lock, (settings.directory / _LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lab.keeper"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            # A Ctrl-C is for us to handle: the keeper takes the lab down in order.
            start_new_session=True,
            # The lock is the keeper's for as long as it lives.
            pass_fds=(lock.fileno(),),
        )
        lock.write(str(process.pid))
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    kept: KeptLab | None = None
    try:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        kept = KeptLab(_wait_until_up(process, settings.directory), process.stdin)
        yield kept
    finally:
        if kept is None or not kept.is_detached:
            _end(process)


@contextmanager
def _claimed(directory: Path) -> Iterator[IO[str]]:
    """Make the directory and lock it; refuse one that is in use, or that we might spoil."""
    lock_file = directory / _LOCK
    if directory.is_dir() and any(directory.iterdir()) and not lock_file.exists():
        raise InvalidInput(
            f"{directory} holds files, and no lab has been there before",
            hint="A lab empties its directory: choose a new or an empty one with --dir.",
        )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock_file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidInput(
                f"A lab is running in {directory} already",
                hint="Stop it with './run lab down', or choose another --dir, --address and "
                "ports.",
            ) from error
        lock.truncate(0)
        (directory / _STATE).unlink(missing_ok=True)
        yield lock


def _wait_until_up(process: subprocess.Popen[bytes], directory: Path) -> Lab:
    deadline = time.monotonic() + _SECONDS_TO_START
    while (lab := find_lab(directory)) is None:
        if process.poll() is not None:
            raise ProcessError((directory / _LOG).read_text(errors="replace").strip())
        if time.monotonic() > deadline:
            raise ProcessError(
                f"The lab was not up within {_SECONDS_TO_START:g} s; see {directory}/logs"
            )
        time.sleep(_POLL_SECONDS)
    return lab


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the keeper's input, which makes it take the lab down, and wait for it."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_locked(directory: Path) -> bool:
    """Tell whether a keeper lives; the kernel drops its lock when it dies."""
    try:
        with (directory / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def main() -> int:
    """Keep a lab; the settings are in the first line of standard input."""
    request = json.loads(sys.stdin.readline())
    file_paths = [Path(path) for path in request["file_paths"]]
    settings = Settings.from_dict(request["settings"])
    try:
        with stopped_by_signals(signal.SIGTERM, signal.SIGINT):
            _keep(settings, file_paths)
    except Stopped:
        return 0
    except (Error, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _keep(settings: Settings, file_paths: list[Path]) -> None:
    """Run the services until told to stop."""
    directory = settings.directory
    _empty(directory)
    threading.Thread(target=_stop_with_client, daemon=True).start()
    with running_services(settings, file_paths=file_paths) as services:
        state = {"pid": os.getpid(), "services": services.as_dict()}
        unfinished = directory / f"{_STATE}.new"
        unfinished.write_text(json.dumps(state))
        unfinished.rename(directory / _STATE)
        try:
            while True:
                signal.pause()
        finally:
            (directory / _STATE).unlink()


def _empty(directory: Path) -> None:
    """Remove what an earlier lab left for people to look at."""
    for path in directory.iterdir():
        if path.name in (_LOCK, _LOG):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _stop_with_client() -> None:
    if sys.stdin.readline() != _DETACH:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
