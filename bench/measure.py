"""What a piece of work costs this process and the tools that it starts."""

import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.results import Sample
from bench.wire import WireCounter
from tests.processes import find_descendants, read_text

_SECONDS_BETWEEN_LOOKS = 0.05
_KIB_IN_MIB = 1024
_PAGE_KIB = resource.getpagesize() // 1024
_OWN_PROGRAM = Path("/proc/self/exe").resolve()


def measure(
    work: Callable[[], None],
    *,
    portal: str | None = None,
    until_stored: Callable[[], None] = lambda: None,
) -> Sample:
    """Run something, and tell what it cost.

    CPU and memory are those of this process and of the children that it starts and reaps
    meanwhile; what was running before, such as an iSCSI target, is not counted.

    :param portal: whose TCP connections are counted.
    :param until_stored: makes what was written durable; counts as time, not as cost.
    """
    if portal is None:
        return _measure(work, until_stored, None)
    with WireCounter(portal) as wire:
        return _measure(work, until_stored, wire)


def _measure(
    work: Callable[[], None], until_stored: Callable[[], None], wire: WireCounter | None
) -> Sample:
    watcher = _Watcher(wire)
    cpu, began = _cpu_seconds(), time.monotonic()
    with watcher:
        work()
        cpu_used = _cpu_seconds() - cpu
        until_stored()
        wall = time.monotonic() - began
    return Sample(
        wall_s=wall,
        cpu_s=max(0.0, cpu_used - watcher.cpu_seconds),
        peak_rss_mib=watcher.peak_kib / _KIB_IN_MIB,
        wire_bytes=None if wire is None else wire.total(),
    )


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class _Watcher:
    """Looks at memory and at the wire while something runs.

    :ivar peak_kib: the most that children had in memory together, and this process grew by.
    :ivar cpu_seconds: what watching itself cost.
    """

    def __init__(self, wire: WireCounter | None) -> None:
        self.peak_kib = 0
        self.cpu_seconds = 0.0
        self._wire = wire
        self._strangers = set(find_descendants(os.getpid()))
        self._rss_before = _own_rss_kib()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_SECONDS_BETWEEN_LOOKS):
            if self._wire is not None:
                self._wire.drain()
            self.peak_kib = max(self.peak_kib, self._look())
            self.cpu_seconds = time.thread_time()

    def _look(self) -> int:
        tools = set(find_descendants(os.getpid())) - self._strangers
        grown = max(0, _own_rss_kib() - self._rss_before)
        return grown + sum(_peak_rss_kib(pid) for pid in tools)


def _own_rss_kib() -> int:
    return int(read_text(Path("/proc/self/statm")).split()[1]) * _PAGE_KIB


def _peak_rss_kib(pid: int) -> int:
    """Read the most that a tool had in memory so far; it is Python itself before exec(2)."""
    try:
        if Path(f"/proc/{pid}/exe").resolve() == _OWN_PROGRAM:
            return 0
    except OSError:
        return 0
    for line in read_text(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0
