"""Where images, kernels, ramdisks and ISOs come from; the instance image, verified."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ironic.common import checksum_utils, exception, image_service
from ironic.common import images as ironic_images
from ironic.common.i18n import _
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils

from ironic_ilo import boot_iso, disk, driver_info
from ironic_ilo.instance_info import IMAGE_FORMATS, InstanceInfo, invalid, parse_instance_info
from ironic_ilo.ironic_errors import translated
from ironic_ilo.qemu_img import ImageFormat

_MIB = 1024 * 1024


@dataclass(frozen=True)
class CachedImage:
    """An instance image on this conductor, verified and inspected for the deploy under way."""

    path: Path
    image_format: ImageFormat
    root_uuid: str


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
        raise invalid(
            node,
            _("the image needs %(image)d MiB, and root_gb gives %(root)d MiB; raise root_gb")
            % {"image": image_mib, "root": info.root_mib},
        )


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
    image_format = next((known for known in IMAGE_FORMATS if known == format_name), None)
    if image_format is None:
        raise invalid(node, _("its image is of format %s, not raw or qcow2") % format_name)
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
