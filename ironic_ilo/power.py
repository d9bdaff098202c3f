"""Ironic's power interface: the server's power, through its iLO."""

import dataclasses
from typing import Any

from ironic.common import exception, metrics_utils, states
from ironic.common.i18n import _
from ironic.conductor import task_manager
from ironic.drivers import base
from oslo_log import log as logging

from ironic_ilo import bmc, boot_iso, driver_info
from ironic_ilo.bmc.types import PowerState
from ironic_ilo.ironic_errors import translated

LOG = logging.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

_STATES = {PowerState.ON: states.POWER_ON, PowerState.OFF: states.POWER_OFF}
_SERVICE_STATES = (
    states.SERVICING,
    states.SERVICEWAIT,
    states.SERVICEHOLD,
    states.SERVICEFAIL,
)


class IloPower(base.PowerInterface):
    """Powers a server on, off, and off and on again."""

    def get_properties(self) -> dict[str, str]:
        """Describe the properties in ``driver_info``."""
        return dict(driver_info.COMMON_PROPERTIES)

    def validate(self, task: Any) -> None:
        """Check ``driver_info`` without talking to the iLO."""
        driver_info.parse_access(task.node)

    @METRICS.timer("IloPower.get_power_state")
    def get_power_state(self, task: Any) -> str:
        """Read the power state.

        :raises IloOperationError: the iLO did not say.
        """
        with translated(task.node, "read the power state"), _connect(task) as server:
            return str(_STATES[server.get_power_state()])

    @METRICS.timer("IloPower.set_power_state")
    @task_manager.require_exclusive_lock
    def set_power_state(self, task: Any, power_state: str, timeout: int | None = None) -> None:
        """Change the power state, and wait until it has changed.

        A node whose instance is to run gets its boot ISO attached anew before it is powered on.

        :param timeout: seconds; ``None``: ``[ilo]power_timeout``.
        :raises InvalidParameterValue: another power state than on, off or reboot.
        :raises IloOperationError: it could not be changed.
        """
        if power_state == states.REBOOT:
            self.reboot(task, timeout)
        elif power_state == states.POWER_ON:
            self._power_on(task, timeout)
        elif power_state == states.POWER_OFF:
            self._power_off(task, timeout)
        else:
            raise exception.InvalidParameterValue(
                _("Node %(node)s cannot be set to power state %(state)s.")
                % {"node": task.node.uuid, "state": power_state}
            )

    @METRICS.timer("IloPower.reboot")
    @task_manager.require_exclusive_lock
    def reboot(self, task: Any, timeout: int | None = None) -> None:
        """Power a node off, if need be, and on again (specification, "IloPower reboot()").

        It goes off in between, for media must not be changed under a running system.

        :raises IloOperationError: a step of it failed.
        """
        self._power_off(task, timeout)
        self._power_on(task, timeout)

    def get_supported_power_states(self, task: Any) -> list[str]:  # noqa: ARG002 - Ironic's
        """List the states that ``set_power_state`` takes."""
        return [states.POWER_ON, states.POWER_OFF, states.REBOOT]

    def _power_off(self, task: Any, timeout: int | None) -> None:
        with translated(task.node, "power off"), _connect(task, timeout) as server:
            server.power_off()

    def _power_on(self, task: Any, timeout: int | None) -> None:
        with translated(task.node, "power on"), _connect(task, timeout) as server:
            if server.get_power_state() == PowerState.ON:
                return
            if _boots_instance(task.node):
                boot_iso.attach(task, server)
            server.power_on()


def _boots_instance(node: Any) -> bool:
    """Tell whether the next start of a node is to boot its instance.

    At the end of a deploy, of an unrescue and of a service with a ramdisk Ironic calls the boot
    interface's ``prepare_instance`` first, which attaches the boot ISO, too.
    """
    if node.provision_state in _SERVICE_STATES:
        # Ironic sets it to False while a ramdisk is needed.
        return node.driver_internal_info.get("service_disable_ramdisk") is not False
    return bool(node.provision_state == states.ACTIVE)


def _connect(task: Any, timeout: int | None = None) -> bmc.Bmc:
    access = driver_info.parse_access(task.node)
    if timeout is not None:
        access = dataclasses.replace(access, power_timeout=timeout)
    return bmc.connect(access)
