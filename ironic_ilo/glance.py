"""Asks Glance for images, with a deadline, and says what came back.

Ironic's own client has no deadline unless ``[glance]timeout`` is set, and takes an answer such
as "503 Service Unavailable" for an image that is not active.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
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
from openstack.image.v2.image import Image

from ironic_ilo.exception import ImageError, InvalidInput

# IDs of the images that whoever asked for the deploy may read.
GRANTED = "ilo_granted_images"
_DEFAULT_TIMEOUT = 60
_CHUNK = 1024 * 1024


def is_image(href: str) -> bool:
    """Tell an image in Glance (``UUID`` or ``glance://UUID``) from a URL."""
    return bool(service_utils.is_glance_image(href))


def show_image(task: Any, href: str) -> Image:
    """Ask for what Glance knows of an image.

    :param href: an image's UUID, or ``glance://UUID``.
    :raises InvalidInput: there is no such image, or it may not be used.
    :raises ImageError: Glance, or Keystone, failed.
    """
    image_id = _parse_image_id(href)
    context = find_context(task, href)
    with _translated(image_id):
        image: Image = _open(context).get_image(image_id)
        available = service_utils.is_image_available(context, image)
    if not available:
        raise _not_found(image_id)
    if image.status != "active":
        raise InvalidInput(
            f"Image {image_id} is {image.status} in Glance",
            hint="Upload its data, or wait until it is active.",
        )
    return image


def download_image(task: Any, href: str, path: Path) -> None:
    """Write an image to a file, and verify it by the hash that Glance keeps.

    :raises InvalidInput: there is no such image, or it may not be used.
    :raises ImageError: Glance failed, or what came is not what was stored.
    """
    image = show_image(task, href)
    algorithm, expected = find_hash(image)
    digest = hashlib.new(algorithm)
    with _translated(image.id), path.open("wb") as file:
        client = _open(find_context(task, href))
        with client.download_image(image.id, stream=True) as reply:
            sdk_exceptions.raise_from_response(reply)
            for chunk in reply.iter_content(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
    if digest.hexdigest() != expected:
        raise ImageError(
            f"Image {image.id} came from Glance with the {algorithm} {digest.hexdigest()}, which "
            f"should be {expected}",
            hint="Its data is damaged, in the store or on the way: upload it again.",
        )


def find_hash(image: Image) -> tuple[str, str]:
    """Find the hash by which an image is verified: algorithm and hexadecimal value.

    :raises InvalidInput: Glance keeps none that can be used.
    """
    if not image.hash_value or image.hash_algo not in hashlib.algorithms_available:
        raise InvalidInput(
            f"Glance keeps no hash of image {image.id} that it can be verified by",
            hint="Upload the image again.",
        )
    return str(image.hash_algo), str(image.hash_value)


def grant(node: Any, hrefs: list[str]) -> None:
    """Remember images as readable to whoever asked for a deploy; the caller saves the node."""
    node.set_driver_internal_info(
        GRANTED, sorted({_parse_image_id(href) for href in hrefs if is_image(href)})
    )


def find_context(task: Any, href: str) -> Any:
    """Find the context in which an image is read: the request's, while it has a token.

    The deploy ramdisk's callback and Ironic's periodic tasks have none. They may read, with the
    ``[glance]`` credentials, what whoever asked for the deploy was shown.
    """
    granted = task.node.driver_internal_info.get(GRANTED, [])
    if task.context.auth_token or not is_image(href) or _parse_image_id(href) not in granted:
        return task.context
    return RequestContext(roles=["admin"], overwrite=False)


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
        f"Glance has no image {image_id}, or does not show it to the project that deploys",
        hint="Check its ID, and whom it is shared with ('openstack image show').",
    )
