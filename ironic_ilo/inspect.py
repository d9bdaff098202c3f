"""Ironic's inspect interface: what a server is made of, as its iLO tells, out of band."""

from collections.abc import Mapping
from typing import Any

from ironic.common import exception, metrics_utils, states
from ironic.common.i18n import _
from ironic.conductor import task_manager
from ironic.drivers import base
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import inspect_utils
from oslo_log import log as logging

from ironic_ilo import driver_info
from ironic_ilo.bmc import Bmc, BootMode, Inventory
from ironic_ilo.exception import BmcFeatureMissing
from ironic_ilo.ironic_errors import translated

LOG = logging.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

_POWER_ON = _(
    "An iLO may not know the parts of a server that is off, or in POST: power the node on, let it "
    "finish its POST, and inspect it again."
)
# Ironic's, of capabilities: no value can have them.
_SEPARATORS = str.maketrans(",:", "  ")
# What to do when an iLO does not tell it.
_REMEDIES = {
    "cpus": _POWER_ON,
    "memory_mb": _POWER_ON,
    "local_gb": _(
        "It tells neither a logical drive nor a disk: create a logical drive, or set local_gb in "
        "the node's properties, then inspect it again."
    ),
    "ports": _(
        "No NIC is shown: power the node on and inspect it again, or add the MAC address of its "
        "NIC by 'baremetal port create'."
    ),
}


class IloInspect(base.InspectInterface):
    """Fills a node's properties, and creates its ports, without a ramdisk.

    Nothing of the server changes, its power neither.
    """

    def get_properties(self) -> dict[str, str]:
        """Describe the properties in ``driver_info``."""
        return dict(driver_info.COMMON_PROPERTIES)

    def validate(self, task: Any) -> None:
        """Check ``driver_info`` without talking to the iLO."""
        driver_info.parse_access(task.node)

    @METRICS.timer("IloInspect.inspect_hardware")
    @task_manager.require_exclusive_lock
    def inspect_hardware(self, task: Any) -> str:
        """Read what the server is made of into the node; on an error, the node is as it was.

        ``cpus``, ``memory_mb``, ``local_gb`` (of the smallest drive, less 1) and
        ``cpu_arch`` of the properties, capabilities beside those that are there, and ports.

        :returns: MANAGEABLE.
        :raises InvalidParameterValue: the node's capabilities are malformed.
        :raises HardwareInspectionFailure: the iLO did not tell something that is needed.
        :raises IloOperationError: the iLO did not answer as it should.
        """
        node = task.node
        known = driver_utils.capabilities_to_dict(node.properties.get("capabilities"))
        with translated(node, "inspect the server"), driver_info.connect(node) as server:
            inventory = server.get_inventory()
            capabilities = known | _read_capabilities(server, inventory)
        properties = node.properties | _find_properties(inventory)
        _require(task, properties, inventory)
        node.properties = properties | {
            "capabilities": ",".join(f"{name}:{value}" for name, value in capabilities.items())
        }
        node.save()
        inspect_utils.create_ports_if_not_exist(task, inventory.macs)
        LOG.info("Inspected node %(node)s: %(found)s", {"node": node.uuid, "found": inventory})
        return str(states.MANAGEABLE)


def _find_properties(inventory: Inventory) -> dict[str, Any]:
    """Give the properties that the iLO tells of; ``None``: it should, and does not.

    A server may have disks without a logical drive, so then the operator's ``local_gb`` is kept.
    """
    found: dict[str, Any] = {
        "cpus": inventory.cpus,
        "cpu_arch": inventory.cpu_arch,
        "memory_mb": inventory.memory_mib,
    }
    if inventory.disks_gib:
        # As Ironic's other interfaces: a flavor as large as the disk would not fit on it.
        found["local_gb"] = max(min(inventory.disks_gib) - 1, 1)
    return found


def _require(task: Any, properties: Mapping[str, Any], inventory: Inventory) -> None:
    missing = [name for name in ("cpus", "memory_mb", "local_gb") if not properties.get(name)]
    if not inventory.macs and not task.ports:
        missing.append("ports")
    if missing:
        # The first remedy may be the remedy for all.
        remedies = dict.fromkeys(_REMEDIES[name] for name in missing)
        raise exception.HardwareInspectionFailure(
            error=_("the iLO of node %(node)s does not tell %(missing)s. %(remedies)s")
            % {
                "node": task.node.uuid,
                "missing": ", ".join(missing),
                "remedies": " ".join(remedies),
            }
        )


def _read_capabilities(server: Bmc, inventory: Inventory) -> dict[str, str]:
    """Read what the removed driver had as capabilities, by the same names."""
    product = server.product()
    modes = server.get_supported_boot_modes()
    found = {
        "server_model": product.model,
        "ilo_firmware_version": inventory.ilo_version or product.firmware,
        "rom_firmware_version": inventory.rom_version,
        "boot_mode_bios": str(BootMode.LEGACY in modes).lower(),
        "boot_mode_uefi": str(BootMode.UEFI in modes).lower(),
        "secure_boot": "true" if _has_secure_boot(server) else "",
    }
    return {name: value.translate(_SEPARATORS) for name, value in found.items() if value}


def _has_secure_boot(server: Bmc) -> bool:
    try:
        server.get_secure_boot()
    except BmcFeatureMissing:
        return False
    return True
