"""Ironic's boot interface: deploy ramdisk and instance, from virtual media."""

from collections.abc import Mapping
from typing import Any

from ironic.common import boot_devices, metrics_utils, states
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from ironic.drivers import base
from ironic.drivers.modules import boot_mode_utils, deploy_utils

from ironic_ilo import (
    agent_ramdisk,
    boot_iso,
    boot_mode,
    boot_proof,
    driver_info,
    image_sources,
    publisher,
    ramdisk,
    virtual_media,
)
from ironic_ilo.boot_watch import BootWatch
from ironic_ilo.instance_info import is_whole_disk
from ironic_ilo.ironic_errors import translated
from ironic_ilo.reconciler import DEPLOY_INTERFACE, Reconciler

METRICS = metrics_utils.get_metrics_logger(__name__)

# In these, Ironic makes room for a ramdisk, and boots the instance again after it.
_INSTANCE_RETURNS = (states.RESCUING, states.SERVICING)
# In these, an instance runs: a conductor takes a node over from another one, or adopts it.
_INSTANCE_RUNS = (states.ACTIVE, states.ADOPTING)


class IloVirtualMediaBoot(Reconciler, BootWatch, base.BootInterface):
    """Boots a ProLiant from the virtual media of its iLO.

    The ramdisk is our own when ``ilo-iscsi`` deploys or cleans, and ironic-python-agent else.
    """

    # Ironic reads it from the instance.
    capabilities = ("ramdisk_boot",)

    @property
    def image_publisher_settings(self) -> base.ImagePublisherSettings:
        """Tell Ironic where it may publish images of its own making for iLOs."""
        return base.ImagePublisherSettings(
            swift_enabled=not CONF.ilo.use_web_server_for_images,
            container=CONF.ilo.swift_ilo_container,
            timeout=publisher.helper_images_ttl(),
            image_subdir="ilo",
            kernel_params=CONF.ilo.kernel_append_params or "",
        )

    def get_properties(self) -> dict[str, str]:
        """Describe the properties in ``driver_info``."""
        return driver_info.COMMON_PROPERTIES | driver_info.DEPLOY_PROPERTIES

    def validate(self, task: Any) -> None:
        """Check what can be checked without talking to the iLO, or fetching anything.

        :raises MissingParameterValue: something is missing.
        :raises InvalidParameterValue: something is wrong.
        """
        node = task.node
        driver_info.parse_access(node)
        if deploy_utils.is_ramdisk_deploy(node):
            image_sources.require_boot_sources(task)
        else:
            driver_info.parse_deploy_properties(node)
        if node.deploy_interface != DEPLOY_INTERFACE:  # that looks at the rest itself
            boot_mode.validate(node)
            with translated(node, "use the [ilo] configuration"):
                publisher.get_object_store()

    def validate_rescue(self, task: Any) -> None:
        """Check that there is an ISO to rescue with.

        :raises MissingParameterValue: ``rescue_iso`` is missing.
        :raises InvalidParameterValue: it is no href.
        """
        driver_info.parse_rescue_iso(task.node)

    @METRICS.timer("IloVirtualMediaBoot.prepare_ramdisk")
    def prepare_ramdisk(
        self,
        task: Any,
        ramdisk_params: Mapping[str, str],
        ramdisk_files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Attach a ramdisk's ISO, and a floppy with the parameters, for the next start.

        :raises MissingParameterValue: the ISO is not named.
        :raises IloOperationError: a step of it failed.
        """
        if agent_ramdisk.is_meant(ramdisk_params):
            agent_ramdisk.prepare(task, ramdisk_params)
            return
        deploy_iso = driver_info.parse_deploy_properties(task.node).deploy_iso
        urls = virtual_media.setup_virtual_media_boot(
            task, deploy_iso, ramdisk_params, ramdisk_files
        )
        boot_proof.note_media(task.node, urls)

    @METRICS.timer("IloVirtualMediaBoot.clean_up_ramdisk")
    def clean_up_ramdisk(self, task: Any) -> None:
        """Empty both drives and remove the floppy image; nothing may be there.

        A server that runs a ramdisk, or has something in its drives, is powered off first: media
        must not change under a running system. A rescue goes on without them.

        :raises IloOperationError: a step of it failed; the other was tried.
        """
        in_use = ramdisk.SERVER_IN_USE in task.node.driver_internal_info
        rescued = task.node.provision_state == states.RESCUING
        if manager_utils.is_fast_track(task) and not rescued:
            return
        try:
            virtual_media.cleanup_virtual_media_boot(task)
        finally:
            if rescued:
                _leave_rescued_server(task)
            elif in_use or virtual_media.holds_media(task):
                ramdisk.release_server(task)

    @METRICS.timer("IloVirtualMediaBoot.prepare_instance")
    def prepare_instance(self, task: Any) -> None:
        """Make the next start boot the instance: from its boot ISO, or every start from its disk.

        Under an instance that runs, nothing is changed.

        :raises InstanceDeployFailure: what its boot ISO is built from cannot be had.
        :raises IloOperationError: a step of it failed.
        """
        node = task.node
        if node.provision_state in _INSTANCE_RUNS:
            return
        if node.deploy_interface != DEPLOY_INTERFACE:
            _prepare_foreign_instance(task)
        elif node.provision_state != states.DEPLOYING:  # it was suspended for an agent
            boot_mode.enable_secure_boot(task)
        if _boots_from_disk(node):
            manager_utils.node_set_boot_device(task, boot_devices.DISK, persistent=True)
        with translated(node, "boot the instance"), driver_info.connect(node) as server:
            boot_iso.attach(task, server)

    @METRICS.timer("IloVirtualMediaBoot.clean_up_instance")
    def clean_up_instance(self, task: Any) -> None:
        """Give up the instance's boot ISO, unless the instance is to boot from it again.

        :raises IloOperationError: the object store failed; or the iLO did not take back what a
            deploy interface of Ironic's own cannot know of.
        """
        node = task.node
        if node.provision_state in _INSTANCE_RETURNS:
            return
        boot_iso.release(task)
        if node.deploy_interface != DEPLOY_INTERFACE:
            boot_mode.restore(task)


def _leave_rescued_server(task: Any) -> None:
    """Take the media from a server whose user works on it now; Ironic has turned off any other.

    The agent is all in memory, and has a secret on the floppy, which is not for the user.
    """
    virtual_media.eject_virtual_media(task)
    ramdisk.forget_server(task)


def _prepare_foreign_instance(task: Any) -> None:
    """Do what our own deploy interface does in steps of its own."""
    node = task.node
    virtual_media.cleanup_virtual_media_boot(task)
    virtual_media.eject_virtual_media(task)
    ramdisk.forget_server(task)
    boot_mode_utils.sync_boot_mode(task)
    boot_mode.enable_secure_boot(task)
    if deploy_utils.is_ramdisk_deploy(node) and node.provision_state == states.DEPLOYING:
        boot_iso.prepare(task)


def _boots_from_disk(node: Any) -> bool:
    """Tell whether an instance boots from its disk; the agent installs a boot loader there."""
    if node.deploy_interface == DEPLOY_INTERFACE:
        return is_whole_disk(node)
    return not deploy_utils.is_ramdisk_deploy(node)
