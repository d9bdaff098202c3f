"""Ironic's management interface: boot device, boot mode and Secure Boot, through the iLO."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ironic.common import boot_devices, exception, metrics_utils
from ironic.common.i18n import _
from ironic.conductor import task_manager
from ironic.drivers import base

from ironic_ilo import boot_mode, driver_info, sensors
from ironic_ilo.bmc.types import BootDevice
from ironic_ilo.exception import BmcFeatureMissing
from ironic_ilo.ironic_errors import translated

METRICS = metrics_utils.get_metrics_logger(__name__)

_DEVICES = {
    boot_devices.CDROM: BootDevice.CDROM,
    boot_devices.DISK: BootDevice.HDD,
    boot_devices.PXE: BootDevice.NETWORK,
}
_NAMES = {device: name for name, device in _DEVICES.items()}


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
        with (
            translated(task.node, "set the boot device"),
            driver_info.connect(task.node) as server,
        ):
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
        with (
            translated(task.node, "read the boot device"),
            driver_info.connect(task.node) as server,
        ):
            once = server.get_one_time_boot()
            if once != BootDevice.NORMAL:
                return {"boot_device": _NAMES.get(once), "persistent": False}
            order = server.get_persistent_boot()
        return {"boot_device": _NAMES.get(order[0]) if order else None, "persistent": True}

    def get_supported_boot_modes(self, task: Any) -> list[str]:
        """List the boot modes that the server has.

        :raises IloOperationError: the iLO did not say.
        """
        with (
            translated(task.node, "read the supported boot modes"),
            driver_info.connect(task.node) as server,
        ):
            return [boot_mode.NAMES[mode] for mode in server.get_supported_boot_modes()]

    @METRICS.timer("IloManagement.get_boot_mode")
    def get_boot_mode(self, task: Any) -> str:
        """Read the boot mode of the next start, as ``set_boot_mode`` sets it.

        :raises IloOperationError: the iLO did not say.
        """
        with translated(task.node, "read the boot mode"), driver_info.connect(task.node) as server:
            return boot_mode.NAMES[server.get_pending_boot_mode()]

    @METRICS.timer("IloManagement.set_boot_mode")
    @task_manager.require_exclusive_lock
    def set_boot_mode(self, task: Any, mode: str) -> None:
        """Choose the boot mode of the next start and those after it.

        :raises InvalidParameterValue: no such mode.
        :raises UnsupportedDriverExtension: the server has only another one.
        :raises IloOperationError: the iLO did not take it.
        """
        if mode not in boot_mode.MODES:
            raise exception.InvalidParameterValue(
                _("Node %(node)s cannot boot in mode %(mode)s; it can in %(known)s.")
                % {"node": task.node.uuid, "mode": mode, "known": ", ".join(boot_mode.MODES)}
            )
        with (
            translated(task.node, "set the boot mode"),
            _supported(task, "set_boot_mode"),
            driver_info.connect(task.node) as server,
        ):
            server.set_pending_boot_mode(boot_mode.MODES[mode])

    @METRICS.timer("IloManagement.get_secure_boot_state")
    def get_secure_boot_state(self, task: Any) -> bool:
        """Tell whether the next start enforces Secure Boot, as ``set_secure_boot_state`` sets it.

        :raises UnsupportedDriverExtension: the server has no Secure Boot.
        :raises IloOperationError: the iLO did not say.
        """
        with (
            translated(task.node, "read the state of Secure Boot"),
            _supported(task, "get_secure_boot_state"),
            driver_info.connect(task.node) as server,
        ):
            return server.get_secure_boot().pending

    @METRICS.timer("IloManagement.set_secure_boot_state")
    @task_manager.require_exclusive_lock
    def set_secure_boot_state(self, task: Any, state: bool) -> None:
        """Switch Secure Boot on or off from the next start on.

        :raises UnsupportedDriverExtension: the server has no Secure Boot, or is not in UEFI mode.
        :raises IloOperationError: the iLO did not take it.
        """
        with (
            translated(task.node, "change the state of Secure Boot"),
            _supported(task, "set_secure_boot_state"),
            driver_info.connect(task.node) as server,
        ):
            server.set_secure_boot(enabled=state)

    @METRICS.timer("IloManagement.inject_nmi")
    @task_manager.require_exclusive_lock
    def inject_nmi(self, task: Any) -> None:
        """Interrupt the running system with an NMI, to have it dump its memory, say.

        :raises UnsupportedDriverExtension: the iLO cannot (Gen8).
        :raises IloOperationError: the server is off, or the iLO did not do it.
        """
        with (
            translated(task.node, "inject an NMI"),
            _supported(task, "inject_nmi"),
            driver_info.connect(task.node) as server,
        ):
            server.inject_nmi()

    @METRICS.timer("IloManagement.get_sensors_data")
    def get_sensors_data(self, task: Any) -> dict[str, dict[str, dict[str, Any]]]:
        """Read fans, temperatures and power supplies (``ironic_ilo.sensors``).

        :raises IloOperationError: the iLO did not say.
        """
        with translated(task.node, "read the sensors"), driver_info.connect(task.node) as server:
            found = server.get_sensors()
        return sensors.as_ironic_has_them(found)


@contextmanager
def _supported(task: Any, extension: str) -> Iterator[None]:
    """Say in Ironic's way that a server lacks something."""
    try:
        yield
    except BmcFeatureMissing as exc:
        raise exception.UnsupportedDriverExtension(
            _("Node %(node)s does not support %(extension)s: %(error)s")
            % {"node": task.node.uuid, "extension": extension, "error": exc}
        ) from exc
