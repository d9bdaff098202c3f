"""What a node's ``instance_info`` asks for, checked in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlsplit

from ironic.common import exception
from ironic.common.i18n import _
from ironic.drivers.modules import deploy_utils

from ironic_ilo.file_systems import FileSystemType
from ironic_ilo.qemu_img import ImageFormat

IMAGE_FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)


@dataclass(frozen=True)
class InstanceInfo:
    """What a node's ``instance_info`` asks for, checked.

    :ivar image_format: ``raw`` or ``qcow2`` when ``image_disk_format`` says so, else ``None``.
    :ivar ephemeral_format: ``None`` without an ephemeral partition.
    :ivar preserve_ephemeral: neither partition the disk nor format the ephemeral partition.
    """

    image_source: str
    root_mib: int
    swap_mib: int
    ephemeral_mib: int
    image_format: str | None
    ephemeral_format: FileSystemType | None
    preserve_ephemeral: bool


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
