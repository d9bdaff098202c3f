"""Ending in order when a signal says so."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """A signal asked us to stop; the main thread unwinds, and cleans up on its way.

    :ivar exit_code: what a shell shows for a program that the signal ended.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextmanager
def stopped_by_signals(*numbers: signal.Signals, notice: str = "") -> Iterator[None]:
    """Raise ``Stopped`` in the block when one of the signals comes.

    Further ones are ignored from then on: they would interrupt the clean-up. What must end at once
    can be killed.

    :param notice: written to standard error at once, for cleaning up may take a while.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        os.write(sys.stderr.fileno(), notice.encode())
        raise Stopped(number)

    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
