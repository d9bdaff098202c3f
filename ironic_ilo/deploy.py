"""Ironic's deploy interface: virtual media in, the image over iSCSI, the boot ISO in."""

from collections.abc import Callable
from typing import Any

from ironic.common import exception, metrics_utils, states
from ironic.common.i18n import _
from ironic.conductor import task_manager
from ironic.conductor import utils as manager_utils
from ironic.drivers import base
from oslo_log import log as logging

from ironic_ilo import (
    boot_iso,
    boot_mode,
    boot_proof,
    callback,
    cleaning,
    configdrive,
    driver_info,
    glance,
    image_sources,
    iscsi_deploy,
    ramdisk,
    root_device,
    timeline,
    virtual_media,
)
from ironic_ilo.callback import RamdiskAction

LOG = logging.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)


class IloVirtualMediaIscsiDeploy(cleaning.Cleaning):
    """Deploys a ProLiant without PXE (specification, "IloVirtualMediaIscsiDeploy").

    Its steps, by priority: ``deploy`` (100) boots the deploy ramdisk and waits for its callback,
    ``write_image`` (80), ``prepare_instance_boot`` (60), ``switch_to_tenant_network`` (30),
    ``boot_instance`` (20). Its clean steps are in ``ironic_ilo.cleaning``.
    """

    def get_properties(self) -> dict[str, str]:
        """Describe the properties in ``driver_info``."""
        return driver_info.COMMON_PROPERTIES | driver_info.DEPLOY_PROPERTIES

    @METRICS.timer("IloVirtualMediaIscsiDeploy.validate")
    def validate(self, task: Any) -> None:
        """Check all that can be checked without talking to the iLO or fetching anything.

        :raises MissingParameterValue: something is missing.
        :raises InvalidParameterValue: something is wrong; the message says what to do.
        """
        node = task.node
        if not task.ports:
            raise exception.MissingParameterValue(
                _("Node %s has no ports. Add the MAC address of its NIC: 'baremetal port create'.")
                % node.uuid
            )
        ramdisk.validate(task)
        iscsi_deploy.parse_instance_info(node)
        root_device.validate(node)
        image_sources.require_boot_sources(task)

    @METRICS.timer("IloVirtualMediaIscsiDeploy.deploy")
    @base.deploy_step(priority=100)
    @task_manager.require_exclusive_lock
    def deploy(self, task: Any) -> str:
        """Boot the deploy ramdisk; it calls back when it offers the node's disk.

        Everything that can be wrong without the server is found before it is touched.

        :returns: DEPLOYWAIT.
        """
        node = task.node
        timeline.start(node)
        timeline.begin_stage(node, "check")
        task.driver.network.validate(task)
        ramdisk.claim_server(task)
        image_sources.check_sources(task)
        timeline.begin_stage(node, "image")
        iscsi_deploy.cache_instance_image(task)
        configdrive.check(node)
        # Since validate, time has passed, and the deploy may have been resumed by another request.
        callback.check_token(task)
        timeline.begin_stage(node, "attach")
        manager_utils.node_power_action(task, states.POWER_OFF)
        with manager_utils.power_state_for_network_configuration(task):
            task.driver.network.unconfigure_tenant_networks(task)
            task.driver.network.add_provisioning_network(task)
        ramdisk.boot(task, RamdiskAction.DEPLOY)
        boot_proof.begin_stage(node)
        return str(states.DEPLOYWAIT)

    @METRICS.timer("IloVirtualMediaIscsiDeploy.write_image")
    @base.deploy_step(priority=80)
    @task_manager.require_exclusive_lock
    def write_image(self, task: Any) -> None:
        """Write the image to a disk that the ramdisk offers, and end the offer at once.

        Before the next of our steps, there may be some of others.
        """
        boot_mode.confirm(task)
        iscsi_deploy.continue_deploy(task)
        manager_utils.node_power_action(task, states.POWER_OFF)

    @METRICS.timer("IloVirtualMediaIscsiDeploy.prepare_instance_boot")
    @base.deploy_step(priority=60)
    @task_manager.require_exclusive_lock
    def prepare_instance_boot(self, task: Any) -> None:
        """Turn the ramdisk off, empty the drives, and get the instance's boot ISO ready."""
        timeline.begin_stage(task.node, "boot_iso")
        manager_utils.node_power_action(task, states.POWER_OFF)
        virtual_media.eject_virtual_media(task)
        boot_mode.enable_secure_boot(task)
        boot_iso.prepare(task)
        iscsi_deploy.destroy_images(task.node.uuid)

    @METRICS.timer("IloVirtualMediaIscsiDeploy.switch_to_tenant_network")
    @base.deploy_step(priority=30)
    @task_manager.require_exclusive_lock
    def switch_to_tenant_network(self, task: Any) -> None:
        """Move the node from the provisioning to the tenant networks."""
        with manager_utils.power_state_for_network_configuration(task):
            task.driver.network.remove_provisioning_network(task)
            task.driver.network.configure_tenant_networks(task)

    @METRICS.timer("IloVirtualMediaIscsiDeploy.boot_instance")
    @base.deploy_step(priority=20)
    @task_manager.require_exclusive_lock
    def boot_instance(self, task: Any) -> None:
        """Boot the instance from its boot ISO."""
        timeline.begin_stage(task.node, "boot")
        task.driver.boot.prepare_instance(task)
        manager_utils.node_power_action(task, states.POWER_ON)
        _forget_deploy(task)
        timeline.begin_stage(task.node, "active")

    @METRICS.timer("IloVirtualMediaIscsiDeploy.tear_down")
    @task_manager.require_exclusive_lock
    def tear_down(self, task: Any) -> str:
        """Power the node off, empty its drives, and switch Secure Boot off if we switched it on.

        :returns: DELETED.
        """
        manager_utils.node_power_action(task, states.POWER_OFF)
        virtual_media.eject_virtual_media(task)
        boot_mode.restore(task)
        root_device.forget(task.node)
        with manager_utils.power_state_for_network_configuration(task):
            task.driver.network.unconfigure_tenant_networks(task)
            task.driver.network.remove_provisioning_network(task)
        return str(states.DELETED)

    def prepare(self, task: Any) -> None:
        """Do nothing (specification): a failure here would not be cleaned up."""

    @METRICS.timer("IloVirtualMediaIscsiDeploy.clean_up")
    def clean_up(self, task: Any) -> None:
        """Leave nothing of a deploy or a cleaning behind.

        Called after a failure, before a tear down, and at the end of a cleaning.

        A ramdisk still running is powered off, for it holds the disk and this deploy's secrets.
        Every part is tried even when another fails.

        :raises IloOperationError: the first failure.
        """
        node = task.node
        tasks: list[Callable[[], None]] = [
            lambda: iscsi_deploy.destroy_images(node.uuid),
            lambda: glance.forget_images(node),
            lambda: virtual_media.cleanup_virtual_media_boot(task),
            lambda: task.driver.boot.clean_up_instance(task),
            lambda: cleaning.leave_network(task),
        ]
        if node.driver_internal_info.get(ramdisk.SERVER_IN_USE):
            tasks.insert(0, lambda: ramdisk.release_server(task))
        try:
            _run_all(node, tasks)
        finally:
            callback.end_deploy(task)

    @METRICS.timer("IloVirtualMediaIscsiDeploy.heartbeat")
    def heartbeat(  # noqa: PLR0917 - the signature is Ironic's
        self,
        task: Any,
        callback_url: str,  # noqa: ARG002
        agent_version: str | None,  # noqa: ARG002
        agent_verify_ca: str | None = None,  # noqa: ARG002
        agent_status: str | None = None,
        agent_status_message: str | None = None,
    ) -> None:
        """Take a ramdisk's callback (see ``ironic_ilo.callback``).

        Ironic has answered 202 by now, so whatever is wrong is only logged.
        """
        try:
            _take_heartbeat(task, agent_status, agent_status_message)
        except exception.IronicException as exc:
            LOG.warning(
                "A heartbeat of node %(node)s came to nothing: %(error)s",
                {"node": task.node.uuid, "error": exc},
            )

    def take_over(self, task: Any) -> None:
        """Do nothing (specification): nothing of a node lives on its conductor."""


def _take_heartbeat(task: Any, status: str | None, message: str | None) -> None:
    if cleaning.is_under_way(task.node):
        cleaning.take(task, cleaning.get_heartbeat_report(task.node, status, message))
    else:
        callback.take(task, callback.get_heartbeat_info(task.node, status, message))


def _forget_deploy(task: Any) -> None:
    task.node.del_driver_internal_info(ramdisk.SERVER_IN_USE)
    callback.end_deploy(task)


def _run_all(node: Any, tasks: list[Callable[[], None]]) -> None:
    first: Exception | None = None
    for run in tasks:
        try:
            run()
        except Exception as exc:  # noqa: BLE001 - the rest must be tried; the first is raised
            LOG.warning(
                "Cleaning up after node %(node)s: %(error)s", {"node": node.uuid, "error": exc}
            )
            first = first or exc
    if first is not None:
        raise first
