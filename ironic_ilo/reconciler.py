"""Removes what no node needs any more, and restores what one does, on every conductor.

Ironic does not call ``clean_up`` after a failed ``prepare``, nor for a node whose conductor was
killed in the middle of a deploy, and calls it only once when the iLO or the object store cannot
be reached. So each conductor looks again and again for what nodes have left behind. A node that is
locked, or that an operator has put in maintenance, is left for the next time.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ironic import objects
from ironic.common import exception as ironic_exception
from ironic.common import faults, metrics_utils, states
from ironic.conductor import periodics, task_manager
from ironic.conf import CONF
from oslo_log import log as logging
from oslo_utils import uuidutils

from ironic_ilo import (
    boot_iso,
    callback,
    cleaning,
    conf,
    exception,
    iscsi_deploy,
    publisher,
    ramdisk,
    virtual_media,
)

LOG = logging.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

conf.register_opts(CONF)

# In these a node runs no instance, and nothing is being done for one.
_IDLE = (
    states.ENROLL,
    states.MANAGEABLE,
    states.AVAILABLE,
    states.DEPLOYFAIL,
    states.ERROR,
    states.CLEANFAIL,
    states.INSPECTFAIL,
)
# In these a node waits for no ramdisk.
_SETTLED = frozenset(states.STABLE_STATES) | states.FAILURE_STATES
# In these a node has an instance to boot, and waits for no ramdisk.
_INSTANCE = (states.ACTIVE, states.RESCUE)
_LEFTOVERS = (
    ramdisk.SERVER_IN_USE,
    callback.NONCE,
    boot_iso.REFERENCE,
    cleaning.CLEANING_NETWORK,
)
# In one run: a third of the threads that a conductor has ([conductor]workers_pool_size), for the
# iLOs of a whole site may be silent.
_MOST_CLEAN_UPS = 100
#: The entry point of ``deploy.IloVirtualMediaIscsiDeploy``.
DEPLOY_INTERFACE = "ilo-iscsi"


def reconcile_interval() -> int:
    """Give the seconds between two runs: ``[ilo]reconcile_interval``, or less.

    A boot ISO in use that was given an expiry by mistake is found twice before it goes.
    """
    return int(min(CONF.ilo.reconcile_interval, CONF.ilo.boot_iso_grace // 2))


def has_leftovers(node: Any) -> bool:
    """Tell whether an idle node has something of a deploy or a cleaning.

    A failed clean step puts the node in maintenance, which does not say that somebody works on it.
    """
    if node.maintenance and node.fault != faults.CLEAN_FAILURE:
        return False
    return any(node.driver_internal_info.get(name) for name in _LEFTOVERS)


class Reconciler:
    """The periodic tasks; Ironic finds them on the interface that inherits them."""

    @METRICS.timer("Reconciler.clean_up_failed_deploys")
    @periodics.node_periodic(
        purpose="cleaning up after a deploy",
        spacing=reconcile_interval,
        filters={"reserved": False, "provision_state_in": _IDLE},
        predicate=has_leftovers,
        predicate_extra_fields=["driver_internal_info", "maintenance", "fault"],
        limit=_MOST_CLEAN_UPS,
        shared_task=False,
    )
    def clean_up_failed_deploys(self, task: Any, manager: Any, context: Any) -> bool:  # noqa: ARG002
        """Clean up after what failed without it: off, drives empty, no secrets.

        :returns: whether there is something to clean up.
        """
        # The node may have changed before it was locked.
        if task.node.provision_state not in _IDLE or not has_leftovers(task.node):
            return False
        # A silent iLO takes minutes, for which no other node waits. The lock goes with it.
        task.spawn_after(manager._spawn_worker, _clean_up, task)
        return True

    @METRICS.timer("Reconciler.tidy_up")
    @periodics.periodic(spacing=reconcile_interval)
    def tidy_up(self, manager: Any, context: Any) -> None:
        """Remove this conductor's images and the store's objects that no node needs."""
        with _reporting("remove cached images"):
            _remove_cached_images(context)
        with _reporting("tidy up the object store"):
            _remove_floppies(manager, context)
            _restore_boot_isos(manager, context, boot_iso.reconcile(context))


def _clean_up(task: Any) -> None:
    """Clean up a node, which is locked."""
    with _reporting(f"clean up node {task.node.uuid}"):
        task.driver.deploy.clean_up(task)
        LOG.info("Cleaned up what a deploy left of node %(node)s", {"node": task.node.uuid})


@contextmanager
def _reporting(action: str) -> Iterator[None]:
    """Log a failure, for the next run tries again."""
    try:
        yield
    except (exception.Error, ironic_exception.IronicException, OSError) as exc:
        LOG.warning(
            "Cannot %(action)s, and will try again in %(interval)d s: %(error)s",
            {"action": action, "interval": reconcile_interval(), "error": exc},
        )


def _settled_tasks(context: Any, uuids: Iterable[str], purpose: str) -> Iterator[Any]:
    """Lock one node after another, of those that wait for no ramdisk and nobody works on."""
    for uuid in uuids:
        try:
            with task_manager.acquire(
                context, uuid, purpose=purpose, retry=False, load_driver=False
            ) as task:
                if task.node.provision_state in _SETTLED:
                    yield task
        except (ironic_exception.NodeLocked, ironic_exception.NodeNotFound):
            LOG.debug("Node %(node)s is left for the next time", {"node": uuid})


def _remove_cached_images(context: Any) -> None:
    """Remove instance images of nodes that deploy no more, whichever conductor they went to."""
    directory = Path(CONF.pxe.images_path)
    found = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    nodes = objects.Node.list(context, fields=["uuid", "deploy_interface", "provision_state"])
    for uuid in filter(uuidutils.is_uuid_like, found - {node.uuid for node in nodes}):
        iscsi_deploy.destroy_images(uuid)
    ours = [
        node.uuid
        for node in nodes
        if node.uuid in found
        and node.deploy_interface == DEPLOY_INTERFACE
        and node.provision_state in _SETTLED
    ]
    for task in _settled_tasks(context, ours, "removing its cached image"):
        iscsi_deploy.destroy_images(task.node.uuid)


def _remove_floppies(manager: Any, context: Any) -> None:
    """Remove floppies that no ramdisk will read, be it for their node was deleted.

    :raises StoreError: the store failed.
    """
    store, container = publisher.get_object_store(), CONF.ilo.swift_ilo_container
    # In this order: a floppy that is listed has had its node for longer.
    floppies = store.list_objects(container, virtual_media.FLOPPY_PREFIX)
    owners = {name.removeprefix(virtual_media.FLOPPY_PREFIX) for name in floppies}
    nodes = {node.uuid for node in objects.Node.list(context, fields=["uuid"])}
    for uuid in filter(uuidutils.is_uuid_like, owners - nodes):
        store.delete_object(container, virtual_media.FLOPPY_PREFIX + uuid)
    settled = {"provision_state_in": tuple(_SETTLED)}
    mapped = {uuid for uuid, *_ in manager.iter_nodes(filters=settled)}
    for task in _settled_tasks(context, owners & mapped, "removing its floppy"):
        virtual_media.cleanup_virtual_media_boot(task)


def _restore_boot_isos(manager: Any, context: Any, missing: set[str]) -> None:
    """Build boot ISOs again that were lost while instances boot from them."""
    running = manager.iter_nodes(
        fields=["driver_internal_info"], filters={"provision_state_in": _INSTANCE}
    )
    affected = [uuid for uuid, _, _, info in running if info.get(boot_iso.REFERENCE) in missing]
    for task in _settled_tasks(context, affected, "restoring its boot ISO"):
        with _reporting(f"restore the boot ISO of node {task.node.uuid}"):
            boot_iso.restore(task)
