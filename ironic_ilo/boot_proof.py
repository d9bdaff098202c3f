"""Whether a server reads the media that a deploy ramdisk is to start from, kept in the node.

``driver_internal_info['ilo_boot_proof']`` is there from when media are inserted until the server
is seen to read them, or its ramdisk calls back. An object store that cannot tell, and an ISO on
somebody else's web server, prove nothing either way.
"""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from ironic.common import states
from oslo_log import log as logging

from ironic_ilo import exception, publisher, timeline

LOG = logging.getLogger(__name__)

_KEY = "ilo_boot_proof"
# Of the timeline: from power on to the first read, and from then on.
_POST = "post"
_RAMDISK = "ramdisk"


@dataclass(frozen=True)
class Boot:
    """A boot of a ramdisk that nothing proves yet.

    :ivar attempt: 1, or 2 when its media are inserted for the second time.
    :ivar urls: names of the URLs in the drives (``ObjectStore.name_url``); any of them will do.
    :ivar powered_on_at: seconds since the epoch; ``None``: the media are being inserted.
    """

    attempt: int = 1
    urls: tuple[str, ...] = ()
    powered_on_at: float | None = None


def begin(node: Any, *, attempt: int = 1) -> None:
    """Note that media are about to be inserted, and save the node."""
    _save(node, Boot(attempt))


def note_media(node: Any, urls: tuple[str, ...]) -> None:
    """Note what is in the drives, if their reads are to prove a boot, and save the node."""
    boot = read(node)
    if boot is not None:
        _save(node, replace(boot, urls=urls))


def note_power_on(node: Any) -> None:
    """Note that the server starts with these media, and save the node.

    Where nobody can tell whether they are read, there is nothing to wait for.
    """
    boot = read(node)
    if boot is None or not boot.urls:
        forget(node)
        node.save()
    else:
        _save(node, replace(boot, powered_on_at=time.time()))


def read(node: Any) -> Boot | None:
    """Read what was noted; ``None``: nothing is to be proved.

    :param node: anything with a node's ``driver_internal_info``.
    """
    noted = node.driver_internal_info.get(_KEY)
    return None if noted is None else Boot(**noted | {"urls": tuple(noted["urls"])})


def forget(node: Any) -> None:
    """Ask for no proof any more; the caller saves the node."""
    node.del_driver_internal_info(_KEY)


def find_first_read(boot: Boot) -> float | None:
    """Tell when the server first read any of the media, in seconds since the epoch.

    An iLO that reads an image as it is inserted, which none is known to do, proves too much.

    :raises StoreError: the store failed.
    """
    store = publisher.get_object_store()
    found = (store.fetched_at(url) for url in boot.urls)
    return min((at for at in found if at is not None), default=None)


def begin_stage(node: Any) -> None:
    """Begin the stage of the timeline that follows on power on, and save the node."""
    timeline.begin_stage(node, _RAMDISK if read(node) is None else _POST)


def accept(node: Any) -> None:
    """Take the server's boot for proved, by its reads or by its ramdisk's call; save the node."""
    boot = read(node)
    if boot is None:
        return
    forget(node)
    # The timeline is a deploy's; a cleaning leaves it alone.
    if node.provision_state == states.DEPLOYWAIT:
        timeline.begin_stage(node, _RAMDISK, at=_find_first_read_at_best(boot))
    else:
        node.save()


def _find_first_read_at_best(boot: Boot) -> float | None:
    try:
        return find_first_read(boot)
    except exception.Error as exc:
        LOG.warning("A timeline is less exact: %(error)s", {"error": exc})
        return None


def _save(node: Any, boot: Boot) -> None:
    node.set_driver_internal_info(_KEY, asdict(boot) | {"urls": list(boot.urls)})
    node.save()
