"""Choosing the disk that an image is written to, by Ironic's root device hints.

The hints are ``instance_info['root_device']`` or else ``properties['root_device']``, and are
matched by Ironic's own matcher, so that they mean what its documentation says.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ironic.common import exception, utils
from ironic.common.i18n import _
from oslo_log import log as logging

from ironic_ilo.callback import DeployInfo
from ironic_ilo.local_disks import LocalDisk

LOG = logging.getLogger(__name__)

# In ``driver_internal_info`` from the choice until the instance is torn down: the disk.
ROOT_DEVICE = "ilo_root_device"

# Without hints, a smaller one of several disks is none to deploy to: Ironic's rule.
_MIN_SIZE = 4 * 2**30
# What a ramdisk offers that tells nothing of its disks.
_ONLY_DISK = LocalDisk(
    lun=1,
    size=0,
    sector_size=512,
    name="the only disk",
    model="",
    vendor="",
    serial="",
    wwn="",
    wwn_with_extension="",
    wwn_vendor_extension="",
    rotational=True,
    hctl="",
    by_path="",
)
# A disk to try hints on: an operator for numbers fails on a text, for example.
_SAMPLE: Mapping[str, Any] = {
    **dict.fromkeys(utils.VALID_ROOT_DEVICE_HINTS, "sample"),
    "size": 2**40,
    "rotational": True,
}


def validate(node: Any) -> None:
    """Check a node's hints before there is a disk to match.

    :raises InvalidParameterValue: Ironic's matcher cannot work with one.
    """
    source, hints = _find_hints(node)
    for name, expression in _items(hints):
        reason = _why_invalid({name: expression})
        if reason:
            raise exception.InvalidParameterValue(
                _(
                    "The root device hint %(hint)s in %(source)s of node %(node)s is invalid: "
                    "%(why)s."
                )
                % {
                    "hint": f"{name}={expression!r}",
                    "source": source,
                    "node": node.uuid,
                    "why": reason.rstrip("."),
                }
            )


def _why_invalid(hint: Mapping[str, Any]) -> str:
    try:
        utils.parse_root_device_hints(hint)
    except ValueError as exc:
        return str(exc)
    except Exception:  # noqa: BLE001 - the parser's own errors print its grammar
        return str(_("operator and value do not fit"))
    try:
        list(utils.find_devices_by_hints([_SAMPLE], hint))
    except Exception:  # noqa: BLE001 - the matcher lets anything through
        return str(_("operator and value do not fit"))
    return ""


def _find_hints(node: Any) -> tuple[str, Any]:
    for source in ("instance_info", "properties"):
        hints = getattr(node, source).get("root_device")
        if hints:
            return source, hints
    return "", {}


def _items(hints: Any) -> Iterable[tuple[str, Any]]:
    # What is no object is one invalid hint.
    return hints.items() if isinstance(hints, dict) else [(str(hints), "")]


def choose(node: Any, info: DeployInfo) -> LocalDisk:
    """Choose the disk to write to, among those that a node's ramdisk offers.

    With hints: the only one that they match. Without: the only one there is, or of several the
    smallest that has at least 4 GiB; of equal ones, the first by its place in the server.

    :raises InvalidParameterValue: a hint is invalid.
    :raises InstanceDeployFailure: no disk matches, or several do; the message names them.
    """
    validate(node)
    _source, hints = _find_hints(node)
    disks = [LocalDisk(**disk) for disk in info.disks]
    if hints:
        chosen = _match(node, disks, hints)
    elif disks:
        chosen = _find_smallest(node, disks)
    else:
        chosen = _ONLY_DISK
    LOG.info("The root device of node %(node)s is %(disk)s", {"node": node.uuid, "disk": chosen})
    return chosen


def _match(node: Any, disks: list[LocalDisk], hints: Mapping[str, Any]) -> LocalDisk:
    if not disks:
        remedy = _("hints need a deploy ramdisk that describes its disks; make a new deploy ISO")
        raise _failure(node, remedy)
    try:
        names = {
            found["lun"]
            for found in utils.find_devices_by_hints([asdict(disk) for disk in disks], hints)
        }
    except Exception as exc:
        # The matcher takes operators from disks, too.
        reason = _("the hints %(hints)s cannot be matched with %(disks)s")
        raise _failure(node, reason % {"hints": hints, "disks": _name(disks)}) from exc
    matching = [disk for disk in disks if disk.lun in names]
    if len(matching) != 1:
        reason = _("the hints %(hints)s match %(matching)s; there are: %(disks)s")
        which = _("several disks: %s") % _name(matching) if matching else _("no disk")
        raise _failure(node, reason % {"hints": hints, "matching": which, "disks": _name(disks)})
    return matching[0]


def _find_smallest(node: Any, disks: list[LocalDisk]) -> LocalDisk:
    if len(disks) == 1:
        return disks[0]
    large = [disk for disk in disks if disk.size >= _MIN_SIZE]
    if not large:
        reason = _("there are no hints, and of several disks none has 4 GiB: %s")
        raise _failure(node, reason % _name(disks))
    return min(large, key=lambda disk: (disk.size, _place(disk)))


def _place(disk: LocalDisk) -> tuple[list[tuple[int, str]], ...]:
    """Sort disks by where they are plugged in; names are given in the order of their finding."""
    return tuple(_natural(text) for text in (disk.by_path, disk.hctl, disk.name))


def _natural(text: str) -> list[tuple[int, str]]:
    """Let 2 come before 10."""
    return [(int(part or 0), rest) for part, rest in re.findall(r"(\d*)(\D*)", text)]


def _name(disks: Iterable[LocalDisk]) -> str:
    return ", ".join(str(disk) for disk in disks)


def _failure(node: Any, reason: str) -> exception.InstanceDeployFailure:
    return exception.InstanceDeployFailure(
        _("The root device of node %(node)s cannot be told: %(reason)s.")
        % {"node": node.uuid, "reason": reason}
    )


def remember(node: Any, chosen: LocalDisk, *, preserve: bool) -> None:
    """Keep the choice, for operators and for the next rebuild.

    :param preserve: what is on the disk is to be kept, so it must be that of the last deploy.
    :raises InstanceDeployFailure: it is another, or that cannot be told.
    """
    last = node.driver_internal_info.get(ROOT_DEVICE)
    if preserve and last is not None and _identity(last) != _identity(asdict(chosen)):
        reason = _("preserve_ephemeral needs the disk of the last deploy, %(last)s, not %(now)s")
        raise _failure(node, reason % {"last": LocalDisk(**last), "now": chosen})
    node.set_driver_internal_info(ROOT_DEVICE, asdict(chosen))
    node.save()


def _identity(disk: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a disk keeps from boot to boot; its place only if it has no number."""
    numbers = (disk["serial"], disk["wwn"], disk["wwn_vendor_extension"])
    return disk["size"], disk["model"], *(numbers if any(numbers) else (disk["by_path"],))


def forget(node: Any) -> None:
    """Forget the choice, as the instance is torn down."""
    node.del_driver_internal_info(ROOT_DEVICE)
    node.save()
