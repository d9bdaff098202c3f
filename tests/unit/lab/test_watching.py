"""What the demo watches and shows: consoles, time, progress."""

import io
import signal
import threading
import time

import pytest
from rich.console import Console

from ironic_ilo.exception import ProcessError
from lab.console import wait_for_text
from lab.report import reporting, timeline_table, write_detail
from lab.signals import Stopped, stopped_by_signals
from lab.timeline import Timeline

DEADLINE = 60
PROGRESS = {
    "percent": 41.6,
    "bytes_done": 100 << 20,
    "bytes_total": 240 << 20,
    "bytes_per_second": 20 << 20,
}


def test_console_text_is_found_after_an_offset(tmp_path):
    log = tmp_path / "console.log"
    log.write_bytes(b"one login: \xff\xfe two login: ")
    first = wait_for_text(log, "login:", after=0, timeout=DEADLINE)
    assert log.read_bytes()[:first] == b"one login:"
    assert wait_for_text(log, "login:", after=first, timeout=DEADLINE) == 24


def test_console_text_is_waited_for(tmp_path):
    log = tmp_path / "console.log"
    writer = threading.Timer(0.3, log.write_text, ["tiny login: "])
    writer.start()
    try:
        assert wait_for_text(log, "tiny login:", after=0, timeout=DEADLINE) == 11
    finally:
        writer.join()


def test_console_text_that_does_not_come_is_an_error_that_shows_the_end(tmp_path):
    log = tmp_path / "console.log"
    log.write_text("login: was here before\nKernel panic\n")
    with pytest.raises(
        ProcessError, match=r"(?s)did not show 'login:' within 0\.1 s.*Kernel panic"
    ):
        wait_for_text(log, "login:", after=10, timeout=0.1)


def test_timeline_adds_up_stages_and_takes_over_a_deploys():
    timeline = Timeline()
    with timeline.stage("start"):
        time.sleep(0.05)
    timeline.add_marks(
        [
            {"stage": "attach", "at": 100.0},
            {"stage": "write", "at": 102.5},
            {"stage": "active", "at": 110.0},
        ]
    )
    assert list(timeline.seconds) == ["start", "attach", "write"]
    assert timeline.seconds["start"] >= 0.05
    assert timeline.seconds["write"] == 7.5
    assert timeline.total >= timeline.seconds["start"]


def test_timeline_times_a_stage_that_fails():
    timeline = Timeline()
    with pytest.raises(ZeroDivisionError), timeline.stage("start"):
        raise ZeroDivisionError
    assert "start" in timeline.seconds


def test_timeline_table_shows_every_stage_and_the_total():
    timeline = Timeline()
    timeline.seconds = {"write": 20.0, "login": 40.0}
    console = Console(file=io.StringIO(), width=80)
    console.print(timeline_table(timeline))
    shown = console.file.getvalue()
    assert "write" in shown
    assert "40.0" in shown
    assert "total" in shown


def test_write_detail_tells_percent_size_and_rate():
    assert write_detail(PROGRESS) == "42 % of 240 MiB, 20.0 MiB/s"
    assert write_detail(PROGRESS | {"eta_seconds": 7}).endswith("20.0 MiB/s, 7 s left")


def test_plain_report_has_a_line_for_each_thing_and_few_for_progress():
    console = Console(file=io.StringIO(), width=120)
    with reporting(console) as reporter:
        reporter.begin("Deploying")
        reporter.detail("booting")
        reporter.detail("booting")
        for percent in range(100):
            reporter.detail(f"{percent} %", percent)
        reporter.begin("Waiting")
    lines = [line.split(" s  ")[1] for line in console.file.getvalue().splitlines()]
    assert [line.strip() for line in lines] == ["Deploying", "booting", "Waiting"]


def test_live_report_ends_with_every_stage_done():
    console = Console(file=io.StringIO(), width=120, force_terminal=True, no_color=True)
    with reporting(console) as reporter:
        reporter.begin("Deploying")
        reporter.detail("42 % of 240 MiB", 42.0)
        reporter.begin("Waiting")
        assert "✓ Waiting" not in console.file.getvalue()
    assert "✓ Deploying" in console.file.getvalue()
    assert "✓ Waiting" in console.file.getvalue()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_first_signal_stops_and_others_do_not_disturb(number, code):
    cleaned = False
    with pytest.raises(Stopped) as stopped, stopped_by_signals(number):
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)
            cleaned = True
    assert cleaned
    assert stopped.value.exit_code == code


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with stopped_by_signals(signal.SIGTERM):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
