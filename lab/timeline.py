"""Where the time goes: stages with a name, one after the other."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timeline:
    """Seconds by stage, in the order in which the stages began."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.monotonic()

    @property
    def total(self) -> float:
        """Seconds since the timeline began."""
        return time.monotonic() - self._started

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block; a stage that comes twice is added up."""
        self.seconds.setdefault(name, 0.0)
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] += time.monotonic() - started

    def add_marks(self, marks: list[dict[str, float | str]]) -> None:
        """Take over stages of a deploy.

        :param marks: ``driver_internal_info['ilo_deploy_timeline']``; a stage lasts until the
            next one begins, so the last one has no length.
        """
        for mark, following in itertools.pairwise(marks):
            seconds = float(following["at"]) - float(mark["at"])
            name = str(mark["stage"])
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
