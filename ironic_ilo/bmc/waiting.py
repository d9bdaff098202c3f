"""Deadlines, and waiting for another machine to change."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from ironic_ilo.exception import BmcBusy, BmcUnreachable

T = TypeVar("T")

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 2.0
_GROWTH = 1.5


class Deadline:
    """A moment after which nothing is waited for any more.

    :param seconds: how far away it is.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether the moment is over."""
        return time.monotonic() >= self._end

    def budget(self) -> float:
        """Tell the seconds left, for a call that takes a timeout.

        :raises TimeoutError: none are left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def sleep(self, seconds: float) -> None:
        """Sleep, but not past the deadline."""
        time.sleep(max(0.0, min(seconds, self._end - time.monotonic())))


def pauses() -> Iterator[float]:
    """Yield the seconds between two questions to an iLO: 0.2 at first, growing to 2."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def poll(read: Callable[[], T], wanted: Callable[[T], bool], seconds: float) -> T:
    """Read until the value is a wanted one or the deadline passes, and return the last one.

    An iLO that does not answer, or is busy, in between is asked again.

    :param seconds: the deadline; the value is read at least once, and once at the deadline.
    :raises BmcError: the last reading failed.
    """
    deadline = Deadline(seconds)
    for pause in pauses():
        try:
            seen = read()
        except (BmcUnreachable, BmcBusy):
            if deadline.passed:
                raise
        else:
            if wanted(seen) or deadline.passed:
                return seen
        deadline.sleep(pause)
    raise AssertionError  # pauses() never ends
