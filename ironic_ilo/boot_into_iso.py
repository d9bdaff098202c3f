"""Boots a server once from an ISO of the operator's: firmware tools, diagnostics, rescue systems.

The node's record knows nothing of it. What boots then is up to whoever asked for it; the start
after that one is again what it was.
"""

from collections.abc import Mapping
from typing import Any

from ironic.common import exception, states
from ironic.common.i18n import _
from ironic.conductor import utils as manager_utils
from oslo_log import log as logging

from ironic_ilo import driver_info, image_sources, virtual_media
from ironic_ilo.ironic_errors import translated

LOG = logging.getLogger(__name__)

METHOD = "boot_into_iso"
_HREF = "boot_iso_href"
# In these, nothing is being done to a node that a reboot would break.
_AT_REST = frozenset(states.STABLE_STATES) | states.FAILURE_STATES


def check(task: Any, parameters: Mapping[str, Any]) -> str:
    """Check a call, up to the ISO itself, before anything is touched; give its href.

    :raises InvalidStateRequested: the node is neither manageable, nor at rest in maintenance.
    :raises MissingParameterValue: no ISO is named.
    :raises InvalidParameterValue: there is another parameter; or the ISO cannot be read.
    """
    node = task.node
    at_rest = node.maintenance and node.provision_state in _AT_REST
    if node.provision_state != states.MANAGEABLE and not at_rest:
        raise exception.InvalidStateRequested(
            action=_("boot_into_iso (manageable nodes, and nodes at rest in maintenance, only)"),
            node=node.uuid,
            state=node.provision_state,
        )
    unknown = sorted(set(parameters) - {_HREF})
    if unknown:
        raise exception.InvalidParameterValue(
            _("boot_into_iso of node %(node)s takes boot_iso_href only, not %(unknown)s.")
            % {"node": node.uuid, "unknown": ", ".join(unknown)}
        )
    driver_info.parse_access(node)
    return _check_href(task, parameters.get(_HREF))


def _check_href(task: Any, href: Any) -> str:
    if href in (None, ""):
        raise exception.MissingParameterValue(
            _("boot_into_iso of node %s lacks boot_iso_href, the ISO to boot.") % task.node.uuid
        )
    if not isinstance(href, str) or not driver_info.is_image(href):
        raise exception.InvalidParameterValue(
            _(
                "boot_iso_href for node %s must be the UUID of an image in Glance, or an http, "
                "https or file URL."
            )
            % task.node.uuid
        )
    image_sources.check_readable(task, "boot_iso_href", href)
    return href


def run(task: Any, href: str) -> None:
    """Power a node off, attach the ISO, and power it on.

    Not by Ironic's power action: that would attach an active node's own boot ISO again. A failure
    is in ``last_error`` as well, for nobody waits for the answer of a call.

    :raises IronicException: a step of it failed.
    """
    node = task.node
    try:
        manager_utils.node_power_action(task, states.POWER_OFF)
        with translated(node, "power on"), driver_info.connect(node) as server:
            virtual_media.insert_boot_media(task, server, href)
            server.power_on()
    except exception.IronicException as exc:
        node.last_error = _("boot_into_iso failed: %s") % exc
        node.save()
        raise
    node.power_state = states.POWER_ON
    node.save()
    LOG.info(
        "Node %(node)s boots once from %(iso)s",
        {"node": node.uuid, "iso": image_sources.show_href(href)},
    )
