"""BIOS or UEFI, and Secure Boot: what a node asks for, and what its server has.

Ironic's capabilities decide (``ironic.drivers.modules.boot_mode_utils``): ``boot_mode`` (``bios``,
``uefi``) of ``instance_info``, else of ``properties``; ``secure_boot`` of ``instance_info``, which
implies UEFI. Where they are silent, the server keeps the mode that it has.
"""

from dataclasses import dataclass
from typing import Any

from ironic.common import boot_modes, exception, utils
from ironic.common.i18n import _
from ironic.conductor import utils as manager_utils
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import boot_mode_utils
from oslo_log import log as logging

from ironic_ilo import driver_info
from ironic_ilo.bmc.types import BootMode
from ironic_ilo.exception import BmcFeatureMissing, BmcStateMismatch
from ironic_ilo.ironic_errors import translated

LOG = logging.getLogger(__name__)

# In ``driver_internal_info``: the mode in which ramdisk and instance boot, by Ironic's name.
_RECORD = "ilo_boot_mode"
# In ``driver_internal_info``: it was off before the deploy, and is to be off again.
_SWITCHED_ON = "ilo_secure_boot_switched_on"
#: Boot modes by Ironic's names, and the names.
MODES: dict[str, BootMode] = {
    boot_modes.LEGACY_BIOS: BootMode.LEGACY,
    boot_modes.UEFI: BootMode.UEFI,
}
NAMES: dict[BootMode, str] = {mode: name for name, mode in MODES.items()}


def is_uefi(node: Any) -> bool:
    """Tell whether ``prepare`` has found, or put, the node's server into UEFI mode."""
    return bool(node.driver_internal_info.get(_RECORD) == boot_modes.UEFI)


def validate(node: Any) -> None:
    """Check the capabilities without talking to the iLO.

    :raises InvalidParameterValue: one has no meaning, or they contradict each other.
    """
    _read_wishes(node)


def check(task: Any) -> None:
    """Ask the iLO whether the server can boot as wished; nothing is changed.

    :raises InvalidParameterValue: the capabilities are wrong.
    :raises IloOperationError: it cannot, or the iLO did not say.
    """
    node, wishes = task.node, _read_wishes(task.node)
    asked = "boot as the capabilities boot_mode and secure_boot ask"
    with translated(node, asked), driver_info.connect(node) as server:
        supported = server.get_supported_boot_modes()
        if wishes.mode is not None and wishes.mode not in supported:
            raise BmcFeatureMissing(
                f"the server cannot boot in {NAMES[wishes.mode]} mode",
                hint="Change the capability, or choose another node.",
            )
        if wishes.secure_boot:
            server.get_secure_boot()


def prepare(task: Any) -> None:
    """Put the server, which is off, into the mode that the capabilities ask for.

    The mode applies from its next start; ``confirm`` tells whether it did. It is recorded for
    ``is_uefi``. Secure Boot that an earlier deploy switched on, and this one does not ask for, is
    switched off.

    :raises InvalidParameterValue: the capabilities are wrong.
    :raises IloOperationError: the server knows no such mode, or the iLO did not take it.
    """
    node, wishes = task.node, _read_wishes(task.node)
    if not wishes.secure_boot:
        suspend_secure_boot(task)
    with translated(node, "set the boot mode"), driver_info.connect(node) as server:
        mode = wishes.mode or server.get_pending_boot_mode()
        server.set_pending_boot_mode(mode)
    node.set_driver_internal_info(_RECORD, NAMES[mode])
    node.save()


def confirm(task: Any) -> None:
    """Check that the server, which has started since ``prepare``, has the mode.

    :raises IloOperationError: it has another one, or the iLO did not say.
    """
    node = task.node
    wanted = node.driver_internal_info.get(_RECORD)
    with translated(node, "confirm the boot mode"), driver_info.connect(node) as server:
        found = NAMES[server.get_boot_mode()]
        if wanted is not None and found != wanted:
            raise BmcStateMismatch(
                f"the server was to start in {wanted} mode, but has started in {found} mode",
                hint="Look at its screen during POST, and into the iLO's event log.",
            )
    manager_utils.node_cache_boot_mode(task)


def enable_secure_boot(task: Any) -> None:
    """Switch Secure Boot on for the instance, when it asks for it.

    Not before ``confirm``: in BIOS mode an iLO refuses. The server is off.

    :raises IloOperationError: the iLO did not take it.
    """
    node = task.node
    if not _read_wishes(node).secure_boot:
        return
    with translated(node, "switch Secure Boot on"), driver_info.connect(node) as server:
        if server.get_secure_boot().pending:
            return
        # First, so that it is undone even if the answer of the iLO is lost.
        node.set_driver_internal_info(_SWITCHED_ON, True)
        node.save()
        server.set_secure_boot(enabled=True)
    manager_utils.node_cache_boot_mode(task)


def restore(task: Any) -> None:
    """Switch Secure Boot off again, where ``enable_secure_boot`` switched it on.

    The server is off; the boot mode stays.

    :raises IloOperationError: the iLO did not take it.
    """
    suspend_secure_boot(task)
    task.node.del_driver_internal_info(_RECORD)
    task.node.save()


def suspend_secure_boot(task: Any) -> None:
    """Switch Secure Boot off from the next start on, where ``enable_secure_boot`` switched it on.

    :raises IloOperationError: the iLO did not take it.
    """
    node = task.node
    if not node.driver_internal_info.get(_SWITCHED_ON):
        return
    with translated(node, "switch Secure Boot off"), driver_info.connect(node) as server:
        try:
            server.set_secure_boot(enabled=False)
        except BmcFeatureMissing as exc:
            # Someone has put the server into BIOS mode: then it is off, and cannot be changed.
            LOG.warning("Node %(node)s: %(error)s", {"node": node.uuid, "error": exc})
    node.del_driver_internal_info(_SWITCHED_ON)
    node.save()
    manager_utils.node_cache_boot_mode(task)


@dataclass(frozen=True)
class _Wishes:
    """What the capabilities ask for; ``None``: the mode that the server has."""

    mode: BootMode | None
    secure_boot: bool


def _read_wishes(node: Any) -> _Wishes:
    capabilities = utils.parse_instance_info_capabilities(node)
    secure_boot = _choice(node, "secure_boot", capabilities, ("true", "false")) == "true"
    asked = _choice(node, "boot_mode", capabilities, tuple(MODES))
    fixed = driver_utils.get_node_capability(node, "boot_mode") or ""
    if secure_boot and boot_modes.LEGACY_BIOS in (asked, fixed.lower()):
        raise exception.InvalidParameterValue(
            _(
                "Node %s has the capabilities secure_boot:true and boot_mode:bios, but Secure "
                "Boot needs UEFI. Remove one of them."
            )
            % node.uuid
        )
    found = {"boot_mode": boot_mode_utils.get_boot_mode_for_deploy(node)}
    name = _choice(node, "boot_mode", found, tuple(MODES))
    return _Wishes(None if name is None else MODES[name], secure_boot)


def _choice(node: Any, name: str, capabilities: Any, known: tuple[str, ...]) -> str | None:
    """Read a capability; Ironic's own readers fail on what is not text."""
    value = capabilities.get(name)
    if value is not None and (not isinstance(value, str) or value.lower() not in known):
        raise exception.InvalidParameterValue(
            _("Node %(node)s has the capability %(name)s:%(value)s; known are %(known)s, as text.")
            % {"node": node.uuid, "name": name, "value": value, "known": ", ".join(known)}
        )
    return value.lower() if value is not None else None
