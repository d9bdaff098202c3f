"""Clean steps: what a tenant left on the local disks is erased by our own deploy ramdisk.

A step boots the ramdisk and waits (``CLEANWAIT``). The ramdisk calls back as it does in a deploy
(see ``ironic_ilo.callback``), with the same proof, and one of these besides:

``progress``
    as it goes: an object with ``percent``, ``bytes_done``, ``bytes_total``, ``bytes_per_second``,
    and ``disks``, a list of ``{"name": "/dev/sda", "method": what is being done, "percent": n}``.
    It is kept as the progress of a deploy is (``ironic_ilo.timeline``). In a heartbeat,
    ``agent_status`` is ``start``.
``erased``
    at the end: a list of ``{"name", "serial", "size" (bytes), "method", "verified"}``, one for
    each local disk. In a heartbeat, ``agent_status`` is ``end``.

``pass_deploy_info`` may have their JSON text instead. An error fails the cleaning. After the last
call, Ironic runs the step again, which then judges what was told. The proof stays in
``driver_internal_info['ilo_erased_disks']`` until the step runs another time: by step,
``{"at": time (UTC), "disks": erased}``.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ironic.common import async_steps, exception, metrics_utils, states
from ironic.common.i18n import _
from ironic.conductor import task_manager
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from ironic.drivers import base
from oslo_log import log as logging
from oslo_utils import timeutils

from ironic_ilo import boot_proof, callback, ramdisk, timeline
from ironic_ilo.callback import DeployInfo, RamdiskAction

LOG = logging.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

ERASED_DISKS = "ilo_erased_disks"
# In ``driver_internal_info`` while the node is on the cleaning network.
CLEANING_NETWORK = "ilo_cleaning_network"

_STEPS = frozenset({RamdiskAction.ERASE_DEVICES, RamdiskAction.ERASE_DEVICES_METADATA})
# What Ironic documents for [deploy]erase_devices_metadata_priority when it is not set.
_METADATA_PRIORITY = 99
_PROGRESS = frozenset({"percent", "bytes_done", "bytes_total", "bytes_per_second", "disks"})
_ERASED: Mapping[str, type] = {
    "name": str,
    "serial": str,
    "size": int,
    "method": str,
    "verified": str,
}
# Of one call: a hundred disks. MySQL and MariaDB give 64 KiB to this, the proof of the other step,
# and all else that ``driver_internal_info`` holds; a node that cannot be saved is stuck.
_MOST_CHARACTERS = 28 * 1024


class Cleaning(base.DeployInterface):
    """The clean steps of a deploy interface."""

    def get_clean_steps(self, task: Any) -> list[dict[str, Any]]:
        """List the clean steps, with the priorities of Ironic's ``[deploy]`` section.

        When they are not set, ``erase_devices_metadata`` runs, and ``erase_devices`` does not:
        it may take hours. Where it does run, the other would be in vain.
        """
        devices = CONF.deploy.erase_devices_priority or 0
        metadata = CONF.deploy.erase_devices_metadata_priority
        if metadata is None:
            metadata = 0 if devices else _METADATA_PRIORITY
        priorities = {
            RamdiskAction.ERASE_DEVICES: devices,
            RamdiskAction.ERASE_DEVICES_METADATA: metadata,
        }
        steps = super().get_clean_steps(task)
        return [step | {"priority": priorities[step["step"]]} for step in steps]

    @METRICS.timer("Cleaning.erase_devices_metadata")
    @base.clean_step(priority=0, abortable=True)
    @task_manager.require_exclusive_lock
    def erase_devices_metadata(self, task: Any) -> str | None:
        """Erase what names and describes the data of all local disks, but not the data.

        :returns: CLEANWAIT, and None once the ramdisk is done.
        """
        return _erase(task, RamdiskAction.ERASE_DEVICES_METADATA)

    @METRICS.timer("Cleaning.erase_devices")
    @base.clean_step(priority=0, abortable=True)
    @task_manager.require_exclusive_lock
    def erase_devices(self, task: Any) -> str | None:
        """Erase all local disks, each in the best way that it offers.

        :returns: CLEANWAIT, and None once the ramdisk is done.
        """
        return _erase(task, RamdiskAction.ERASE_DEVICES)

    @METRICS.timer("Cleaning.prepare_cleaning")
    def prepare_cleaning(self, task: Any) -> None:
        """Turn the server off, and move the node to the cleaning network."""
        ramdisk.validate(task)
        callback.end_deploy(task)
        ramdisk.claim_server(task)
        manager_utils.node_power_action(task, states.POWER_OFF)
        task.node.set_driver_internal_info(CLEANING_NETWORK, True)
        task.node.save()
        with manager_utils.power_state_for_network_configuration(task):
            task.driver.network.add_cleaning_network(task)

    @METRICS.timer("Cleaning.tear_down_cleaning")
    def tear_down_cleaning(self, task: Any) -> None:
        """Leave nothing of a cleaning behind, however it ended.

        :raises IloOperationError: a part of it failed; the reconciler will try again.
        """
        self.clean_up(task)


def leave_network(task: Any) -> None:
    """Take the node off the cleaning network, if it is there."""
    if not task.node.driver_internal_info.get(CLEANING_NETWORK):
        return
    with manager_utils.power_state_for_network_configuration(task):
        task.driver.network.remove_cleaning_network(task)
    task.node.del_driver_internal_info(CLEANING_NETWORK)
    task.node.save()


def _erase(task: Any, action: RamdiskAction) -> str | None:
    """Boot the ramdisk, or judge what it told."""
    told = task.node.driver_internal_info.get(callback.CALLBACK)
    if told is not None:
        _judge(task.node, action, Report(**told))
        return None
    callback.check_token(task)
    ramdisk.claim_server(task)
    manager_utils.node_power_action(task, states.POWER_OFF)
    _set_proofs(task.node, _other_proofs(task.node, action))
    ramdisk.boot(task, action)
    async_steps.set_node_flags(task.node, skip_current_step=False)
    return str(states.CLEANWAIT)


@dataclass(frozen=True)
class Report:
    """What a ramdisk told of its erasing; one of the three is there.

    :ivar error: why it gave up.
    :ivar progress: see above.
    :ivar erased: see above.
    """

    error: str = ""
    progress: dict[str, Any] | None = None
    erased: list[dict[str, Any]] | None = None


def _judge(node: Any, action: RamdiskAction, report: Report) -> None:
    """Keep the proof, and forget the call, so that the next step boots the ramdisk anew.

    :raises NodeCleaningFailure: the ramdisk gave up.
    """
    node.del_driver_internal_info(callback.CALLBACK)
    if report.error:
        reason = _("the deploy ramdisk reported: %s") % report.error
        raise exception.NodeCleaningFailure(node=node.uuid, reason=reason)
    proof = {"at": timeutils.utcnow().isoformat() + "Z", "disks": report.erased}
    _set_proofs(node, _other_proofs(node, action) | {action.value: proof})
    for disk in report.erased or ():
        LOG.info(
            "Node %(node)s: %(step)s of %(name)s (serial %(serial)s, %(size)d bytes) by "
            "%(method)s; verified: %(verified)s",
            disk | {"node": node.uuid, "step": action.value},
        )


def _other_proofs(node: Any, action: RamdiskAction) -> dict[str, Any]:
    proofs = node.driver_internal_info.get(ERASED_DISKS) or {}
    return {step: proof for step, proof in proofs.items() if step != action}


def _set_proofs(node: Any, proofs: dict[str, Any]) -> None:
    node.set_driver_internal_info(ERASED_DISKS, proofs)
    node.save()


def is_under_way(node: Any) -> bool:
    """Tell whether a ramdisk that calls back was booted by a clean step."""
    return node.provision_state in {states.CLEANING, states.CLEANWAIT}


def get_report(node: Any, parameters: Mapping[str, Any]) -> Report:
    """Check a call of ``pass_deploy_info`` by a ramdisk that erases.

    :raises MissingParameterValue: a parameter is missing.
    :raises InvalidParameterValue: one is unknown or malformed, or the key is not this step's.
    """
    ours = {name: parameters[name] for name in ("progress", "erased") if name in parameters}
    others = {name: value for name, value in parameters.items() if name not in ours}
    return _read_report(node, callback.get_deploy_info(node, others), ours)


def get_heartbeat_report(node: Any, status: str | None, message: str | None) -> Report:
    """Check a heartbeat of a ramdisk that erases; Ironic has compared its agent token.

    :raises InvalidParameterValue: it says nothing that counts, or is not of a step under way.
    """
    # Progress is told with all that the end is told with.
    info = callback.get_heartbeat_info(node, "end" if status == "start" else status, message)
    return _read_report(node, info, {} if info.error else json.loads(message or ""))


def _read_report(node: Any, info: DeployInfo, told: Mapping[str, Any]) -> Report:
    if info.error:
        return Report(error=info.error)
    if told.get("progress") is not None:
        return Report(progress=_read_progress(node, _read_json(node, "progress", told)))
    if told.get("erased") is not None:
        return Report(erased=_read_erased(node, _read_json(node, "erased", told)))
    return Report(error=_("it does not know how to erase disks; make a new deploy ISO"))


def _read_json(node: Any, name: str, told: Mapping[str, Any]) -> Any:
    """Read an object or list, or its JSON text; it is as long as what is kept in the database."""
    value = told[name]
    try:
        found = json.loads(value) if isinstance(value, str) else value
        text = json.dumps(found, allow_nan=False)
    except (ValueError, RecursionError):
        raise callback.refused(node, _("%s is not JSON") % name) from None
    if len(text) > _MOST_CHARACTERS:
        raise callback.refused(node, _("%s is too long") % name)
    return found


def _read_progress(node: Any, progress: Any) -> dict[str, Any]:
    if not isinstance(progress, dict) or set(progress) - _PROGRESS:
        raise callback.refused(
            node, _("progress is no object of %s") % ", ".join(sorted(_PROGRESS))
        )
    return progress


def _read_erased(node: Any, erased: Any) -> list[dict[str, Any]]:
    """Read the list of erased disks; an empty one proves nothing."""
    if not isinstance(erased, list) or not erased or not all(map(_is_erased_disk, erased)):
        raise callback.refused(
            node, _("erased is no list of objects with %s") % ", ".join(_ERASED)
        )
    return erased


def _is_erased_disk(disk: Any) -> bool:
    return (
        isinstance(disk, dict) and {name: type(value) for name, value in disk.items()} == _ERASED
    )


def take(task: Any, report: Report) -> None:
    """Keep what a ramdisk told of its erasing, and resume the cleaning when it has ended.

    Its repetition does nothing.

    :param task: with a shared lock; ``report`` was checked against its node.
    :raises InvalidStateRequested: the node is not waiting for it; Ironic answers 400.
    :raises NodeLocked: somebody else works on the node; Ironic answers 409.
    """
    if not callback.claim(task, lambda: _is_awaited(task.node, report)):
        return
    node = task.node
    boot_proof.accept(node)
    if timeline.PROGRESS not in node.driver_internal_info:
        callback.remove_floppy(task)
    if report.progress is None:
        node.del_driver_internal_info(timeline.PROGRESS)
        node.set_driver_internal_info(callback.CALLBACK, asdict(report))
        node.save()
        manager_utils.notify_conductor_resume_clean(task)
    else:
        timeline.show_progress(node, **{"stage": node.clean_step["step"]} | report.progress)
        # Ironic's [conductor]clean_callback_timeout counts from the last sign of life.
        node.touch_provisioning()


def _is_awaited(node: Any, report: Report) -> bool:
    if node.driver_internal_info.get(callback.CALLBACK) == asdict(report):
        LOG.info("Node %(node)s repeated its callback", {"node": node.uuid})
        return False
    step = (node.clean_step or {}).get("step")
    if node.provision_state != states.CLEANWAIT or step not in _STEPS:
        raise exception.InvalidStateRequested(
            action=_("take the deploy ramdisk's callback"),
            node=node.uuid,
            state=node.provision_state,
        )
    return True
