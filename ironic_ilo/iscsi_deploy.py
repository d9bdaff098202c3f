"""Deploying over iSCSI: what is to be written, where to, and writing it.

The names are the specification's ("ironic/drivers/modules/iscsi_deploy.py").
"""

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from ironic.common import checksum_utils, exception, image_service
from ironic.common import images as ironic_images
from ironic.common.i18n import _
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils
from oslo_log import log as logging

from ironic_ilo import (
    boot_iso,
    deploy_secrets,
    disk,
    driver_info,
    partitions,
    timeline,
)
from ironic_ilo.deploy_secrets import DeploySecrets
from ironic_ilo.ironic_errors import translated
from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.qemu_img import ImageFormat

LOG = logging.getLogger(__name__)

InstanceImageCache = deploy_utils.InstanceImageCache
destroy_images = deploy_utils.destroy_images

NONCE = "ilo_deploy_nonce"
CALLBACK = "ilo_deploy_callback"

_CALLBACK_PARAMETERS = frozenset({"address", "key", "iqn", "error", "disks"})
_REQUIRED_PARAMETERS = ("address", "key", "iqn")
_MIB = 1024 * 1024
_IMAGE_FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)


@dataclass(frozen=True)
class InstanceInfo:
    """What a node's ``instance_info`` asks for, checked.

    :ivar image_format: ``raw`` or ``qcow2`` when ``image_disk_format`` says so, else ``None``.
    """

    image_source: str
    root_mib: int
    swap_mib: int
    image_format: str | None


@dataclass(frozen=True)
class CachedImage:
    """An instance image on this conductor, verified and inspected for the deploy under way."""

    path: Path
    image_format: ImageFormat
    root_uuid: str


@dataclass(frozen=True)
class DeployInfo:
    """What a deploy ramdisk told in its callback: ``pass_deploy_info``'s parameters.

    :ivar address: the node's IP address, without brackets; empty with an error.
    :ivar error: why the ramdisk gave up; empty when it offers the disk.
    """

    address: str
    iqn: str
    error: str

    def as_dict(self) -> dict[str, str]:
        """Give the form in which it is kept in the node."""
        return {"address": self.address, "iqn": self.iqn, "error": self.error}


def parse_instance_info(node: Any) -> InstanceInfo:
    """Read what is to be deployed on a node.

    :raises MissingParameterValue: something is missing.
    :raises InvalidParameterValue: something has no meaning, or is not supported.
    """
    info = deploy_utils.parse_instance_info(node)
    given = node.instance_info
    _refuse_unsupported(node, info)
    image_format = given.get("image_disk_format")
    if image_format not in (None, *_IMAGE_FORMATS):
        raise _invalid(node, _("image_disk_format must be raw or qcow2"))
    if info["root_mb"] <= 0 or info["swap_mb"] < 0:
        raise _invalid(node, _("root_gb must be positive, and swap_mb not negative"))
    _require_boot_source(node)
    _require_checksum(node)
    return InstanceInfo(info["image_source"], info["root_mb"], info["swap_mb"], image_format)


def get_deploy_info(node: Any, parameters: Mapping[str, Any]) -> DeployInfo:
    """Check a callback of a node's deploy ramdisk.

    :param parameters: ``address``, ``key``, ``iqn``, and optionally ``error`` and ``disks``.
    :raises MissingParameterValue: one is missing.
    :raises InvalidParameterValue: one is unknown or malformed, or the key is not this deploy's.
    """
    missing = [name for name in _REQUIRED_PARAMETERS if name not in parameters]
    if missing:
        raise exception.MissingParameterValue(
            _("pass_deploy_info for node %(node)s lacks %(missing)s.")
            % {"node": node.uuid, "missing": ", ".join(missing)}
        )
    unknown = sorted(set(parameters) - _CALLBACK_PARAMETERS)
    if unknown:
        raise _refused(node, _("it does not know %s") % ", ".join(unknown))
    texts = {name: parameters.get(name) or "" for name in (*_REQUIRED_PARAMETERS, "error")}
    wrong = [name for name, value in texts.items() if not isinstance(value, str)]
    if wrong:
        raise _refused(node, _("%s must be text") % ", ".join(wrong))
    secrets = get_secrets(node)
    if secrets is None or not secrets.accepts_key(texts["key"]):
        raise _refused(node, _("the key is not that of a deploy under way"))
    info = DeployInfo(texts["address"], texts["iqn"], texts["error"])
    if not info.error:
        _check_target(node, info, secrets)
    return info


def start_deploy(node: Any) -> DeploySecrets:
    """Begin a deploy: make its one-time secrets, and forget an earlier callback."""
    node.set_driver_internal_info(NONCE, deploy_secrets.make_nonce())
    node.del_driver_internal_info(CALLBACK)
    node.save()
    secrets = get_secrets(node)
    assert secrets is not None  # noqa: S101 - the nonce was set above
    return secrets


def end_deploy(node: Any) -> None:
    """Make the deploy's secrets worthless."""
    node.del_driver_internal_info(NONCE)
    node.del_driver_internal_info(CALLBACK)
    node.del_driver_internal_info(timeline.PROGRESS)
    node.save()


def get_secrets(node: Any) -> DeploySecrets | None:
    """Make the secrets of the deploy under way; ``None`` when there is none."""
    nonce = node.driver_internal_info.get(NONCE)
    if nonce is None:
        return None
    with translated(node, "derive the deploy's secrets"):
        return deploy_secrets.derive(CONF.ilo.signing_key, node.uuid, nonce)


def build_ramdisk_parameters(node: Any, secrets: DeploySecrets) -> dict[str, str]:
    """Make the ``parameters.txt`` that the deploy ramdisk reads from the floppy.

    The names are those of Ironic's own iSCSI deploy where it had them.
    """
    return {
        "ironic_api_url": deploy_utils.get_ironic_api_url().rstrip("/"),
        "deployment_id": node.uuid,
        "deployment_key": secrets.deploy_key,
        "iscsi_target_iqn": secrets.target_iqn,
        "iscsi_initiator_iqn": secrets.initiator_iqn,
        "iscsi_portal_port": str(CONF.ilo.iscsi_portal_port),
        "iscsi_chap_username": secrets.chap_username,
        "iscsi_chap_secret": secrets.chap_secret,
        # Servers come out of storage with their clocks years behind, and TLS minds.
        "clock": str(int(time.time())),
        "callback_timeout": str(CONF.ilo.callback_retry_timeout),
    }


def cache_instance_image(task: Any) -> CachedImage:
    """Fetch the instance's image, unless it is cached, and verify it for this deploy.

    :raises InstanceDeployFailure: it cannot be had, or is not what was asked for.
    :raises InvalidParameterValue: it does not fit into ``root_gb``.
    """
    node = task.node
    info = parse_instance_info(node)
    try:
        checksum, algorithm = checksum_utils.get_checksum_and_algo(node.instance_info)
        _uuid, path, _format = deploy_utils.cache_instance_image(
            task.context,
            node,
            force_raw=False,
            expected_format=info.image_format,
            expected_checksum=checksum,
            expected_checksum_algo=algorithm,
        )
        # The cache checks nothing on a hit, and its files may have been there for weeks.
        checksum_utils.validate_checksum(path, checksum, algorithm)
        image_format = ironic_images.safety_check_image(path, node)
        ironic_images.check_if_image_format_is_permitted(image_format, info.image_format, node)
    except (exception.IronicException, OSError) as exc:
        raise _image_failure(node, info, exc) from exc
    return _inspect(node, info, Path(path), image_format)


def check_image_size(node: Any, virtual_size: int) -> None:
    """Check that an image fits into the root partition.

    :param virtual_size: bytes that the image takes on a disk.
    :raises InvalidParameterValue: it does not.
    """
    info = parse_instance_info(node)
    image_mib = -(-virtual_size // _MIB)
    if image_mib > info.root_mib:
        raise _invalid(
            node,
            _("the image needs %(image)d MiB, and root_gb gives %(root)d MiB; raise root_gb")
            % {"image": image_mib, "root": info.root_mib},
        )


def continue_deploy(task: Any) -> None:
    """Write the image to the disk that the node's ramdisk offers.

    :raises InstanceDeployFailure: the ramdisk reported an error, or the image is not usable.
    :raises IloOperationError: the disk could not be written.
    """
    node = task.node
    callback = DeployInfo(**node.driver_internal_info[CALLBACK])
    if callback.error:
        raise exception.InstanceDeployFailure(
            _("The deploy ramdisk of node %(node)s reported: %(error)s")
            % {"node": node.uuid, "error": callback.error}
        )
    info = parse_instance_info(node)
    image = cache_instance_image(task)
    timeline.begin_stage(node, "write")
    with translated(node, "write the image"):
        _write(node, info, image, _find_target(node, callback))
    # Ironic's own name for it; it goes when the instance is torn down.
    node.set_driver_internal_info("root_uuid_or_disk_id", image.root_uuid)
    node.save()


def _refuse_unsupported(node: Any, info: Mapping[str, Any]) -> None:
    if node.driver_internal_info.get("is_whole_disk_image"):
        raise _invalid(
            node,
            _(
                "whole-disk images are not supported yet; set kernel and ramdisk, or "
                "image_type=partition and boot_iso, for a partition image"
            ),
        )
    unsupported = {
        "ephemeral_gb": info.get("ephemeral_mb"),
        "configdrive": info.get("configdrive"),
        "preserve_ephemeral": info.get("preserve_ephemeral"),
    }
    for name, value in unsupported.items():
        if value:
            raise _invalid(node, _("%s is not supported yet") % name)


def _require_boot_source(node: Any) -> None:
    given = node.instance_info
    missing = [name for name in ("kernel", "ramdisk") if not given.get(name)]
    if missing and boot_iso.find_users_own(node) is None:
        raise exception.MissingParameterValue(
            _(
                "Node %(node)s lacks %(missing)s in its instance_info: set kernel and ramdisk, "
                "from which its boot ISO is built, or boot_iso."
            )
            % {"node": node.uuid, "missing": ", ".join(missing)}
        )


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


def _invalid(node: Any, reason: str) -> exception.InvalidParameterValue:
    return exception.InvalidParameterValue(
        _("Node %(node)s cannot be deployed: %(reason)s") % {"node": node.uuid, "reason": reason}
    )


def _refused(node: Any, reason: str) -> exception.InvalidParameterValue:
    return exception.InvalidParameterValue(
        _("pass_deploy_info for node %(node)s is refused: %(reason)s.")
        % {"node": node.uuid, "reason": reason}
    )


def _check_target(node: Any, info: DeployInfo, secrets: DeploySecrets) -> None:
    try:
        ipaddress.ip_address(info.address)
    except ValueError:
        raise _refused(node, _("address is not an IP address")) from None
    if info.iqn != secrets.target_iqn:
        raise _refused(node, _("iqn is not that of the deploy under way"))


def _image_failure(
    node: Any, info: InstanceInfo, error: Exception
) -> exception.InstanceDeployFailure:
    """Say why an image cannot be had or used; Ironic's own inspection only logs its reason."""
    reason = _without_query(info.image_source, str(error)).rstrip(".")
    # Its subclasses, such as a wrong checksum, do say what is wrong.
    if type(error) is exception.InvalidImage:
        reason = _(
            "inspection refused it: it is damaged, refers to other files (a backing file), or is "
            "not of the expected format (%s). Convert it with 'qemu-img convert', or correct "
            "image_disk_format"
        ) % (info.image_format or ", ".join(CONF.conductor.permitted_image_formats))
    return exception.InstanceDeployFailure(
        _("Cannot use image %(image)s for node %(node)s: %(reason)s")
        % {"image": _shown(info.image_source), "node": node.uuid, "reason": reason}
    )


def _shown(image_source: str) -> str:
    """Leave out of a URL what may be a secret."""
    parts = urlsplit(image_source)
    if not parts.scheme:
        return image_source
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _without_query(href: str, text: str) -> str:
    """Leave the part of a URL that may be a signature out of somebody else's message."""
    query = urlsplit(href).query
    return text.replace(query, "...") if query else text


def _inspect(node: Any, info: InstanceInfo, path: Path, format_name: str) -> CachedImage:
    image_format = next((known for known in _IMAGE_FORMATS if known == format_name), None)
    if image_format is None:
        raise _invalid(node, _("its image is of format %s, not raw or qcow2") % format_name)
    with translated(node, "inspect the image"):
        found = disk.inspect_image(path, image_format)
        check_image_size(node, found.virtual_size)
        root_uuid = disk.read_root_uuid(path, image_format)
    if root_uuid is None:
        raise exception.InstanceDeployFailure(
            _(
                "Image %(image)s of node %(node)s holds no file system: is it a partition image? "
                "Its first bytes must be those of the root file system"
            )
            % {"image": _shown(info.image_source), "node": node.uuid}
        )
    return CachedImage(path, image_format, root_uuid)


def check_sources(task: Any) -> None:
    """Check that the deploy ISO, and what the instance boots from, can be read from here.

    :raises InstanceDeployFailure: one cannot.
    """
    node = task.node
    given = node.instance_info
    names = ("boot_iso",) if boot_iso.find_users_own(node) else ("kernel", "ramdisk")
    sources = {name: str(given[name]) for name in names}
    sources["deploy_iso"] = driver_info.parse_deploy_properties(node).deploy_iso
    for name, href in sources.items():
        try:
            image_service.get_image_service(href, context=task.context).validate_href(href)
        except exception.IronicException as exc:
            raise exception.InstanceDeployFailure(
                _("Cannot read the %(name)s %(href)s of node %(node)s: %(error)s")
                % {
                    "name": name,
                    "href": _shown(href),
                    "node": node.uuid,
                    "error": _without_query(href, str(exc)).rstrip("."),
                }
            ) from exc


def _find_target(node: Any, callback: DeployInfo) -> IscsiTarget:
    secrets = get_secrets(node)
    assert secrets is not None  # noqa: S101 - a callback is only taken with them
    address = callback.address
    host = f"[{address}]" if ":" in address else address
    portal = driver_info.parse_deploy_properties(node).iscsi_portal
    return IscsiTarget(
        portal=portal or f"{host}:{CONF.ilo.iscsi_portal_port}",
        iqn=secrets.target_iqn,
        initiator_iqn=secrets.initiator_iqn,
        chap_username=secrets.chap_username,
        chap_secret=secrets.chap_secret,
    )


def _write(node: Any, info: InstanceInfo, image: CachedImage, target: IscsiTarget) -> None:
    size = disk.read_disk_size(target, timeout=CONF.ilo.write_stall_timeout)
    layout = partitions.plan_layout(disk_size=size, root_mib=info.root_mib, swap_mib=info.swap_mib)

    def show(progress: disk.Progress) -> None:
        timeline.show_progress(
            node,
            stage=progress.stage,
            percent=progress.percent,
            bytes_done=progress.bytes_done,
            bytes_total=progress.bytes_total,
            bytes_per_second=progress.bytes_per_second,
        )

    disk.write_deploy_image(
        target,
        layout,
        image.path,
        image.image_format,
        on_progress=show,
        timeout=CONF.ilo.write_timeout,
        stall_timeout=CONF.ilo.write_stall_timeout,
    )
    LOG.info("The image of node %(node)s is written", {"node": node.uuid})
