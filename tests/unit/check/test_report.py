"""What is printed: for people, for grep, and for programs."""

import io
import json

from rich.console import Console

from ironic_ilo.check import report
from ironic_ilo.check.findings import Finding, Status

FINDINGS = [
    Finding("reachable", Status.OK, "192.0.2.1", seconds=0.012),
    Finding("certificate", Status.WARNING, "expires soon [bold]", "Renew it."),
    Finding("login", Status.FAILURE, f"it says {'no ' * 60}end", "Check `ilo_username`."),
    Finding("power", Status.SKIPPED, "it needs 'login'"),
]


def test_plain_lines_are_for_grep():
    output = io.StringIO()
    counts = report.print_text(FINDINGS, output)
    lines = output.getvalue().splitlines()
    assert lines[0] == "ok       reachable       192.0.2.1"
    assert lines[1] == "warning  certificate     expires soon [bold]"
    assert lines[2] == "                         Renew it."
    assert lines[3].startswith("failure  login           it says no no")
    assert lines[3].endswith("end")
    assert lines[-1] == "failure: 1, warning: 1, skipped: 1, ok: 1"
    assert "\x1b" not in output.getvalue()
    assert counts[Status.FAILURE] == 1


def test_a_terminal_gets_colours_and_columns(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=60, color_system="standard")
    monkeypatch.setattr(report, "Console", lambda file: console)
    report.print_text(FINDINGS, console.file)
    text = console.file.getvalue()
    assert "\x1b[1;31mfailure" in text
    assert "expires soon [bold]" in text
    body = text[: text.index("failure: 1")]
    wrapped = [line for line in body.splitlines() if "no no" in line]
    assert len(wrapped) > 1
    assert all(line.startswith(" " * 25) for line in wrapped[1:])


def test_json_is_a_list_of_objects():
    output = io.StringIO()
    counts = report.print_json(iter(FINDINGS), output)
    assert json.loads(output.getvalue())[1] == {
        "check": "certificate",
        "status": "warning",
        "detail": "expires soon [bold]",
        "hint": "Renew it.",
        "seconds": 0.0,
    }
    assert counts == dict.fromkeys(Status, 1)
