"""Where the minutes of a deploy go, and how far its write is, kept in the node.

``driver_internal_info['ilo_deploy_timeline']`` is a list of ``{"stage": name, "at": seconds since
the epoch}``; a stage lasts until the next one begins. ``['ilo_deploy_progress']`` describes the
write under way: ``stage``, ``percent``, ``bytes_done``, ``bytes_total``, ``bytes_per_second``,
``eta_seconds`` (of this stage; ``None`` where nobody can tell); before it, stage ``wait`` and the
``place`` in the queue.
"""

import time
from typing import Any

TIMELINE = "ilo_deploy_timeline"
PROGRESS = "ilo_deploy_progress"


def start(node: Any) -> None:
    """Begin the timeline of a new deploy."""
    node.set_driver_internal_info(TIMELINE, [])
    node.del_driver_internal_info(PROGRESS)


def begin_stage(node: Any, stage: str, *, at: float | None = None) -> None:
    """Note that a stage begins, and save the node.

    :param at: when, by another machine's clock, which may be wrong; ``None``: now.
    """
    stages = list(node.driver_internal_info.get(TIMELINE) or [])
    now, before = time.time(), stages[-1]["at"] if stages else 0.0
    began = now if at is None else min(max(at, before), now)
    stages.append({"stage": stage, "at": round(began, 3)})
    node.set_driver_internal_info(TIMELINE, stages)
    node.save()


def show_progress(node: Any, **progress: float | str | None) -> None:
    """Replace what is known of the write under way, and save the node."""
    node.set_driver_internal_info(PROGRESS, progress)
    node.save()


def estimate_seconds(bytes_left: int, bytes_per_second: float) -> int | None:
    """Return how long the rest will take at the rate so far; ``None``: nothing has moved yet."""
    return round(bytes_left / bytes_per_second) if bytes_per_second > 0 else None
