"""Finds servers that read nothing of their deploy ramdisk's media, on every conductor.

An iLO takes any URL, and says "inserted" and "connected" whether or not it can reach it; and a
server may start something else. The ramdisk's callback would be waited for all the same
(``[conductor]deploy_callback_timeout``), and nobody would know why it does not come. So, where the
object store can tell (``ironic_ilo.boot_proof``), a server that has read nothing in time gets its
media once more, and fails its deploy or cleaning when it does not read those either.
"""

import enum
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ironic.common import metrics_utils, states
from ironic.common.i18n import _
from ironic.conductor import periodics
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from oslo_log import log as logging

from ironic_ilo import (
    boot_proof,
    conf,
    exception,
    publisher,
    ramdisk,
    timeline,
    virtual_media,
)
from ironic_ilo.boot_proof import Boot
from ironic_ilo.callback import RamdiskAction

LOG = logging.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

conf.register_opts(CONF)

_LONGEST_INTERVAL = 10
_LOOKS_IN_TIME = 5
_MOST_ATTEMPTS = 2


class _Wait(NamedTuple):
    """A state in which a node waits for a ramdisk: Ironic's name of its work, and its end."""

    work: str
    fail: Callable[..., None]


_WAITS: Mapping[str, _Wait] = {
    states.DEPLOYWAIT: _Wait(states.DEPLOYING, manager_utils.deploying_error_handler),
    states.CLEANWAIT: _Wait(states.CLEANING, manager_utils.cleaning_error_handler),
}


class Finding(enum.Enum):
    """What is known of a boot."""

    PENDING = enum.auto()
    READ = enum.auto()
    SILENT = enum.auto()
    #: The conductor that was inserting its media was ended.
    BROKEN_OFF = enum.auto()


def look_interval() -> int:
    """Give the seconds between two looks at the nodes that wait; without a deadline, too."""
    timeout = CONF.ilo.boot_proof_timeout
    if not timeout:
        return _LONGEST_INTERVAL
    return int(min(_LONGEST_INTERVAL, max(1, timeout // _LOOKS_IN_TIME)))


def judge(boot: Boot) -> Finding:
    """Tell what is known of a boot now: as good as nothing when the store fails."""
    try:
        if boot_proof.find_first_read(boot) is not None:
            return Finding.READ
    except exception.Error as exc:
        LOG.warning("Cannot tell whether servers read their media: %(error)s", {"error": exc})
        return Finding.PENDING
    if boot.powered_on_at is None:
        return Finding.BROKEN_OFF
    is_overdue = time.time() - boot.powered_on_at >= _patience()
    return Finding.SILENT if is_overdue and CONF.ilo.boot_proof_timeout else Finding.PENDING


def needs_attention(node: Any) -> bool:
    """Tell whether there is something to do for a node that waits for a ramdisk."""
    boot = boot_proof.read(node)
    return boot is not None and judge(boot) is not Finding.PENDING


class BootWatch:
    """The periodic task; Ironic finds it on the interface that inherits it."""

    @METRICS.timer("BootWatch.watch_boots")
    @periodics.node_periodic(
        purpose="finding servers that read nothing of their media",
        spacing=look_interval,
        filters={"reserved": False, "maintenance": False, "provision_state_in": tuple(_WAITS)},
        predicate=needs_attention,
        predicate_extra_fields=["driver_internal_info"],
        shared_task=False,
    )
    def watch_boots(self, task: Any, manager: Any, context: Any) -> None:  # noqa: ARG002
        """Do what there is to do, unless the ramdisk called before the node was locked."""
        boot = boot_proof.read(task.node)
        if boot is None or task.node.provision_state not in _WAITS:
            return
        finding = judge(boot)
        if finding is Finding.READ:
            boot_proof.accept(task.node)
        elif finding is not Finding.PENDING:
            # It takes minutes, and other servers may be as silent. The lock goes with it.
            task.spawn_after(manager._spawn_worker, _act, task, boot, finding)


def _act(task: Any, boot: Boot, finding: Finding) -> None:
    """Try again, or give up; the node is locked."""
    node, what = task.node, _describe(task, finding)
    if finding is Finding.SILENT and boot.attempt == _MOST_ATTEMPTS:
        _fail(task, f"{what} {_remedy()}")
        return
    event = _("%s The media are inserted once more.") % what
    LOG.warning("Node %(node)s: %(event)s", {"node": node.uuid, "event": event})
    manager_utils.node_history_record(
        node, event=event, event_type=_WAITS[node.provision_state].work
    )
    try:
        _boot_again(task)
    except Exception as exc:  # whatever it is, the node must not be tried for ever
        LOG.debug("The second attempt failed", exc_info=True)
        _fail(task, _("%(event)s That failed: %(error)s") % {"event": event, "error": exc})


def _boot_again(task: Any) -> None:
    node = task.node
    if node.provision_state == states.CLEANWAIT:
        ramdisk.boot_again(task, RamdiskAction(node.clean_step["step"]))
        return
    timeline.begin_stage(node, "attach")
    ramdisk.boot_again(task, RamdiskAction.DEPLOY)
    boot_proof.begin_stage(node)


def _fail(task: Any, error: str) -> None:
    node = task.node
    log = f"The boot of node {node.uuid} from virtual media failed. {error}"
    _WAITS[node.provision_state].fail(task, log, errmsg=error)


def _patience() -> int:
    """Give the seconds after which a server should have read something; later, it cannot."""
    return int(min(CONF.ilo.boot_proof_timeout, publisher.helper_images_ttl()))


def _describe(task: Any, finding: Finding) -> str:
    if finding is Finding.BROKEN_OFF:
        return str(_("The conductor that inserted virtual media was ended."))
    what: str = _(
        "The server has read nothing of its virtual media from %(address)s within %(seconds)d s "
        "of being powered on. Its iLO says: %(drives)s."
    )
    return what % {
        "address": CONF.ilo.web_store_url,
        "seconds": _patience(),
        "drives": virtual_media.describe_drives(task),
    }


def _remedy() -> str:
    return str(
        _(
            "So it was when they were inserted before. Check that the iLO reaches that address "
            "(route, firewall, TLS; the image server logs what it refuses), that no remote "
            "console holds its drives, that its licence includes virtual media, and on the "
            "console what the server starts instead."
        )
    )
