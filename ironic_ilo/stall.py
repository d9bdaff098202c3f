"""Ending a program that stands still.

A write over iSCSI whose target is gone does not fail: libiscsi connects again and again, for
ever. Its own progress says too little: for a large image one percent can take longer than any
sensible deadline. What the kernel counts for the process (``/proc/<pid>/io``, proc(5)) is exact:
each request and each reply moves bytes.
"""

import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ironic_ilo import execute
from ironic_ilo.exception import ProcessError

# Waiting moves bytes as well: an event loop that wakes itself, logins to a target that has gone;
# less than 1 KiB a minute (measured). A disk that zeroes only 10 MB/s, by WRITE SAME of 32 MiB
# (LIO's most with sectors of 512 bytes), acknowledges enough of them for this in half a minute.
_MOVING_BYTES = 4 * 1024
_SAMPLE_SECONDS = 1.0
# The program tells its process id first. The script is fixed and the words of the command are its
# arguments, never parsed.
_ANNOUNCED = ("sh", "-c", 'echo "$$"; exec "$@"', "sh")


class Stalled(ProcessError):
    """A program moved no data for too long and was killed."""


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stall_timeout: float,
    ok_codes: Sequence[int] = (0,),
    pass_fds: Sequence[int] = (),
    limits: execute.Limits | None = None,
    env: dict[str, str] | None = None,
    on_output: execute.OutputCallback = lambda _text: None,
) -> execute.Result:
    """Run a program as ``execute.execute`` does, but end it when it stands still.

    :param stall_timeout: seconds in which it must read or write 4 KiB in all.
    :raises Stalled: it did not.
    :raises ProcessError: it failed, or did not end within ``timeout``.
    """
    with _Guard(stall_timeout) as guard:
        first_line = _FirstLine(lambda line: guard.watch(int(line)), on_output)
        try:
            result = execute.execute(
                [*_ANNOUNCED, *argv], timeout=timeout, ok_codes=ok_codes, pass_fds=pass_fds,
                limits=limits, env=env, on_output=first_line.feed,
            )  # fmt: skip
        except ProcessError as error:
            if guard.stalled:
                raise Stalled(f"{argv[0]} moved no data for {stall_timeout:g} s") from error
            raise
    return execute.Result(first_line.without(result.stdout), result.stderr, result.exit_code)


class _FirstLine:
    """Splits the first line from a program's output and passes the rest on."""

    def __init__(self, on_line: execute.OutputCallback, on_rest: execute.OutputCallback) -> None:
        self._on_line = on_line
        self._on_rest = on_rest
        self._begun = ""
        self._line: str | None = None

    def feed(self, text: str) -> None:
        if self._line is None:
            line, end, text = (self._begun + text).partition("\n")
            if not end:
                self._begun = line
                return
            self._line = line
            self._on_line(line)
        if text:
            self._on_rest(text)

    def without(self, output: str) -> str:
        """Return the kept output without the line, which a long output has lost anyway."""
        return output.removeprefix(f"{self._line}\n")


class _Guard:
    """Watches one process from a thread, and kills it when it stands still."""

    def __init__(self, seconds: float) -> None:
        self.stalled = False
        self._seconds = seconds
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def watch(self, pid: int) -> None:
        # The process is not reaped before its output ends, so this is surely that process.
        descriptor = os.pidfd_open(pid)
        self._thread = threading.Thread(
            target=self._watch, args=(pid, descriptor), name=f"stall-{pid}", daemon=True
        )
        self._thread.start()

    def _watch(self, pid: int, descriptor: int) -> None:
        try:
            if self._stands_still(pid):
                self.stalled = True
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except OSError:  # it has ended
            return
        finally:
            os.close(descriptor)

    def _stands_still(self, pid: int) -> bool:
        """Wait until it stood still for too long (true), or the guard is over (false)."""
        moved, since = _bytes_moved(pid), time.monotonic()
        while not self._over.wait(min(_SAMPLE_SECONDS, self._seconds / 4)):
            now = _bytes_moved(pid)
            if now - moved >= _MOVING_BYTES:
                moved, since = now, time.monotonic()
            elif time.monotonic() - since >= self._seconds:
                return True
        return False


def _bytes_moved(pid: int) -> int:
    """Return the bytes that a process has read and written so far, sockets included."""
    counters = dict(
        line.split(": ", 1) for line in Path(f"/proc/{pid}/io").read_text().splitlines()
    )
    return int(counters["rchar"]) + int(counters["wchar"])
