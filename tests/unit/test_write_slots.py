import math
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from ironic.conf import CONF

from ironic_ilo import conf, timeline, write_slots
from ironic_ilo.exception import DiskError

SOON = 30.0


class Node:
    """What a write slot needs of a node."""

    uuid = "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"

    def __init__(self) -> None:
        self.driver_internal_info: dict = {}

    def set_driver_internal_info(self, name, value) -> None:
        self.driver_internal_info[name] = value

    def del_driver_internal_info(self, name) -> None:
        del self.driver_internal_info[name]

    def save(self) -> None:
        """Do nothing: there is no database here."""

    @property
    def place(self) -> int | None:
        return self.driver_internal_info.get(timeline.PROGRESS, {}).get("place")


class Write(threading.Thread):
    """A write that lasts until it is told to end."""

    def __init__(self, *, on_wait: Callable[[], None] = lambda: None, interval=SOON) -> None:
        super().__init__(daemon=True)
        self.node = Node()
        self.started = threading.Event()
        self.may_end = threading.Event()
        self.error: Exception | None = None
        self._options = {"on_wait": on_wait, "interval": interval}

    def run(self) -> None:
        try:
            with write_slots.waiting_for_slot(self.node, **self._options):
                self.started.set()
                assert self.may_end.wait(SOON)
        except DiskError as error:
            self.error = error

    def end(self) -> None:
        self.may_end.set()
        self.join(SOON)
        assert not self.is_alive()


@pytest.fixture(autouse=True)
def two_slots() -> Iterator[None]:
    conf.register_opts(CONF)
    CONF.set_override("max_concurrent_writes", 2, "ilo")
    yield
    CONF.clear_override("max_concurrent_writes", "ilo")


@pytest.fixture
def begin() -> Iterator[Callable[..., Write]]:
    writes: list[Write] = []

    def begin_write(**options) -> Write:
        write = Write(**options)
        writes.append(write)
        write.start()
        until(lambda: write.started.is_set() or write.node.place or write.error)
        return write

    yield begin_write
    for write in writes:
        write.may_end.set()
    for write in writes:
        write.end()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_first_come_first_served(begin) -> None:
    writes = [begin() for _ in range(5)]
    assert [write.started.is_set() for write in writes] == [True, True, False, False, False]
    assert [write.node.place for write in writes] == [None, None, 1, 2, 3]
    assert writes[4].node.driver_internal_info[timeline.PROGRESS] == {"stage": "wait", "place": 3}

    writes[1].end()
    assert writes[2].started.wait(SOON)
    until(lambda: writes[4].node.place == 2)

    assert not writes[3].started.is_set()
    assert timeline.PROGRESS not in writes[2].node.driver_internal_info
    writes[0].end()
    assert writes[3].started.wait(SOON)


def test_a_failed_write_gives_its_slot_back(begin) -> None:
    with (
        pytest.raises(RuntimeError),
        write_slots.waiting_for_slot(Node(), on_wait=lambda: None, interval=1),
    ):
        raise RuntimeError
    assert begin().started.is_set()
    assert begin().started.is_set()


def test_what_waits_is_kept_alive(begin) -> None:
    begin(), begin()
    calls: list[float] = []

    waiting = begin(on_wait=lambda: calls.append(time.monotonic()), interval=0.05)

    until(lambda: len(calls) >= 3)
    assert not waiting.started.is_set()


class Link:
    """A link to a target that fails, after it has worked once."""

    def __init__(self, *, failures: float) -> None:
        self.calls = 0
        self._failures = failures

    def __call__(self) -> None:
        self.calls += 1
        if 1 < self.calls <= 1 + self._failures:
            raise DiskError("the target is gone")


def test_a_wait_whose_target_is_gone_ends_and_blocks_nobody(begin) -> None:
    link = Link(failures=math.inf)
    first = begin()
    begin()
    lost = begin(on_wait=link, interval=0.05)
    next_one = begin()

    until(lambda: lost.error)
    first.end()

    assert next_one.started.wait(SOON)
    assert not lost.started.is_set()
    assert link.calls == 4


def test_a_wait_bears_a_link_that_fails_for_a_while(begin) -> None:
    link = Link(failures=2)
    first = begin()
    begin()
    waiting = begin(on_wait=link, interval=0.05)

    until(lambda: link.calls >= 5)
    first.end()

    assert waiting.started.wait(SOON)
    assert waiting.error is None


def test_a_raised_limit_holds_with_the_next_change(begin) -> None:
    writes = [begin() for _ in range(4)]
    CONF.set_override("max_concurrent_writes", 3, "ilo")

    writes[0].end()

    assert writes[2].started.wait(SOON)
    assert writes[3].started.wait(SOON)
