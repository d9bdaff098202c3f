"""The results as people read them."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.results import Row, Target
from bench.stores import MIB

_WIDTH = 132  # of a plain table, which no terminal bounds


def print_results(rows: Sequence[Row], *, quick: bool) -> None:
    """Print a table of all rows, and then the targets."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(_results_table(rows, quick=quick))
    if any(row.targets for row in rows):
        console.print(_targets_table(rows, quick=quick))


def _results_table(rows: Sequence[Row], *, quick: bool) -> Table:
    title = "Quick look: small sizes, which the targets are not about" if quick else "Results"
    table = Table(title=title, title_justify="left")
    for name in ("case", "tool"):
        table.add_column(name)
    for name in ("nodes", "seconds", "min", "max", "CPU s", "peak MiB", "wire MiB", "ratio"):
        table.add_column(name, justify="right")
    previous = ""
    for row in rows:
        if previous not in ("", row.case):
            table.add_section()
        table.add_row("" if row.case == previous else row.case, *_cells(row))
        previous = row.case
    return table


def _cells(row: Row) -> list[str]:
    walls = [sample.wall_s for sample in row.samples]
    wire = None if row.wire_bytes is None else row.wire_bytes / MIB
    return [
        row.tool,
        str(row.nodes),
        f"{row.wall_s:.2f}",
        f"{min(walls):.2f}",
        f"{max(walls):.2f}",
        _number(row.cpu_s, 2),
        _number(row.peak_rss_mib, 1),
        _number(wire, 1),
        _number(row.ratio, 2),
    ]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _targets_table(rows: Sequence[Row], *, quick: bool) -> Table:
    table = Table(title="Targets" + (", at small sizes" if quick else ""), title_justify="left")
    for name in ("case", "tool", "what", "seen", "target", ""):
        table.add_column(name, justify="right" if name in ("seen", "target") else "left")
    for row in rows:
        for target in row.targets:
            label = row.tool if row.nodes == 1 else f"{row.tool}, {row.nodes} nodes"
            table.add_row(row.case, label, *_target_cells(target))
    return table


def _target_cells(target: Target) -> list[str]:
    verdict = "[green]met[/green]" if target.is_met else "[red]MISSED[/red]"
    return [target.name, f"{target.value:.2f}", f"{target.bound} {target.limit:.3g}", verdict]
