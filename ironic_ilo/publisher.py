"""Chooses the object store that images are published in, and gives images URLs there."""

import hashlib
import re
import tempfile
from pathlib import Path
from typing import Any

from ironic.common import image_service
from ironic.conf import CONF
from oslo_log import log as logging
from oslo_utils import fileutils

from ironic_ilo import conf, glance
from ironic_ilo.exception import InvalidInput, StoreError
from ironic_ilo.object_store import ObjectStore
from ironic_ilo.swift import SwiftAPI
from ironic_ilo.web_store import WebStore

conf.register_opts(CONF)

LOG = logging.getLogger(__name__)

_SECONDS_PER_MINUTE = 60
_SAFE_TTL = 30 * _SECONDS_PER_MINUTE
# Names of objects in our container, as against URLs: what boot_iso and make_iso_url make.
_HASH_LENGTH = 40
_OBJECT_NAME = re.compile(rf"(boot|iso)-[0-9a-f]{{{_HASH_LENGTH}}}")


def get_object_store() -> ObjectStore:
    """Open the object store that ``[ilo]`` names.

    :raises InvalidInput: the configuration is not complete.
    """
    if not CONF.ilo.use_web_server_for_images:
        return SwiftAPI()
    if not CONF.ilo.web_store_url:
        raise InvalidInput(
            "[ilo]web_store_url is not set",
            hint="Set it to the URL at which the iLOs reach 'ironic-ilo serve-images'.",
        )
    return WebStore(
        Path(CONF.ilo.web_store_root), CONF.ilo.web_store_url, CONF.ilo.signing_key or ""
    )


def helper_images_ttl() -> int:
    """Tell for how many seconds floppies and URLs live (``deploy_helper_images_ttl``)."""
    return int(CONF.ilo.deploy_helper_images_ttl) * _SECONDS_PER_MINUTE


def is_object_name(href: str) -> bool:
    """Tell an object of ours from a URL."""
    return _OBJECT_NAME.fullmatch(href) is not None


def warn_of_short_ttl() -> None:
    """Warn of URLs that may expire during POST, which begins when their time does."""
    if helper_images_ttl() < _SAFE_TTL:
        LOG.warning(
            "[ilo]deploy_helper_images_ttl is %(minutes)d minutes. POST alone can take ten on "
            "large servers, and reading the deploy ISO as long over a slow network: set it to 30 "
            "or more, unless yours start faster",
            {"minutes": CONF.ilo.deploy_helper_images_ttl},
        )


def make_iso_url(task: Any, href: str) -> str:
    """Make the URL that the iLO reads an ISO from, working from now for the TTL.

    :param href: the name of an object of ours; an http(s) URL, which the iLO reads itself; an
        image in Glance, which it reads from Swift when Glance keeps it in our account there; or
        a file URL. Files, and images that Glance keeps elsewhere, are published.
    :raises InvalidInput: Glance has no such image, or it may not be used.
    :raises ImageRefValidationFailed: the file may not be used or does not exist.
    :raises ImageError: Glance failed, or its image is damaged.
    :raises StoreError: publishing failed.
    """
    store = get_object_store()
    if glance.is_image(href):
        container, name = _locate_image(task, store, href)
    elif is_object_name(href):
        container, name = CONF.ilo.swift_ilo_container, _require_object(store, href)
    elif href.startswith("file:"):
        service = image_service.get_image_service(href, context=task.context)
        container, name = _publish_file(store, Path(service.validate_href(href)))
    else:
        return href
    return store.get_tmp_url(container, name, helper_images_ttl(), suffix=".iso")


def _require_object(store: ObjectStore, name: str) -> str:
    container = CONF.ilo.swift_ilo_container
    if store.get_object_info(container, name) is None:
        raise StoreError(
            f"The ISO {name} is not in container {container} any more",
            hint="Power the node on through Ironic, which builds it again, or rebuild the node.",
        )
    return name


def _locate_image(task: Any, store: ObjectStore, href: str) -> tuple[str, str]:
    """Find, or make, the object with an image of Glance's; tell its container and name."""
    image = glance.show_image(task, href)
    container = name_glance_container(image.id)
    if _is_stored(store, container, image):
        return container, image.id
    name = f"iso-{hashlib.sha256(image.hash_value.encode()).hexdigest()[:_HASH_LENGTH]}"
    if not _prolong(store, name):
        with tempfile.TemporaryDirectory(dir=CONF.tempdir, prefix="ilo-iso-") as directory:
            path = Path(directory, "image.iso")
            glance.download_image(task, href, path)
            _upload(store, name, path)
    return CONF.ilo.swift_ilo_container, name


def _is_stored(store: ObjectStore, container: str, image: glance.Image) -> bool:
    """Tell whether Glance keeps an image in the account of Swift that is ours, too.

    Where an image is, Glance tells administrators at most, so Swift is asked.
    """
    if CONF.ilo.use_web_server_for_images:
        return False
    try:
        info = store.get_object_info(container, image.id)
    except StoreError as exc:  # Swift may well refuse us Glance's container
        LOG.debug("Image %(id)s is to be published: %(error)s", {"id": image.id, "error": exc})
        return False
    return info is not None and info.size == image.size


def name_glance_container(image_id: str) -> str:
    """Name the container of Swift in which Glance keeps an image, if it does."""
    container = str(CONF.glance.swift_container)
    characters = CONF.glance.swift_store_multiple_containers_seed
    if not characters:
        return container
    dashes = image_id[:characters].count("-")
    return f"{container}_{image_id[: characters + dashes]}"


def _publish_file(store: ObjectStore, path: Path) -> tuple[str, str]:
    """Publish a file under a name made of its content, so that nodes share the object."""
    digest = fileutils.compute_file_checksum(str(path), algorithm="sha256")
    name = f"iso-{digest[:_HASH_LENGTH]}"
    if not _prolong(store, name):
        _upload(store, name, path)
    return CONF.ilo.swift_ilo_container, name


def _prolong(store: ObjectStore, name: str) -> bool:
    """Keep a published ISO for twice the TTL from now; tell whether it is there."""
    try:
        store.update_object(
            CONF.ilo.swift_ilo_container, name, metadata={}, delete_after=2 * helper_images_ttl()
        )
    except StoreError:  # most likely it is not there; if it is the store, uploading will tell
        return False
    return True


def _upload(store: ObjectStore, name: str, path: Path) -> None:
    store.upload_object(
        CONF.ilo.swift_ilo_container, name, path, delete_after=2 * helper_images_ttl()
    )
