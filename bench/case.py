"""What a case of the bench is, and what it is run with."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.results import Row
from bench.stores import require_space


@dataclass(frozen=True)
class Context:
    """How a run is made.

    :ivar directory: where the files of the cases go; each removes its own.
    :ivar repeat: how often each tool is measured.
    :ivar quick: small sizes, for a look.
    :ivar say: tells people what is done now.
    """

    directory: Path
    repeat: int
    quick: bool
    say: Callable[[str], None]

    def rounds(self, case: str) -> Iterator[int]:
        """Count the repeats, aloud."""
        for number in range(1, self.repeat + 1):
            self.say(f"{case}: round {number} of {self.repeat}")
            yield number


class Case(ABC):
    """Some tools, side by side.

    :ivar name: for ``--only`` and the table.
    :ivar in_quick_run: whether a quick run has it unless it is asked for.
    """

    name: str
    in_quick_run = True

    @abstractmethod
    def seconds(self, context: Context) -> float:
        """Estimate how long it takes, on a quiet machine with two cores."""

    @abstractmethod
    def bytes_needed(self, context: Context) -> int:
        """Say how much of the disk it needs meanwhile."""

    @abstractmethod
    def measure(self, context: Context, directory: Path) -> Sequence[Row]:
        """Measure all tools, in turn within each repeat: what disturbs one disturbs all.

        :param directory: an empty one, for its files.
        """

    def run(self, context: Context) -> Sequence[Row]:
        """Measure, and leave nothing behind.

        :raises InvalidInput: the disk has no room for it.
        """
        require_space(context.directory, self.bytes_needed(context), f"The case {self.name}")
        with TemporaryDirectory(prefix=f"{self.name}-", dir=context.directory) as directory:
            return self.measure(context, Path(directory))
