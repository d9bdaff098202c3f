"""The image that a node's instance is deployed from, cached and verified."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ironic.common import checksum_utils, exception
from ironic.common import images as ironic_images
from ironic.common.i18n import _
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils

from ironic_ilo import file_facts, glance, image_file, whole_disk
from ironic_ilo.exception import Error
from ironic_ilo.file_facts import Identity
from ironic_ilo.image_sources import describe, show_href
from ironic_ilo.instance_info import IMAGE_FORMATS, InstanceInfo, invalid, parse_instance_info
from ironic_ilo.ironic_errors import translated
from ironic_ilo.partitions import MIB, Extent
from ironic_ilo.qemu_img import ImageFormat


@dataclass(frozen=True)
class CachedImage:
    """An instance image on this conductor, verified and inspected for the deploy under way.

    :ivar identity: of the content that was verified: compare it once the image has been used.
    :ivar root_uuid_or_disk_id: of a partition image the UUID of its file system, of a whole-disk
        image the disk signature, both as Ironic has them.
    """

    path: Path
    identity: Identity
    image_format: ImageFormat
    root_uuid_or_disk_id: str


@dataclass(frozen=True)
class _Expected:
    """What an image must turn out to be."""

    checksum: str
    algorithm: str | None
    image_format: str | None


def cache_instance_image(task: Any) -> CachedImage:
    """Fetch the instance's image, unless it is cached, and verify it for this deploy.

    :raises InstanceDeployFailure: it cannot be had, or is not what was asked for.
    :raises InvalidParameterValue: it does not fit into ``root_gb``.
    """
    node = task.node
    info = parse_instance_info(node)
    try:
        expected = _expect(task, info)
        path = _find_verified(node, expected) or _fetch(task, info, expected)
        identity = file_facts.identify(path)
        # The cache checks nothing on a hit, and its files may have been there for weeks.
        _verify(path, expected)
        image_format = file_facts.find_out(
            path, "format", lambda: ironic_images.safety_check_image(str(path), node)
        )
        ironic_images.check_if_image_format_is_permitted(image_format, expected.image_format, node)
    except (Error, exception.IronicException, OSError) as exc:
        # Its causes show URLs, which can be secrets (temporary URLs).
        raise _image_failure(node, info, exc) from None
    return _inspect(node, info, path, identity, image_format)


def check_image_size(node: Any, virtual_size: int) -> None:
    """Check that a partition image fits into the root partition.

    A whole-disk image is held against the disk, once that is known.

    :param virtual_size: bytes that the image takes on a disk.
    :raises InvalidParameterValue: it does not.
    """
    info = parse_instance_info(node)
    image_mib = -(-virtual_size // MIB)
    if not info.whole_disk and image_mib > info.root_mib:
        raise invalid(
            node,
            _("the image needs %(image)d MiB, and root_gb gives %(root)d MiB; raise root_gb")
            % {"image": image_mib, "root": info.root_mib},
        )


def _expect(task: Any, info: InstanceInfo) -> _Expected:
    """Take the checksum from ``instance_info``, else from Glance; so, too, the format."""
    given = task.node.instance_info
    image = None
    if glance.is_image(info.image_source):
        image = glance.show_image(task, info.image_source)
    if image is None or given.get("image_checksum") or given.get("image_os_hash_value"):
        checksum, algorithm = _find_checksum(given, info.image_source)
    else:
        checksum, algorithm = image.hash_value, image.hash_algorithm
    image_format = info.image_format or (image.disk_format if image else None)
    return _Expected(checksum, algorithm, image_format)


def _find_checksum(given: Mapping[str, Any], source: str) -> tuple[str, str | None]:
    """Find the checksum that is given, or is at the URL that is given.

    For a file without one, Ironic computes it.
    """

    def read() -> tuple[str, str | None]:
        checksum, algorithm = checksum_utils.get_checksum_and_algo(given)
        return checksum, algorithm

    if given.get("image_checksum") or given.get("image_os_hash_value"):
        return read()
    return file_facts.find_out(Path(urlsplit(source).path), "checksum", read)


def _find_verified(node: Any, expected: _Expected) -> Path | None:
    """Find what an earlier step has fetched: Glance may not show the image to this one."""
    path = Path(CONF.pxe.images_path, node.uuid, "disk")
    if not path.exists():
        return None
    try:
        _verify(path, expected)
    except exception.ImageChecksumError:
        return None
    return path


def _verify(path: Path, expected: _Expected) -> None:
    file_facts.find_out(
        path,
        ("checksum", expected.checksum, expected.algorithm),
        lambda: checksum_utils.validate_checksum(str(path), expected.checksum, expected.algorithm),
    )


def _fetch(task: Any, info: InstanceInfo, expected: _Expected) -> Path:
    _uuid, path, _format = deploy_utils.cache_instance_image(
        glance.find_context(task, info.image_source),
        task.node,
        force_raw=False,
        expected_format=expected.image_format,
        expected_checksum=expected.checksum,
        expected_checksum_algo=expected.algorithm,
    )
    return Path(path)


def _image_failure(
    node: Any, info: InstanceInfo, error: Exception
) -> exception.InstanceDeployFailure:
    """Say why an image cannot be had or used; Ironic's own inspection only logs its reason."""
    # The checksum can be a URL, too.
    checksum = str(node.instance_info.get("image_checksum") or "")
    reason = describe(error, info.image_source, checksum)
    if isinstance(error, exception.ImageChecksumError):
        reason += _(
            " If the image is compressed with zstd, give it uncompressed, with the checksum of "
            "that: Ironic unpacks it, and what is unpacked cannot be verified"
        )
    # Its other subclasses do say what is wrong.
    elif type(error) is exception.InvalidImage:
        reason = _(
            "inspection refused it: it is damaged, refers to other files (a backing file), or is "
            "not of the expected format (%s). Convert it with 'qemu-img convert', or correct "
            "image_disk_format"
        ) % (info.image_format or ", ".join(CONF.conductor.permitted_image_formats))
    return exception.InstanceDeployFailure(
        _("Cannot use image %(image)s for node %(node)s: %(reason)s")
        % {"image": show_href(info.image_source), "node": node.uuid, "reason": reason}
    )


def _inspect(
    node: Any, info: InstanceInfo, path: Path, identity: Identity, format_name: str
) -> CachedImage:
    # A raw image with a partition table is one of its own to Ironic's inspection.
    if format_name in ironic_images.RAW_IMAGE_FORMATS:
        format_name = "raw"
    image_format = next((known for known in IMAGE_FORMATS if known == format_name), None)
    if image_format is None:
        raise invalid(node, _("its image is of format %s, not raw or qcow2") % format_name)
    with translated(node, "inspect the image"):
        found = file_facts.find_out(
            path, ("info", image_format), lambda: image_file.inspect_image(path, image_format)
        )
        check_image_size(node, found.virtual_size)
        if info.whole_disk:
            head = image_file.read_part(path, image_format, Extent(0, MIB))
            return CachedImage(path, identity, image_format, whole_disk.read_disk_identifier(head))
        root_uuid = file_facts.find_out(
            path, ("root", image_format), lambda: image_file.read_root_uuid(path, image_format)
        )
    if root_uuid is None:
        raise exception.InstanceDeployFailure(
            _(
                "Image %(image)s of node %(node)s holds no file system: is it a partition image? "
                "Its first bytes must be those of the root file system"
            )
            % {"image": show_href(info.image_source), "node": node.uuid}
        )
    return CachedImage(path, identity, image_format, root_uuid)
