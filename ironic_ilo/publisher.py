"""Chooses the object store that images are published in, and gives images URLs there."""

import re
from pathlib import Path
from typing import Any

from ironic.common import image_service
from ironic.conf import CONF
from oslo_utils import fileutils

from ironic_ilo import conf
from ironic_ilo.exception import InvalidInput, StoreError
from ironic_ilo.object_store import ObjectStore
from ironic_ilo.web_store import WebStore

conf.register_opts(CONF)

_SECONDS_PER_MINUTE = 60
# Names of objects in our container, as against URLs: what boot_iso and _publish_file make.
_OBJECT_NAME = re.compile(r"(boot|iso)-[0-9a-f]{40}")


def get_object_store() -> ObjectStore:
    """Open the object store that ``[ilo]`` names.

    :raises InvalidInput: the configuration is not complete.
    """
    if not CONF.ilo.use_web_server_for_images:
        raise InvalidInput(
            "[ilo]use_web_server_for_images is False, and Swift is not supported yet",
            hint="Set it to True and run 'ironic-ilo serve-images'.",
        )
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


def make_iso_url(task: Any, href: str) -> str:
    """Make the URL that the iLO reads an ISO from, working from now for the TTL.

    :param href: the name of an object of ours, an http(s) URL, which the iLO reads itself, or a
        file URL, whose file is published under a name made of its content.
    :raises ImageRefValidationFailed: the file may not be used or does not exist.
    :raises StoreError: publishing failed.
    """
    store = get_object_store()
    container = CONF.ilo.swift_ilo_container
    if is_object_name(href):
        if store.get_object_info(container, href) is None:
            raise StoreError(f"The boot ISO {href} is not in container {container} any more")
        return store.get_tmp_url(container, href, helper_images_ttl(), suffix=".iso")
    if not href.startswith("file:"):
        return href
    service = image_service.get_image_service(href, context=task.context)
    name = _publish_file(store, Path(service.validate_href(href)))
    return store.get_tmp_url(container, name, helper_images_ttl(), suffix=".iso")


def _publish_file(store: ObjectStore, path: Path) -> str:
    """Publish a file, or keep the copy that is there, for twice the TTL from now.

    The name is made of the content, so that nodes share the object, and its life is only ever
    prolonged.
    """
    container = CONF.ilo.swift_ilo_container
    name = f"iso-{fileutils.compute_file_checksum(str(path), algorithm='sha256')[:40]}"
    lifetime = 2 * helper_images_ttl()
    try:
        store.update_object(container, name, metadata={}, delete_after=lifetime)
    except StoreError:  # most likely it is not there
        store.upload_object(container, name, path, delete_after=lifetime)
    return name
