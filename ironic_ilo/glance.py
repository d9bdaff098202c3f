"""Asks Glance for images, with a deadline, and says what came back.

Ironic's own client has no deadline unless ``[glance]timeout`` is set, and takes an answer such
as "503 Service Unavailable" for an image that is not active.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import openstack
import requests
from ironic.common import exception as ironic_exception
from ironic.common import keystone
from ironic.common.context import RequestContext
from ironic.common.glance_service import service_utils
from ironic.conf import CONF
from keystoneauth1 import exceptions as keystone_exceptions
from openstack import exceptions as sdk_exceptions
from oslo_utils import fileutils

from ironic_ilo.exception import ImageError, InvalidInput

# What Glance told whoever asked for the deploy, by image ID.
_NOTES = "ilo_glance_images"
_PROPERTIES = ("kernel_id", "ramdisk_id", "boot_iso")
_DEFAULT_TIMEOUT = 60
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Image:
    """An active image in Glance.

    :ivar size: bytes.
    :ivar hash_algorithm: as ``hashlib`` names it; with ``hash_value``, in hexadecimal.
    :ivar properties: those that tell what an instance of the image boots from.
    """

    id: str
    size: int
    disk_format: str
    hash_algorithm: str
    hash_value: str
    properties: dict[str, str]


def is_image(href: str) -> bool:
    """Tell an image in Glance (``UUID`` or ``glance://UUID``) from a URL."""
    return bool(service_utils.is_glance_image(href))


def show_image(task: Any, href: str) -> Image:
    """Tell what Glance knows of an image, or knew of it when the deploy began.

    :param href: an image's UUID, or ``glance://UUID``.
    :raises InvalidInput: there is no such image, or it may not be used.
    :raises ImageError: Glance, or Keystone, failed.
    """
    noted = _find_note(task.node, href)
    return _ask(task.context, _parse_image_id(href)) if noted is None else noted


def note_image(task: Any, href: str) -> None:
    """Ask Glance as whoever asks for a deploy, and note the answer; the caller saves the node.

    The callback of the deploy ramdisk, and Ironic's periodic tasks, come without a token to read
    an image with, that is not everybody's.

    :raises InvalidInput, ImageError: as ``show_image``.
    """
    image = _ask(task.context, _parse_image_id(href))
    notes = task.node.driver_internal_info.get(_NOTES, {})
    task.node.set_driver_internal_info(_NOTES, notes | {image.id: asdict(image)})


def forget_images(node: Any) -> None:
    """Forget what was noted; the caller saves the node."""
    node.del_driver_internal_info(_NOTES)


def download_image(task: Any, href: str, path: Path) -> None:
    """Write an image to a file, and verify it by the hash that Glance keeps.

    :raises InvalidInput: there is no such image, or it may not be used.
    :raises ImageError: Glance failed, or what came is not what was stored.
    """
    image = show_image(task, href)
    digest = hashlib.new(image.hash_algorithm)
    with fileutils.remove_path_on_error(path), path.open("wb") as file:
        for chunk in _read(find_context(task, href), image.id):
            file.write(chunk)
            digest.update(chunk)
        if digest.hexdigest() != image.hash_value:
            raise ImageError(
                f"Image {image.id} came from Glance with another {image.hash_algorithm} than it "
                f"was stored with: {digest.hexdigest()}, not {image.hash_value}",
                hint="Its data is damaged, in the store or on the way: upload it again.",
            )


def find_context(task: Any, href: str) -> Any:
    """Find the context in which an image is read: the request's, while that has a token.

    Without one, the ``[glance]`` credentials read what was noted, and what is everybody's.
    """
    if task.context.auth_token or _find_note(task.node, href) is None:
        return task.context
    return RequestContext(roles=["admin"], overwrite=False)


def _find_note(node: Any, href: str) -> Image | None:
    if not is_image(href):
        return None
    noted = node.driver_internal_info.get(_NOTES, {}).get(_parse_image_id(href))
    return None if noted is None else Image(**noted)


def _ask(context: Any, image_id: str) -> Image:
    with _translated(image_id):
        found = _open(context).get_image(image_id)
        available = service_utils.is_image_available(context, found)
    if not available:
        raise _not_found(image_id)
    if found.status != "active":
        raise InvalidInput(
            f"Image {image_id} is {found.status} in Glance",
            hint="Upload its data, or wait until it is active.",
        )
    if not found.hash_value or found.hash_algo not in hashlib.algorithms_available:
        raise InvalidInput(
            f"Glance keeps no hash of image {image_id} that it can be verified by",
            hint="Upload the image again.",
        )
    values = found.to_dict() | found.properties
    return Image(
        id=image_id,
        size=found.size,
        disk_format=found.disk_format,
        hash_algorithm=found.hash_algo,
        hash_value=found.hash_value,
        properties={name: str(values[name]) for name in _PROPERTIES if values.get(name)},
    )


def _read(context: Any, image_id: str) -> Iterator[bytes]:
    with (
        _translated(image_id),
        _open(context).download_image(image_id, stream=True) as reply,
    ):
        sdk_exceptions.raise_from_response(reply)
        yield from reply.iter_content(_CHUNK)


def _parse_image_id(href: str) -> str:
    return str(service_utils.parse_image_id(href))


def _open(context: Any) -> Any:
    """Open Glance, as the context's user or else with the ``[glance]`` credentials."""
    timeout = CONF.glance.timeout or _DEFAULT_TIMEOUT
    auth = keystone.get_auth("glance")
    session = keystone.get_session("glance", auth=auth, timeout=timeout)
    endpoint = keystone.get_endpoint("glance", session=session, auth=auth)
    if context.auth_token:
        auth = keystone.get_service_auth(context, endpoint, auth)
        session = keystone.get_session("glance", auth=auth, timeout=timeout)
    connection = openstack.connection.Connection(
        session=session, image_endpoint_override=endpoint, image_api_version="2"
    )
    return connection.global_request(context.global_id).image


@contextmanager
def _translated(image_id: str) -> Iterator[None]:
    try:
        yield
    except (sdk_exceptions.NotFoundException, sdk_exceptions.ForbiddenException) as exc:
        raise _not_found(image_id) from exc
    except (
        sdk_exceptions.SDKException,
        keystone_exceptions.ClientException,
        requests.RequestException,
        ironic_exception.IronicException,
    ) as exc:
        raise ImageError(
            f"Glance does not give image {image_id}: {str(exc).rstrip('.')}",
            hint="Check that Keystone and Glance run, and [glance] in ironic.conf.",
        ) from exc


def _not_found(image_id: str) -> InvalidInput:
    return InvalidInput(
        f"Glance has no image {image_id}, or it is not shared with Ironic",
        hint="Check its ID; make it public, or share it with the project of [glance] in "
        "ironic.conf ('openstack image add project').",
    )
