"""What a run found: rows, and the targets that they meet or miss."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_DIGITS = 3


class Bound(StrEnum):
    """Which side of a target is good."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True)
class Target:
    """A figure that was promised, beside what was seen.

    :ivar name: of what was measured, with its unit.
    """

    name: str
    value: float
    bound: Bound
    limit: float

    @property
    def is_met(self) -> bool:
        """Whether the value is on the good side, or on the limit."""
        if self.bound is Bound.AT_LEAST:
            return self.value >= self.limit
        return self.value <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """Give a form for JSON."""
        return {
            "name": self.name,
            "value": round(self.value, _DIGITS),
            "bound": f"{self.bound} {self.limit:.3g}",
            "met": self.is_met,
        }


@dataclass(frozen=True)
class Sample:
    """One run of one tool; what does not apply is ``None``.

    :ivar wall_s: seconds.
    :ivar cpu_s: seconds of CPU time of the conductor's side: Python and its tools.
    :ivar peak_rss_mib: the most that its tools had in memory together, and what Python grew by.
    :ivar wire_bytes: payload of TCP, both ways; or what a BMC fetched.
    """

    wall_s: float
    cpu_s: float | None = None
    peak_rss_mib: float | None = None
    wire_bytes: int | None = None


@dataclass(frozen=True)
class Row:
    """One tool in one case, over all repeats.

    :ivar ratio: what it compares is the case's own; see the documentation.
    """

    case: str
    tool: str
    samples: Sequence[Sample]
    nodes: int = 1
    ratio: float | None = None
    targets: Sequence[Target] = ()

    @property
    def wall_s(self) -> float:
        """Median of the seconds."""
        return statistics.median(sample.wall_s for sample in self.samples)

    @property
    def cpu_s(self) -> float | None:
        """Median of the CPU seconds."""
        return _median([sample.cpu_s for sample in self.samples])

    @property
    def peak_rss_mib(self) -> float | None:
        """The highest peak: a limit on memory has to hold each time."""
        return max((sample.peak_rss_mib or 0.0 for sample in self.samples), default=0.0) or None

    @property
    def wire_bytes(self) -> int | None:
        """Median of the bytes."""
        value = _median([sample.wire_bytes for sample in self.samples])
        return None if value is None else round(value)

    def as_dict(self, *, quick: bool) -> dict[str, Any]:
        """Give a form for JSON.

        :param quick: the sizes were not those that the targets are about.
        """
        walls = [sample.wall_s for sample in self.samples]
        return {
            "case": self.case,
            "tool": self.tool,
            "nodes": self.nodes,
            "wall_s": {
                "median": _rounded(self.wall_s),
                "min": _rounded(min(walls)),
                "max": _rounded(max(walls)),
            },
            "cpu_s": _rounded(self.cpu_s),
            "peak_rss_mib": _rounded(self.peak_rss_mib),
            "wire_bytes": self.wire_bytes,
            "ratio": _rounded(self.ratio),
            "targets": [target.as_dict() for target in self.targets],
            "repeats": len(self.samples),
            "quick": quick,
        }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
