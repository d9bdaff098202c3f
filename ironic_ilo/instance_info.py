"""What a node's ``instance_info`` asks for, checked in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlsplit

from ironic.common import exception, utils
from ironic.common.i18n import _
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import deploy_utils

from ironic_ilo.file_systems import FileSystemType
from ironic_ilo.partitions import Label
from ironic_ilo.qemu_img import ImageFormat

IMAGE_FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)


@dataclass(frozen=True)
class InstanceInfo:
    """What a node's ``instance_info`` asks for, checked.

    :ivar image_format: ``raw`` or ``qcow2`` when ``image_disk_format`` says so, else ``None``.
    :ivar ephemeral_format: ``None`` without an ephemeral partition.
    :ivar preserve_ephemeral: neither partition the disk nor format the ephemeral partition.
    :ivar disk_label: the capability of this name; ``None``: what the disk needs.
    """

    image_source: str
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
    given = node.instance_info
    _refuse_unsupported(node, info)
    image_format = given.get("image_disk_format")
    if image_format not in (None, *IMAGE_FORMATS):
        raise invalid(node, _("image_disk_format must be raw or qcow2"))
    if info["root_mb"] <= 0 or info["swap_mb"] < 0 or info["ephemeral_mb"] < 0:
        raise invalid(
            node, _("root_gb must be positive, and neither swap_mb nor ephemeral_gb negative")
        )
    if info["preserve_ephemeral"] and not info["ephemeral_mb"]:
        raise invalid(
            node,
            _("preserve_ephemeral is set, but there is nothing to preserve: ephemeral_gb is 0"),
        )
    _require_checksum(node)
    return InstanceInfo(
        image_source=info["image_source"],
        root_mib=info["root_mb"],
        swap_mib=info["swap_mb"],
        ephemeral_mib=info["ephemeral_mb"],
        image_format=image_format,
        ephemeral_format=_read_ephemeral_format(node, info),
        preserve_ephemeral=info["preserve_ephemeral"],
        disk_label=_read_disk_label(node),
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


def _refuse_unsupported(node: Any, info: Mapping[str, Any]) -> None:
    if node.driver_internal_info.get("is_whole_disk_image"):
        raise invalid(
            node,
            _(
                "whole-disk images are not supported yet; set kernel and ramdisk, or "
                "image_type=partition and boot_iso, for a partition image"
            ),
        )
    if info.get("configdrive"):
        raise invalid(node, _("configdrive is not supported yet"))


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
