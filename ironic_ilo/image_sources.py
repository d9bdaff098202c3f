"""Where a node's kernel, ramdisk and ISOs are, and how to get them.

Each is an image in Glance (``UUID`` or ``glance://UUID``), an http(s) URL or a file URL. What
``instance_info`` does not name, the image to be deployed does, by its properties in Glance.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ironic.common import exception, image_service
from ironic.common import images as ironic_images
from ironic.common.i18n import _
from ironic.conf import CONF

from ironic_ilo import boot_loaders, driver_info, glance, publisher
from ironic_ilo.exception import Error
from ironic_ilo.instance_info import is_whole_disk
from ironic_ilo.ironic_errors import translated

# By role, the property of an image in Glance (Glance's "common image properties", and the
# specification's "glance meta-property boot_iso").
_PROPERTIES = {"kernel": "kernel_id", "ramdisk": "ramdisk_id", "boot_iso": "boot_iso"}


def find(task: Any, role: str) -> str | None:
    """Find where a node's kernel, ramdisk or own boot ISO is.

    :param role: ``kernel``, ``ramdisk`` or ``boot_iso``.
    :returns: its href; ``None`` when nobody names one. A boot ISO made here is none of these.
    :raises InvalidParameterValue: Glance could not be asked.
    """
    given = task.node.instance_info.get(role)
    if given and not publisher.is_object_name(str(given)):
        return str(given)
    return _read_properties(task).get(_PROPERTIES[role])


def require_boot_sources(task: Any) -> None:
    """Check that an instance will have something to boot from: whole disks do so by themselves.

    It may ask Glance.

    :raises MissingParameterValue: neither a boot ISO, nor kernel and ramdisk are named.
    :raises InvalidParameterValue: Glance could not be asked; or a boot ISO is to be built, and
        this conductor has no boot loaders for it.
    """
    if is_whole_disk(task.node) or find(task, "boot_iso") is not None:
        return
    missing = [role for role in ("kernel", "ramdisk") if find(task, role) is None]
    if missing:
        raise exception.MissingParameterValue(
            _(
                "Node %(node)s lacks %(missing)s: set kernel and ramdisk, from which its boot ISO "
                "is built, or boot_iso, in its instance_info; or kernel_id and ramdisk_id, or "
                "boot_iso, as properties of its image in Glance."
            )
            % {"node": task.node.uuid, "missing": ", ".join(missing)}
        )
    with translated(task.node, "build the boot ISO"):
        boot_loaders.check_installed()


def check_sources(task: Any) -> None:
    """Check that all that a deploy reads can be read, and keep what later steps may not be given.

    :raises InstanceDeployFailure: something cannot be read.
    """
    node = task.node
    glance.forget_images(node)
    _check(task, "image_source", str(node.instance_info["image_source"]))
    _check(task, "deploy_iso", driver_info.parse_deploy_properties(node).deploy_iso)
    for role in _boot_roles(task):
        href = find(task, role) or ""
        _check(task, role, href)
        if glance.is_image(href) and role != "boot_iso":
            path = _kept_path(node, href)
            path.parent.mkdir(parents=True, exist_ok=True)
            with _translated(node, role, href):
                glance.download_image(task, href, path)
    node.save()


def check_readable(task: Any, role: str, href: str) -> None:
    """Check that an image can be read, and keep nothing of it.

    :param role: what the image is for, in the error.
    :raises InvalidParameterValue: it cannot.
    """
    try:
        if glance.is_image(href):
            glance.show_image(task, href)
        else:
            image_service.get_image_service(href).validate_href(href)
    except (Error, exception.IronicException) as exc:
        raise exception.InvalidParameterValue(
            _("Cannot read the %(role)s %(href)s of node %(node)s: %(error)s")
            % {
                "role": role,
                "href": show_href(href),
                "node": task.node.uuid,
                "error": describe(exc, href),
            }
        ) from exc


def _boot_roles(task: Any) -> tuple[str, ...]:
    """Name what a node's instance is booted from, beside its image."""
    if is_whole_disk(task.node):
        return ()
    return ("boot_iso",) if find(task, "boot_iso") else ("kernel", "ramdisk")


def fetch(task: Any, role: str, path: Path) -> None:
    """Fetch a node's kernel, ramdisk or own boot ISO to a file; from Glance, verified.

    The file may be a link to the operator's own: it must not be written to.

    :raises InstanceDeployFailure: it cannot be had.
    """
    href = find(task, role) or ""
    with _translated(task.node, role, href):
        if not glance.is_image(href):
            ironic_images.fetch_into(task.context, href, str(path))
        elif (kept := _kept_path(task.node, href)).exists():
            shutil.copyfile(kept, path)
        else:
            glance.download_image(task, href, path)


def show_href(href: str) -> str:
    """Leave out of a URL what may be a secret."""
    parts = urlsplit(href)
    if not parts.scheme:
        return href
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def describe(error: Exception, *hrefs: str) -> str:
    """Tell an error as part of a sentence, without what may be secret in URLs."""
    text = str(error).rstrip(".")
    for parts in map(urlsplit, hrefs):
        for secret in (parts.query, parts.netloc.rpartition("@")[0]):
            if secret:
                text = text.replace(secret, "...")
    return text


def _read_properties(task: Any) -> dict[str, str]:
    """Read what the image in Glance names of ours; nothing for an image that is elsewhere."""
    href = str(task.node.instance_info.get("image_source"))
    if not glance.is_image(href):
        return {}
    try:
        return glance.show_image(task, href).properties
    except (Error, exception.IronicException) as exc:
        raise exception.InvalidParameterValue(
            _("Cannot read the properties of node %(node)s's image: %(error)s")
            % {"node": task.node.uuid, "error": exc}
        ) from exc


def _check(task: Any, role: str, href: str) -> None:
    with _translated(task.node, role, href):
        if glance.is_image(href):
            glance.note_image(task, href)
        else:
            image_service.get_image_service(href).validate_href(href)


def _kept_path(node: Any, href: str) -> Path:
    """Name the place of an image beside the instance's own, with which it is removed."""
    return Path(CONF.pxe.images_path, node.uuid, href.rpartition("/")[2])


@contextmanager
def _translated(node: Any, role: str, href: str) -> Iterator[None]:
    try:
        yield
    except (Error, exception.IronicException, OSError) as exc:
        raise exception.InstanceDeployFailure(
            _("Cannot read the %(role)s %(href)s of node %(node)s: %(error)s")
            % {
                "role": role,
                "href": show_href(href),
                "node": node.uuid,
                "error": describe(exc, href),
            }
        ) from exc
