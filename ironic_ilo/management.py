"""Ironic's management interface: boot device and boot mode, through the iLO."""

from typing import Any

from ironic.common import boot_devices, boot_modes, exception, metrics_utils
from ironic.common.i18n import _
from ironic.conductor import task_manager
from ironic.drivers import base

from ironic_ilo import bmc, driver_info
from ironic_ilo.bmc.types import BootDevice, BootMode
from ironic_ilo.ironic_errors import translated

METRICS = metrics_utils.get_metrics_logger(__name__)

_DEVICES = {
    boot_devices.CDROM: BootDevice.CDROM,
    boot_devices.DISK: BootDevice.HDD,
    boot_devices.PXE: BootDevice.NETWORK,
}
_NAMES = {device: name for name, device in _DEVICES.items()}
_MODES = {BootMode.LEGACY: boot_modes.LEGACY_BIOS, BootMode.UEFI: boot_modes.UEFI}


class IloManagement(base.ManagementInterface):
    """Sets and reads what a ProLiant boots from."""

    def get_properties(self) -> dict[str, str]:
        """Describe the properties in ``driver_info``."""
        return dict(driver_info.COMMON_PROPERTIES)

    def validate(self, task: Any) -> None:
        """Check ``driver_info`` without talking to the iLO."""
        driver_info.parse_access(task.node)

    def get_supported_boot_devices(self, task: Any) -> list[str]:  # noqa: ARG002 - Ironic's
        """List the devices that ``set_boot_device`` takes."""
        return list(_DEVICES)

    @METRICS.timer("IloManagement.set_boot_device")
    @task_manager.require_exclusive_lock
    def set_boot_device(self, task: Any, device: str, persistent: bool = False) -> None:
        """Choose what the next start, or every start, boots from.

        :raises InvalidParameterValue: an unknown device.
        :raises IloOperationError: the iLO did not take it.
        """
        if device not in _DEVICES:
            raise exception.InvalidParameterValue(
                _("Node %(node)s cannot boot from %(device)s; it can from %(known)s.")
                % {"node": task.node.uuid, "device": device, "known": ", ".join(_DEVICES)}
            )
        with translated(task.node, "set the boot device"):
            server = bmc.connect(driver_info.parse_access(task.node))
            if persistent:
                server.set_persistent_boot(_DEVICES[device])
            else:
                server.set_one_time_boot(_DEVICES[device])

    @METRICS.timer("IloManagement.get_boot_device")
    def get_boot_device(self, task: Any) -> dict[str, Any]:
        """Read what the next start boots from.

        :returns: ``boot_device`` (``None``: one that Ironic has no name for) and ``persistent``.
        :raises IloOperationError: the iLO did not say.
        """
        with translated(task.node, "read the boot device"):
            server = bmc.connect(driver_info.parse_access(task.node))
            once = server.get_one_time_boot()
            if once != BootDevice.NORMAL:
                return {"boot_device": _NAMES.get(once), "persistent": False}
            order = server.get_persistent_boot()
        return {"boot_device": _NAMES.get(order[0]) if order else None, "persistent": True}

    def get_supported_boot_modes(self, task: Any) -> list[str]:
        """List the boot modes: the one that the server has, for it cannot be changed yet."""
        return [self.get_boot_mode(task)]

    @METRICS.timer("IloManagement.get_boot_mode")
    def get_boot_mode(self, task: Any) -> str:
        """Read the boot mode.

        :raises IloOperationError: the iLO did not say.
        """
        with translated(task.node, "read the boot mode"):
            server = bmc.connect(driver_info.parse_access(task.node))
            return str(_MODES[server.get_boot_mode()])

    def get_sensors_data(self, task: Any) -> dict[str, Any]:
        """Report no sensors yet."""
        raise NotImplementedError
