"""The ISO that an instance boots from: the user's own, or one built and shared here.

A reference to a shared ISO is a node whose ``driver_internal_info['ilo_boot_iso']`` names the
object: this field survives a rebuild and a user's changes. ``instance_info['boot_iso']`` mirrors
it for people, or holds the user's own. ``usage_count`` on the object is the number of references,
written down. See "Shared boot ISO" in the documentation.
"""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from ironic import objects
from ironic.common import exception
from ironic.common import images as ironic_images
from ironic.common.i18n import _
from ironic.conf import CONF
from oslo_log import log as logging

from ironic_ilo import images, publisher, virtual_media
from ironic_ilo.exception import StoreError
from ironic_ilo.ironic_errors import translated

LOG = logging.getLogger(__name__)

REFERENCE = "ilo_boot_iso"
_USAGE_COUNT = "usage_count"
# Part of every name: raise it when the same inputs begin to give other bytes.
_BUILDER_VERSION = 1


def find_users_own(node: Any) -> str | None:
    """Find the boot ISO that the user asks for; ``None`` when one is to be built here."""
    href = node.instance_info.get("boot_iso")
    return None if not href or publisher.is_object_name(href) else str(href)


def prepare(task: Any) -> None:
    """Give a freshly written instance its boot ISO, and record it in the node.

    :raises IloOperationError: it could not be built or published.
    """
    own = find_users_own(task.node)
    if own is None:
        with translated(task.node, "build the boot ISO"):
            _take(task)
    else:
        release(task)
        _record(task.node, own)


def attach(task: Any) -> None:
    """Make the next start of a node boot its instance; a lost shared ISO is built again.

    Instances without a boot ISO boot from their disk, and are left alone.

    :raises IloOperationError: a step of it failed.
    """
    node = task.node
    href = find_users_own(node) or node.driver_internal_info.get(REFERENCE)
    if href is None:
        return
    if publisher.is_object_name(href):
        with translated(node, "build the boot ISO again"):
            # What it was built from may be gone by now, and is needed only when it is, too.
            if not settle(task.context, href):
                _take(task)
                href = node.driver_internal_info[REFERENCE]
    virtual_media.setup_virtual_media_boot(task, href)


def release(task: Any) -> None:
    """Give up a node's reference, if any; the last one to go lets the ISO expire.

    :raises IloOperationError: the store failed; the reference is gone all the same.
    """
    node = task.node
    name = node.driver_internal_info.get(REFERENCE)
    if name is None:
        return
    node.del_driver_internal_info(REFERENCE)
    _record(node, None)
    with translated(node, "release the boot ISO"):
        settle(task.context, name)


def settle(context: Any, name: str) -> bool:
    """Write down how many nodes use an ISO, and let one that nobody uses expire.

    :returns: whether the ISO is there.
    :raises StoreError: the store failed.
    """
    store = publisher.get_object_store()
    container = CONF.ilo.swift_ilo_container
    count = _count_references(context, name)
    expiry = None if count else CONF.ilo.boot_iso_grace
    metadata = {_USAGE_COUNT: str(count)}
    try:
        store.update_object(container, name, metadata=metadata, delete_after=expiry)
    except StoreError:
        if store.get_object_info(container, name) is not None:
            raise
        return False
    return True


def _record(node: Any, href: str | None) -> None:
    info = dict(node.instance_info)
    if href is not None:
        info["boot_iso"] = href
    elif publisher.is_object_name(info.get("boot_iso") or ""):
        del info["boot_iso"]
    node.instance_info = info
    node.save()


def _take(task: Any) -> None:
    """Refer to the ISO that the node's instance needs, and build it unless it is there.

    The reference is saved first: whoever settles the ISO from then on counts it.
    """
    node = task.node
    with tempfile.TemporaryDirectory(dir=CONF.tempdir, prefix="ilo-boot-iso-") as directory:
        kernel, ramdisk = _fetch_sources(task, Path(directory))
        params = _kernel_params(node)
        name = _name(node, kernel, ramdisk, params)
        _refer(task, name)
        if settle(task.context, name):
            return
        iso = Path(directory) / "boot.iso"
        images.create_iso_image(iso, kernel=kernel, ramdisk=ramdisk, kernel_params=params)
        metadata = {_USAGE_COUNT: str(_count_references(task.context, name))}
        publisher.get_object_store().upload_object(
            CONF.ilo.swift_ilo_container, name, iso, metadata=metadata
        )


def _refer(task: Any, name: str) -> None:
    previous = task.node.driver_internal_info.get(REFERENCE)
    task.node.set_driver_internal_info(REFERENCE, name)
    _record(task.node, name)
    if previous not in (None, name):
        settle(task.context, previous)


def _fetch_sources(task: Any, directory: Path) -> tuple[Path, Path]:
    paths = []
    for role in ("kernel", "ramdisk"):
        path = directory / role
        href = task.node.instance_info[role]
        try:
            ironic_images.fetch(task.context, href, str(path), force_raw=False)
        except exception.IronicException as exc:
            raise exception.InstanceDeployFailure(
                _("Cannot fetch the %(role)s %(href)s of node %(node)s: %(error)s")
                % {"role": role, "href": href, "node": task.node.uuid, "error": exc}
            ) from exc
        paths.append(path)
    return paths[0], paths[1]


def _kernel_params(node: Any) -> str:
    root_uuid = node.driver_internal_info["root_uuid_or_disk_id"]
    extra = node.instance_info.get("kernel_append_params", CONF.ilo.kernel_append_params)
    return f"root=UUID={root_uuid} ro {extra or ''}".strip()


def _name(node: Any, kernel: Path, ramdisk: Path, params: str) -> str:
    """Name an ISO by a hash of all that goes into it, and of the image it belongs to."""
    digest = hashlib.sha256()
    for part in (
        f"builder {_BUILDER_VERSION}".encode(),
        str(node.instance_info["image_source"]).encode(),
        params.encode(),
    ):
        digest.update(hashlib.sha256(part).digest())
    for path in (kernel, ramdisk):
        with path.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return f"boot-{digest.hexdigest()[:40]}"


def _count_references(context: Any, name: str) -> int:
    nodes = objects.Node.list(context, fields=["uuid", "driver_internal_info"])
    return sum(node.driver_internal_info.get(REFERENCE) == name for node in nodes)
