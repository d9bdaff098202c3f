"""BIOS or UEFI, and Secure Boot: what a node asks for, and what its server has.

Ironic's capabilities decide (``ironic.drivers.modules.boot_mode_utils``): ``boot_mode`` (``bios``,
``uefi``) of ``instance_info``, else of ``properties``; ``secure_boot`` of ``instance_info``, which
implies UEFI. Where they are silent, the server keeps the mode that it has.
"""

from dataclasses import dataclass
from typing import Any

from ironic.common import boot_modes, exception, utils
from ironic.common.i18n import _
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import boot_mode_utils

# In ``driver_internal_info``: the mode in which ramdisk and instance boot, by Ironic's name.
_RECORD = "ilo_boot_mode"
_MODES = (boot_modes.LEGACY_BIOS, boot_modes.UEFI)


def is_uefi(node: Any) -> bool:
    """Tell whether ``prepare`` has found, or put, the node's server into UEFI mode."""
    return bool(node.driver_internal_info.get(_RECORD) == boot_modes.UEFI)


def validate(node: Any) -> None:
    """Check the capabilities without talking to the iLO.

    :raises InvalidParameterValue: one has no meaning, or they contradict each other.
    """
    _read_wishes(node)


@dataclass(frozen=True)
class _Wishes:
    """What the capabilities ask for; ``None``: the mode that the server has."""

    mode: str | None
    secure_boot: bool


def _read_wishes(node: Any) -> _Wishes:
    capabilities = utils.parse_instance_info_capabilities(node)
    secure_boot = _choice(node, "secure_boot", capabilities, ("true", "false")) == "true"
    _choice(node, "boot_mode", capabilities, _MODES)
    own = {"boot_mode": driver_utils.get_node_capability(node, "boot_mode")}
    fixed = _choice(node, "boot_mode", own, _MODES)
    if secure_boot and boot_modes.LEGACY_BIOS in (capabilities.get("boot_mode"), fixed):
        raise exception.InvalidParameterValue(
            _(
                "Node %s has the capabilities secure_boot:true and boot_mode:bios, but Secure "
                "Boot needs UEFI. Remove one of them."
            )
            % node.uuid
        )
    return _Wishes(boot_mode_utils.get_boot_mode_for_deploy(node), secure_boot)


def _choice(node: Any, name: str, capabilities: Any, known: tuple[str, ...]) -> str | None:
    """Read a capability; Ironic's own readers fail on what is not text."""
    value = capabilities.get(name)
    if value is not None and (not isinstance(value, str) or value.lower() not in known):
        raise exception.InvalidParameterValue(
            _("Node %(node)s has the capability %(name)s:%(value)s; known are %(known)s, as text.")
            % {"node": node.uuid, "name": name, "value": value, "known": ", ".join(known)}
        )
    return value.lower() if value is not None else None
