"""BIOS or UEFI, and Secure Boot: what a node asks for, and what its server has.

Ironic's capabilities decide (``ironic.drivers.modules.boot_mode_utils``): ``boot_mode`` (``bios``,
``uefi``) of ``instance_info``, else of ``properties``; ``secure_boot`` of ``instance_info``, which
implies UEFI. Where they are silent, the server keeps the mode that it has.
"""

from typing import Any

from ironic.common import boot_modes, exception, utils
from ironic.common.i18n import _
from ironic.drivers.modules import boot_mode_utils

# In ``driver_internal_info``: the mode in which ramdisk and instance boot, by Ironic's name.
_RECORD = "ilo_boot_mode"
_SECURE_BOOT = {"true": True, "false": False}


def is_uefi(node: Any) -> bool:
    """Tell whether ``prepare`` has found, or put, the node's server into UEFI mode."""
    return bool(node.driver_internal_info.get(_RECORD) == boot_modes.UEFI)


def validate(node: Any) -> None:
    """Check the capabilities without talking to the iLO.

    :raises InvalidParameterValue: one has no meaning, or they contradict each other.
    """
    _wanted_mode(node)
    _wants_secure_boot(node)


def _wanted_mode(node: Any) -> str | None:
    """Tell the mode that the capabilities ask for, ``None`` for whatever the server has."""
    mode = boot_mode_utils.get_boot_mode_for_deploy(node)
    known = (boot_modes.LEGACY_BIOS, boot_modes.UEFI)
    if mode is not None and mode not in known:
        raise exception.InvalidParameterValue(
            _("Node %(node)s has the capability boot_mode:%(mode)s; it can be one of %(known)s.")
            % {"node": node.uuid, "mode": mode, "known": ", ".join(known)}
        )
    return str(mode) if mode is not None else None


def _wants_secure_boot(node: Any) -> bool:
    capabilities = utils.parse_instance_info_capabilities(node)
    value = str(capabilities.get("secure_boot", "false")).lower()
    if value not in _SECURE_BOOT:
        raise exception.InvalidParameterValue(
            _("Node %(node)s has the capability secure_boot:%(value)s; it can be true or false.")
            % {"node": node.uuid, "value": value}
        )
    wanted = _SECURE_BOOT[value]
    if wanted and capabilities.get("boot_mode", boot_modes.UEFI) != boot_modes.UEFI:
        raise exception.InvalidParameterValue(
            _(
                "Node %s has the capabilities secure_boot:true and boot_mode:bios. Secure Boot needs "
                "UEFI: take one of them out of instance_info."
            )
            % node.uuid
        )
    return wanted
