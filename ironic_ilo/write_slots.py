"""How many images a conductor writes at once, and who waits for it, in what order.

The queue is the process's own: a conductor that restarts fails the deploys that were in it, as it
does any other step under way, and other conductors have disks and network ports of their own.
A wait holds its node's lock and one thread, as the write would. Ironic allows fewer deploys
([conductor]max_concurrent_deploy, 250) than it has threads ([conductor]workers_pool_size, 300), so
callbacks, heartbeats and power actions find one however many writes wait.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ironic.conf import CONF
from oslo_log import log as logging

from ironic_ilo import timeline
from ironic_ilo.exception import Error

LOG = logging.getLogger(__name__)

STAGE = "wait"
_FAILURES_BORNE = 2  # failures in a row that do not end a wait

# Those who write and those who wait, in the order in which they came. As many as there are slots,
# counted from the front, may write: so nobody overtakes, and a changed limit holds from the next
# time that somebody is done.
_queue: list[object] = []
_changed = threading.Condition()


@contextmanager
def waiting_for_slot(
    node: Any, *, on_wait: Callable[[], object], interval: float
) -> Iterator[None]:
    """Hold one of ``[ilo]max_concurrent_writes`` slots within the block; wait for it first.

    While it waits, the node's progress is stage ``wait``, and ``place``: 1 is the next.

    :param on_wait: called every ``interval`` seconds of a wait, to keep alive what waits with the
        node; the wait goes on if it fails once or twice, and ends when it does so again.
    :param interval: seconds.
    """
    ticket = object()
    with _changed:
        _queue.append(ticket)
    try:
        _wait(ticket, node, on_wait, interval)
        yield
    finally:
        with _changed:
            _queue.remove(ticket)
            _changed.notify_all()


def _wait(ticket: object, node: Any, on_wait: Callable[[], object], interval: float) -> None:
    shown: int | None = None
    failures = 0
    next_call = time.monotonic() + interval
    while place := _await_change(ticket, shown, next_call - time.monotonic()):
        if shown is None:
            timeline.begin_stage(node, STAGE)
        if place != shown:
            timeline.show_progress(node, stage=STAGE, place=place)
            shown = place
        if time.monotonic() >= next_call:
            failures = _keep_alive(node, on_wait, failures)
            next_call = time.monotonic() + interval
    if shown is not None:
        node.del_driver_internal_info(timeline.PROGRESS)


def _keep_alive(node: Any, on_wait: Callable[[], object], failures: int) -> int:
    """Call it; return how often in a row it has failed."""
    try:
        on_wait()
    except Error as error:
        if failures == _FAILURES_BORNE:
            raise
        LOG.warning(
            "Node %(node)s waits for its turn to be written to: %(error)s",
            {"node": node.uuid, "error": error},
        )
        return failures + 1
    return 0


def _await_change(ticket: object, shown: int | None, seconds: float) -> int:
    """Return a ticket's place in the queue once it is not the one shown, or time is up.

    :return: 0: it may write.
    """
    with _changed:
        _changed.wait_for(lambda: _find_place(ticket) != shown, max(0.0, seconds))
        return _find_place(ticket)


def _find_place(ticket: object) -> int:
    slots: int = CONF.ilo.max_concurrent_writes
    return max(0, _queue.index(ticket) + 1 - slots)
