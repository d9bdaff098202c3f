"""Telling people what the demo does: live on a terminal, in plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from lab.timeline import Timeline

_SECONDS_BETWEEN_LINES = 5.0
_MIB = 1024 * 1024


class Reporter(Protocol):
    """Shows stages, one at a time, and how far each is."""

    def begin(self, title: str) -> None:
        """Show that a stage begins; the one before it is done."""

    def detail(self, text: str, percent: float | None = None) -> None:
        """Show what the stage does now, and how much of it is done if that is known."""


@contextmanager
def reporting(console: Console) -> Iterator[Reporter]:
    """Report on a console while the block runs."""
    if not console.is_terminal:
        yield _PlainReporter(console)
        return
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<44}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=console) as progress:
        reporter = _LiveReporter(progress)
        yield reporter
        reporter.end()


def write_detail(progress: dict[str, float]) -> str:
    """Say how far the writing of an image is.

    :param progress: ``driver_internal_info['ilo_deploy_progress']``.
    """
    total, rate = progress["bytes_total"] / _MIB, progress["bytes_per_second"] / _MIB
    detail = f"{progress['percent']:.0f} % of {total:.0f} MiB, {rate:.1f} MiB/s"
    left = progress.get("eta_seconds")
    return detail if left is None else f"{detail}, {left:.0f} s left"


def timeline_table(timeline: Timeline) -> Table:
    """Make the table of where the time went."""
    table = Table("stage", "seconds", "", title="Where the time went", title_justify="left")
    table.columns[1].justify = "right"
    longest = max(timeline.seconds.values(), default=0.0) or 1.0
    for name, seconds in timeline.seconds.items():
        table.add_row(name, f"{seconds:.1f}", "█" * round(30 * seconds / longest))
    table.add_section()
    table.add_row("total", f"{timeline.total:.1f}", "")
    return table


class _PlainReporter:
    """A line for each stage and each thing it does, and one now and then for how far it is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._last_text = ""
        self._last_printed = 0.0

    def begin(self, title: str) -> None:
        self._print(title)

    def detail(self, text: str, percent: float | None = None) -> None:
        is_due = time.monotonic() - self._last_printed >= _SECONDS_BETWEEN_LINES
        if text != self._last_text and (percent is None or is_due):
            self._print(f"    {text}")
            self._last_text = text
            self._last_printed = time.monotonic()

    def _print(self, text: str) -> None:
        seconds = time.monotonic() - self._started
        self._console.print(f"{seconds:6.1f} s  {text}", highlight=False, markup=False)


class _LiveReporter:
    """A line with a bar for each stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, title: str) -> None:
        self.end()
        self._task = self._progress.add_task(title, total=None, detail="")

    def detail(self, text: str, percent: float | None = None) -> None:
        if self._task is not None:
            total = None if percent is None else 100
            self._progress.update(self._task, detail=text, total=total, completed=percent or 0)

    def end(self) -> None:
        if self._task is not None:
            self._progress.update(self._task, total=100, completed=100, detail="")
