"""How checks are run: each has its end, and none hides what others find."""

import threading
import time

import pytest

from ironic_ilo.check.findings import Check, Group, Status, failure, ok, run_checks
from ironic_ilo.exception import InvalidInput

# Several times what anything takes here.
SECONDS = 30


def run_all(*checks, seconds=SECONDS, **options):
    return list(run_checks(Group(checks, **options), seconds))


def statuses(findings):
    return {finding.check: finding.status for finding in findings}


def test_what_needs_a_failed_check_is_skipped_and_all_others_are_done():
    found = run_all(
        Check("a", lambda: failure("broken", "Mend it.")),
        Check("b", lambda: ok("never"), needs=["a"]),
        Check("c", lambda: ok("never"), needs=["b"]),
        Check("d", lambda: ok("fine")),
    )
    assert statuses(found) == {
        "a": Status.FAILURE,
        "b": Status.SKIPPED,
        "c": Status.SKIPPED,
        "d": Status.OK,
    }
    assert (found[0].detail, found[0].hint) == ("broken", "Mend it.")
    assert "'a'" in found[1].detail


def test_an_error_is_a_failure_with_its_hint():
    def examine():
        raise InvalidInput("The key is missing", hint="Set it.")

    (finding,) = run_all(Check("a", examine))
    assert (finding.status, finding.detail, finding.hint) == (
        Status.FAILURE,
        "The key is missing",
        "Set it.",
    )


def test_a_fault_of_ours_is_a_failure_that_shows_no_secret():
    def examine():
        raise KeyError("hunter2")

    broken, fine = run_all(Check("a", examine), Check("b", lambda: ok("fine")))
    assert broken.status is Status.FAILURE
    assert "KeyError" in broken.detail
    assert "hunter2" not in f"{broken}"
    assert fine.status is Status.OK


def test_a_check_that_hangs_is_left_behind():
    release, closed = threading.Event(), threading.Event()
    done = []

    def hang():
        release.wait(SECONDS)
        return ok("late")

    def note():
        done.append("after")
        return ok("too late")

    started = time.monotonic()
    found = run_all(
        Check("a", lambda: ok("fine")),
        Check("b", hang),
        Check("c", note),
        seconds=0.2,
        close=closed.set,
    )
    assert time.monotonic() - started < SECONDS / 2
    assert statuses(found) == {"a": Status.OK, "b": Status.FAILURE, "c": Status.SKIPPED}
    assert "0.2 s" in found[1].detail
    release.set()
    # What it holds is given back when it ends after all, and nothing more is begun.
    assert closed.wait(SECONDS)
    assert done == []


@pytest.mark.parametrize("examine", [lambda: ok("fine"), lambda: 1 / 0])
def test_a_group_is_closed_before_it_ends(examine):
    closed = []
    run_all(Check("a", examine), close=lambda: closed.append(True))
    assert closed == [True]


def test_findings_tell_the_time_taken():
    def examine():
        time.sleep(0.05)
        return ok("fine")

    (finding,) = run_all(Check("a", examine))
    assert 0.05 <= finding.seconds < SECONDS


def test_nobody_speaks_to_the_terminal():
    (finding,) = run_all(Check("a", lambda: failure("\x1b[2Jcleared", "Look\n there.")))
    assert finding.detail == "?[2Jcleared"
    assert finding.hint == "Look? there."
