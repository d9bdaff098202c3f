"""Ending a program that stands still.

A write over iSCSI whose target is gone does not fail: libiscsi connects again and again, for
ever. Its own progress says too little: for a large image one percent can take longer than any
sensible deadline. What the kernel counts for the process (``/proc/<pid>/io``, proc(5)) is exact:
each request and each reply moves bytes.
"""

import time
from pathlib import Path

from ironic_ilo.exception import ProcessError

# Waiting moves bytes as well: an event loop that wakes itself, logins to a target that has gone;
# less than 1 KiB a minute (measured). A disk that zeroes only 10 MB/s, by WRITE SAME of 32 MiB
# (LIO's most with sectors of 512 bytes), acknowledges enough of them for this in half a minute.
_MOVING_BYTES = 4 * 1024


class Stalled(ProcessError):
    """A program moved no data for too long and was killed."""


class StallGuard:
    """Ends a program that stands still: the ``on_tick`` of ``execute.execute``.

    :param name: the program's, for the message.
    :param seconds: in which it must read or write 4 KiB in all.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._moved = 0
        self._since = time.monotonic()

    def __call__(self, pid: int) -> None:
        """Look at the process; raise ``Stalled`` when it has stood still for too long."""
        moved = _bytes_moved(pid)
        if moved is None or moved - self._moved >= _MOVING_BYTES:
            self._moved, self._since = moved or self._moved, time.monotonic()
        elif time.monotonic() - self._since >= self._seconds:
            raise Stalled(f"{self._name} moved no data for {self._seconds:g} s")


def _bytes_moved(pid: int) -> int | None:
    """Read how many bytes a process has moved so far, sockets included; ``None``: it has ended."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return None
    counters = dict(line.split(": ", 1) for line in lines)
    return int(counters["rchar"]) + int(counters["wchar"])
