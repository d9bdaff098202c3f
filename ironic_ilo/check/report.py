"""Printing findings: in colour on a terminal, in plain lines elsewhere, or as JSON."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ironic_ilo.check.findings import Finding, Status

_STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.FAILURE: "bold red",
    Status.SKIPPED: "dim",
}
_STATUS_WIDTH = max(len(status) for status in Status)
_NAME_WIDTH = 14
_GAP = "  "


def print_text(findings: Iterable[Finding], output: TextIO) -> Counter[Status]:
    """Print each finding as it comes, and a summary; tell how many there are of each status."""
    console = Console(file=output)
    counts: Counter[Status] = Counter()
    for finding in findings:
        counts[finding.status] += 1
        if console.is_terminal:
            console.print(_row(finding))
        else:
            _print_plain(finding, output)
    output.write(f"{_summary(counts)}\n")
    return counts


def print_json(findings: Iterable[Finding], output: TextIO) -> Counter[Status]:
    """Print all findings as a list; tell how many there are of each status."""
    found = list(findings)
    json.dump([asdict(finding) for finding in found], output, indent=2)
    output.write("\n")
    return Counter(finding.status for finding in found)


def _row(finding: Finding) -> Table:
    table = Table.grid(padding=(0, len(_GAP)))
    table.add_column(width=_STATUS_WIDTH)
    table.add_column(width=_NAME_WIDTH)
    table.add_column(overflow="fold")
    status = Text(finding.status, _STYLES[finding.status])
    table.add_row(status, finding.check, Text(finding.detail))
    if finding.hint:
        table.add_row("", "", Text(finding.hint, "cyan"))
    return table


def _print_plain(finding: Finding, output: TextIO) -> None:
    """Print one line, and one with the hint, neither of them wrapped: for grep and logs."""
    margin = f"{finding.status:<{_STATUS_WIDTH}}{_GAP}{finding.check:<{_NAME_WIDTH}}{_GAP}"
    output.write(f"{margin}{finding.detail}\n")
    if finding.hint:
        output.write(f"{' ' * len(margin)}{finding.hint}\n")
    output.flush()


def _summary(counts: Counter[Status]) -> str:
    """Count them, what needs looking at first."""
    worst_first = (Status.FAILURE, Status.WARNING, Status.SKIPPED, Status.OK)
    return ", ".join(f"{status}: {counts[status]}" for status in worst_first)
