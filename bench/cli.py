"""The command line of the bench."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.case import Case, Context
from bench.fleet_cases import all_fleet_cases
from bench.machine_cases import all_machine_cases
from bench.media_cases import all_media_cases
from bench.results import Row
from bench.table import print_results
from bench.write_cases import all_write_cases
from ironic_ilo.exception import Error

_CHECKOUT = Path(__file__).resolve().parents[1]
_REPEAT = 5
_QUICK_REPEAT = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print what was found.

    :returns: the exit code: 0, also when targets are missed; 1 when a case could not be measured.
    """
    cases = [
        *all_write_cases(),
        *all_media_cases(),
        *all_machine_cases(),
        *all_fleet_cases(),
    ]
    arguments = _parser(cases).parse_args(argv)
    repeat = arguments.repeat or (_QUICK_REPEAT if arguments.quick else _REPEAT)
    context = Context(_make_directory(arguments.dir), repeat, arguments.quick, _Clock().say)
    chosen = _choose(cases, arguments.only, quick=arguments.quick)
    minutes = sum(case.seconds(context) for case in chosen) / 60
    context.say(f"This takes about {minutes:.0f} minutes on a quiet machine with two cores")
    rows: list[Row] = []
    try:
        for case in chosen:
            rows += case.run(context)
    except Error as error:
        Console(stderr=True).print(f"\n{error}", style="red", markup=False, highlight=False)
        return 1
    finally:  # what was measured before is worth its minutes
        _print(rows, quick=arguments.quick, as_json=arguments.json)
    return 0


def _choose(cases: Sequence[Case], names: Sequence[str] | None, *, quick: bool) -> list[Case]:
    if names:
        return [case for case in cases if case.name in names]
    return [case for case in cases if case.in_quick_run or not quick]


def _parser(cases: Sequence[Case]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run bench", description="Measure side by side, on this machine, in one run."
    )
    names = [case.name for case in cases]
    parser.add_argument(
        "--only", action="append", choices=names, metavar="CASE",
        help=f"measure this case alone; may be given again: {', '.join(names)}",
    )  # fmt: skip
    parser.add_argument(
        "--repeat", type=_count, metavar="N",
        help=f"measure each tool so often ({_REPEAT}; {_QUICK_REPEAT} with --quick)",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="small sizes, for a look (2 minutes)")
    parser.add_argument("--json", action="store_true", help="print a list of objects, no table")
    parser.add_argument(
        "--dir", type=Path, default=_CHECKOUT / "build" / "bench",
        help="where images and stores are made; the disk matters (default: build/bench)",
    )  # fmt: skip
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return count


def _make_directory(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def _print(rows: Sequence[Row], *, quick: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps([row.as_dict(quick=quick) for row in rows], indent=2))
    else:
        print_results(rows, quick=quick)


class _Clock:
    """Says what is done, and when that began."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self._started:6.0f} s  {text}\n")
        sys.stderr.flush()
