"""What a node's ``instance_info`` asks for, checked in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlsplit

from ironic.common import exception, utils
from ironic.common.i18n import _
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import deploy_utils
from oslo_utils import strutils

from ironic_ilo import publisher
from ironic_ilo.file_systems import FileSystemType
from ironic_ilo.partitions import Label
from ironic_ilo.qemu_img import ImageFormat

IMAGE_FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)


@dataclass(frozen=True)
class InstanceInfo:
    """What a node's ``instance_info`` asks for, checked.

    :ivar whole_disk: the image is one of a whole disk; no size means anything then.
    :ivar image_format: ``raw`` or ``qcow2`` when ``image_disk_format`` says so, else ``None``.
    :ivar ephemeral_format: ``None`` without an ephemeral partition.
    :ivar preserve_ephemeral: neither partition the disk nor format the ephemeral partition.
    :ivar disk_label: the capability of this name; ``None``: what the disk needs.
    """

    image_source: str
    whole_disk: bool
    root_mib: int
    swap_mib: int
    ephemeral_mib: int
    image_format: str | None
    ephemeral_format: FileSystemType | None
    preserve_ephemeral: bool
    disk_label: Label | None


def parse_instance_info(node: Any) -> InstanceInfo:
    """Read what is to be deployed on a node.

    :raises MissingParameterValue: something is missing.
    :raises InvalidParameterValue: something has no meaning, or is not supported.
    """
    info = deploy_utils.parse_instance_info(node)
    image_format = node.instance_info.get("image_disk_format")
    if image_format not in (None, *IMAGE_FORMATS):
        raise invalid(node, _("image_disk_format must be raw or qcow2"))
    whole_disk = is_whole_disk(node)
    if whole_disk:
        _check_whole_disk(node)
        info |= {"root_mb": 0, "swap_mb": 0, "ephemeral_mb": 0, "preserve_ephemeral": False}
    else:
        _check_sizes(node, info)
    _require_checksum(node)
    return InstanceInfo(
        image_source=info["image_source"],
        whole_disk=whole_disk,
        root_mib=info["root_mb"],
        swap_mib=info["swap_mb"],
        ephemeral_mib=info["ephemeral_mb"],
        image_format=image_format,
        ephemeral_format=_read_ephemeral_format(node, info),
        preserve_ephemeral=info["preserve_ephemeral"],
        disk_label=_read_disk_label(node),
    )


def is_whole_disk(node: Any) -> bool:
    """Tell whether a node's image is one of a whole disk, by the rules of Ironic."""
    return bool(node.driver_internal_info.get("is_whole_disk_image"))


def _check_whole_disk(node: Any) -> None:
    """Refuse what a whole-disk image cannot be had with."""
    given = node.instance_info
    unwanted = [name for name in ("swap_mb", "ephemeral_gb") if str(given.get(name) or 0) != "0"]
    if strutils.bool_from_string(given.get("preserve_ephemeral")):
        unwanted.append("preserve_ephemeral")
    boot_iso = given.get("boot_iso")
    # One made here is left from an earlier image, and goes with this deploy.
    if boot_iso and not publisher.is_object_name(str(boot_iso)):
        unwanted.append("boot_iso")
    if unwanted:
        raise invalid(
            node,
            _(
                "its image is one of a whole disk, which is partitioned already and boots by "
                "itself; unset %s, or set kernel and ramdisk, or image_type=partition, for a "
                "partition image"
            )
            % ", ".join(unwanted),
        )


def _check_sizes(node: Any, info: Mapping[str, Any]) -> None:
    if info["root_mb"] <= 0 or info["swap_mb"] < 0 or info["ephemeral_mb"] < 0:
        raise invalid(
            node, _("root_gb must be positive, and neither swap_mb nor ephemeral_gb negative")
        )
    if info["preserve_ephemeral"] and not info["ephemeral_mb"]:
        raise invalid(
            node,
            _("preserve_ephemeral is set, but there is nothing to preserve: ephemeral_gb is 0"),
        )


def _read_ephemeral_format(node: Any, info: Mapping[str, Any]) -> FileSystemType | None:
    """Read it; by default it is ``[pxe]default_ephemeral_format``, as in all of Ironic."""
    if not info["ephemeral_mb"]:
        return None
    try:
        return FileSystemType(info["ephemeral_format"])
    except ValueError:
        raise invalid(
            node,
            _("ephemeral_format is %(given)s, and must be one of %(known)s")
            % {"given": info["ephemeral_format"], "known": ", ".join(FileSystemType)},
        ) from None


def _read_disk_label(node: Any) -> Label | None:
    """Read it from the instance's capabilities (Nova: the flavor's), else from the node's own.

    Not Ironic's ``get_disk_label``, which takes a node of unknown boot mode for UEFI: boot ISOs
    boot without it.
    """
    capabilities = utils.parse_instance_info_capabilities(node)
    given = capabilities.get("disk_label") or driver_utils.get_node_capability(node, "disk_label")
    if given is None:
        return None
    try:
        return Label(given)
    except ValueError:
        raise invalid(
            node,
            _("the capability disk_label is %(given)s, and must be one of %(known)s")
            % {"given": given, "known": ", ".join(Label)},
        ) from None


def _require_checksum(node: Any) -> None:
    given = node.instance_info
    remote = urlsplit(str(given.get("image_source"))).scheme in ("http", "https")
    if remote and not (given.get("image_checksum") or given.get("image_os_hash_value")):
        raise exception.MissingParameterValue(
            _(
                "Node %s lacks image_checksum (or image_os_hash_algo and image_os_hash_value) in "
                "its instance_info: an image fetched from a web server must be verified."
            )
            % node.uuid
        )


def invalid(node: Any, reason: str) -> exception.InvalidParameterValue:
    return exception.InvalidParameterValue(
        _("Node %(node)s cannot be deployed: %(reason)s") % {"node": node.uuid, "reason": reason}
    )
