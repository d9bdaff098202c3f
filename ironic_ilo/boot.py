"""Ironic's boot interface: deploy ramdisk and instance, from virtual media."""

from collections.abc import Mapping
from typing import Any

from ironic.common import boot_devices, metrics_utils, states
from ironic.conductor import utils as manager_utils
from ironic.drivers import base

from ironic_ilo import boot_iso, boot_proof, driver_info, virtual_media
from ironic_ilo.boot_watch import BootWatch
from ironic_ilo.instance_info import is_whole_disk
from ironic_ilo.reconciler import Reconciler

METRICS = metrics_utils.get_metrics_logger(__name__)

# In these, Ironic makes room for a ramdisk, and boots the instance again after it.
_INSTANCE_RETURNS = (states.RESCUING, states.SERVICING)


class IloVirtualMediaBoot(Reconciler, BootWatch, base.BootInterface):
    """Boots a ProLiant from the virtual media of its iLO."""

    def get_properties(self) -> dict[str, str]:
        """Describe the properties in ``driver_info``."""
        return driver_info.COMMON_PROPERTIES | driver_info.DEPLOY_PROPERTIES

    def validate(self, task: Any) -> None:
        """Check ``driver_info`` without talking to anyone."""
        driver_info.parse_access(task.node)
        driver_info.parse_deploy_properties(task.node)

    @METRICS.timer("IloVirtualMediaBoot.prepare_ramdisk")
    def prepare_ramdisk(
        self,
        task: Any,
        ramdisk_params: Mapping[str, str],
        ramdisk_files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Attach the deploy ISO, and a floppy with the parameters, for the next start.

        :raises IloOperationError: a step of it failed.
        """
        deploy_iso = driver_info.parse_deploy_properties(task.node).deploy_iso
        urls = virtual_media.setup_virtual_media_boot(
            task, deploy_iso, ramdisk_params, ramdisk_files
        )
        boot_proof.note_media(task.node, urls)

    @METRICS.timer("IloVirtualMediaBoot.clean_up_ramdisk")
    def clean_up_ramdisk(self, task: Any) -> None:
        """Empty both drives and remove the floppy image; nothing may be there.

        :raises IloOperationError: a step of it failed; the other was tried.
        """
        try:
            virtual_media.cleanup_virtual_media_boot(task)
        finally:
            virtual_media.eject_virtual_media(task)

    @METRICS.timer("IloVirtualMediaBoot.prepare_instance")
    def prepare_instance(self, task: Any) -> None:
        """Make the next start boot the instance: from its boot ISO, or every start from its disk.

        :raises IloOperationError: a step of it failed.
        """
        if is_whole_disk(task.node):
            manager_utils.node_set_boot_device(task, boot_devices.DISK, persistent=True)
        boot_iso.attach(task)

    @METRICS.timer("IloVirtualMediaBoot.clean_up_instance")
    def clean_up_instance(self, task: Any) -> None:
        """Give up the instance's boot ISO, unless the instance is to boot from it again.

        :raises IloOperationError: the object store failed.
        """
        if task.node.provision_state not in _INSTANCE_RETURNS:
            boot_iso.release(task)
