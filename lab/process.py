"""Programs and services that the lab starts, each in a process group of its own, always reaped.

``ironic_ilo.execute`` runs short tools to their end; here live the services, and long builds that
must be asked politely to stop so that they clean up after themselves.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ironic_ilo.exception import ProcessError

_SHOWN_LINES = 20
_POLL_SECONDS = 0.1
_SECONDS_AFTER_KILL = 10.0

Argument = str | os.PathLike[str]


@dataclass(frozen=True)
class Program:
    """What to start.

    :ivar name: what people call it.
    :ivar log: takes the command and its output, appended; readable by its owner alone.
    :ivar environment: variables on top of our own.
    :ivar stop_seconds: it is killed when it has not ended so long after SIGTERM.
    :ivar fatal: text that stands in its log when it will never be ready, though it still runs.
    """

    name: str
    argv: Sequence[Argument]
    log: Path
    environment: Mapping[str, str] | None = None
    stop_seconds: float = 20.0
    fatal: str | None = None


def own_command(name: str) -> Path:
    """Find a command that is installed beside this Python, as console scripts are."""
    return Path(sys.executable).with_name(name)


class Starting:
    """A service that was started, and may not be ready yet."""

    def __init__(
        self,
        program: Program,
        process: subprocess.Popen[bytes],
        is_ready: Callable[[], bool],
        timeout: float,
    ) -> None:
        self.process = process
        self._program = program
        self._is_ready = is_ready
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout

    def wait(self) -> None:
        """Wait until it is ready.

        :raises ProcessError: it ended instead, or was not ready in time.
        """
        while not self._is_ready():
            if self.process.poll() is not None:
                raise _failed(self._program, f"ended with exit code {self.process.returncode}")
            if self._has_said_that_it_cannot_work():
                raise _failed(self._program, "cannot work")
            if time.monotonic() > self._deadline:
                raise _failed(self._program, f"was not ready within {self._timeout:g} s")
            time.sleep(_POLL_SECONDS)

    def _has_said_that_it_cannot_work(self) -> bool:
        fatal = self._program.fatal
        return fatal is not None and fatal in self._program.log.read_text(errors="replace")


@contextmanager
def starting(
    program: Program, *, is_ready: Callable[[], bool], timeout: float
) -> Iterator[Starting]:
    """Run a service while the block runs, and let others start beside it.

    :param is_ready: asked again and again until it says yes.
    :param timeout: seconds from now within which it must be ready.
    """
    with _started(program) as process:
        yield Starting(program, process, is_ready, timeout)


@contextmanager
def running(
    program: Program, *, is_ready: Callable[[], bool], timeout: float
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service while the block runs; it is ready when that begins.

    Parameters are those of :func:`starting`.

    :raises ProcessError: it ended instead, or was not ready in time.
    """
    with starting(program, is_ready=is_ready, timeout=timeout) as service:
        service.wait()
        yield service.process


def run(program: Program, *, timeout: float) -> None:
    """Run a program to its end.

    :param timeout: seconds after which it is told to stop.
    :raises ProcessError: it failed, or did not end in time.
    """
    with _started(program) as process:
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise _failed(program, f"did not end within {timeout:g} s") from None
    if code != 0:
        raise _failed(program, f"failed with exit code {code}")


@contextmanager
def _started(program: Program) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that is told to stop when we die, and stop it at the end of the block."""
    with _opened_for_append(program.log) as log:
        os.write(log, f"$ {shlex.join(_words(program))}\n".encode())
        try:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *_words(program)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(program.environment or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessError(f"{program.name} could not be started: {error}") from error
    try:
        yield process
    finally:
        _stop(process, program.stop_seconds)


def _words(program: Program) -> list[str]:
    return [os.fspath(argument) for argument in program.argv]


@contextmanager
def _opened_for_append(path: Path) -> Iterator[int]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _stop(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End a program and all of its group; the group's number is ours until it is reaped."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    if not _ended_within(process, seconds):
        os.killpg(process.pid, signal.SIGKILL)
        _ended_within(process, _SECONDS_AFTER_KILL)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(_SECONDS_AFTER_KILL)


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    options = os.WEXITED | os.WNOWAIT | os.WNOHANG
    while os.waitid(os.P_PID, process.pid, options) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _failed(program: Program, how: str) -> ProcessError:
    lines = program.log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
    shown = "\n".join(f"    {line}" for line in lines) or "    (nothing)"
    return ProcessError(
        f"{program.name} {how}. It last said:\n{shown}\nThe whole log: {program.log}"
    )
