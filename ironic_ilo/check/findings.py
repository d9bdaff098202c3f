"""What checks find, and how they are run: each within a deadline, whatever hangs in it."""

import enum
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ironic_ilo.exception import Error


class Status(enum.StrEnum):
    """How a check ended. ``SKIPPED``: not done, since what it needs is not there."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Verdict:
    """What a check says of what it has seen.

    :ivar detail: what was seen; no secrets.
    :ivar hint: what to do next, as sentences; empty when there is nothing to do.
    """

    status: Status
    detail: str
    hint: str = ""


@dataclass(frozen=True)
class Check:
    """One question, and how it is answered.

    :ivar examine: it may raise ``Error``, which is a failure.
    :ivar needs: the checks of its group that must not have failed before.
    """

    name: str
    examine: Callable[[], Verdict]
    needs: Sequence[str] = ()


@dataclass(frozen=True)
class Group:
    """Checks that share something which belongs to one thread, such as a session with an iLO.

    :ivar close: called after the last check, and when they were broken off.
    """

    checks: Sequence[Check]
    close: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Finding:
    """What a check found; ``Verdict`` says what the fields mean."""

    check: str
    status: Status
    detail: str
    hint: str = ""
    seconds: float = 0.0


def ok(detail: str) -> Verdict:
    """Find nothing wrong."""
    return Verdict(Status.OK, detail)


def warning(detail: str, hint: str) -> Verdict:
    """Find something that need not, but may, break a deploy."""
    return Verdict(Status.WARNING, detail, hint)


def failure(detail: str, hint: str) -> Verdict:
    """Find something that a deploy will fail of."""
    return Verdict(Status.FAILURE, detail, hint)


def skipped(detail: str, hint: str = "") -> Verdict:
    """Say why a check is not done."""
    return Verdict(Status.SKIPPED, detail, hint)


def run_checks(group: Group, seconds: float) -> Iterator[Finding]:
    """Run the checks of a group, one after the other, and yield what each finds when it does.

    :param seconds: the deadline of each. One that does not end is left behind in its thread, with
        those after it.
    """
    found: queue.SimpleQueue[Finding] = queue.SimpleQueue()
    stop, closed = threading.Event(), threading.Event()

    def work() -> None:
        try:
            _work(group, found.put, stop)
        finally:
            group.close()
            closed.set()

    threading.Thread(target=work, daemon=True).start()
    for number, check in enumerate(group.checks):
        try:
            yield found.get(timeout=seconds)
        except queue.Empty:
            stop.set()
            yield _overdue(check, seconds)
            reason = skipped(f"{check.name!r} has not ended")
            yield from (_finding(late, reason, 0.0) for late in group.checks[number + 1 :])
            return
    # Not joined: a thread that is the first to import eventlet never counts as ended.
    closed.wait(seconds)


def _work(group: Group, report: Callable[[Finding], object], stop: threading.Event) -> None:
    failed: set[str] = set()
    for check in group.checks:
        if stop.is_set():
            return
        finding = _examine(check, failed)
        if finding.status in (Status.FAILURE, Status.SKIPPED):
            failed.add(check.name)
        report(finding)


def _examine(check: Check, failed: set[str]) -> Finding:
    lacking = [need for need in check.needs if need in failed]
    if lacking:
        return _finding(check, skipped(f"it needs {lacking[0]!r}"), 0.0)
    started = time.monotonic()
    verdict = _judge(check)
    return _finding(check, verdict, time.monotonic() - started)


def _judge(check: Check) -> Verdict:
    try:
        return check.examine()
    except Error as error:
        return failure(error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not hide what others find
        place = traceback.extract_tb(error.__traceback__)[-1]
        # Its text might hold a secret.
        return failure(
            f"the check broke: {type(error).__name__} in {place.filename}, line {place.lineno}",
            "This is a fault of ironic-ilo: report it.",
        )


def _overdue(check: Check, seconds: float) -> Finding:
    verdict = failure(
        f"it was not done within {seconds:g} s",
        "Look for what hangs: the network, a name server, a file system; or raise --timeout.",
    )
    return _finding(check, verdict, seconds)


def _finding(check: Check, verdict: Verdict, seconds: float) -> Finding:
    return Finding(
        check.name,
        verdict.status,
        _printable(verdict.detail),
        _printable(verdict.hint),
        round(seconds, 3),
    )


def _printable(text: str) -> str:
    """Let no iLO, server or image speak to the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
