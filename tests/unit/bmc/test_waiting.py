"""Deadlines and polling."""

import itertools
import time

import pytest

from ironic_ilo.bmc.waiting import Deadline, pauses, poll
from ironic_ilo.exception import BmcLoginFailed, BmcUnreachable


def test_a_deadline_passes():
    deadline = Deadline(0.1)
    assert not deadline.passed
    assert 0 < deadline.budget() <= 0.1
    deadline.sleep(60)
    assert deadline.passed
    with pytest.raises(TimeoutError):
        deadline.budget()
    deadline.sleep(60)


def test_pauses_grow_to_two_seconds():
    assert list(itertools.islice(pauses(), 8)) == pytest.approx(
        [0.2, 0.3, 0.45, 0.675, 1.0125, 1.51875, 2.0, 2.0]
    )


def test_polling_ends_when_the_value_is_there():
    values = iter([1, 2, 3])
    assert poll(lambda: next(values), lambda value: value == 2, 30) == 2


def test_polling_reads_once_more_at_the_deadline():
    started = time.monotonic()
    times = []
    assert (
        poll(lambda: times.append(time.monotonic() - started), lambda _value: False, 0.4) is None
    )
    assert times[0] < 0.2
    assert times[-1] >= 0.4


def test_polling_without_time_reads_once():
    assert poll(lambda: "seen", lambda _value: False, 0) == "seen"


def test_polling_outlives_an_ilo_that_does_not_answer():
    answers = iter([BmcUnreachable("gone"), "back"])

    def read() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert poll(read, lambda value: value == "back", 30) == "back"


def test_polling_ends_with_other_errors():
    def read() -> None:
        raise BmcLoginFailed("no")

    with pytest.raises(BmcLoginFailed):
        poll(read, lambda _value: True, 30)
