"""The ISO that an instance boots from: the user's own, or one built and shared here.

A node refers to a shared ISO by ``driver_internal_info['ilo_boot_iso']``: this field survives a
rebuild and a user's changes. ``instance_info['boot_iso']`` mirrors it for people, or holds the
user's own. ``shared_iso`` has the rules of sharing.
"""

import hashlib
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from ironic import objects
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils
from oslo_log import log as logging

from ironic_ilo import conf, image_sources, images, publisher, virtual_media
from ironic_ilo.bmc.types import Bmc
from ironic_ilo.instance_info import is_whole_disk
from ironic_ilo.ironic_errors import translated
from ironic_ilo.shared_iso import PREFIX, SharedIsos

LOG = logging.getLogger(__name__)

conf.register_opts(CONF)

REFERENCE = "ilo_boot_iso"
# Part of every name: raise it when the same inputs begin to give other bytes.
_BUILDER_VERSION = 2


def prepare(task: Any) -> None:
    """Give a freshly written instance its boot ISO, and record it in the node.

    In this order: the user's own, the shared one, a new one. One that boots from its disk gets
    none, and gives up what it had.

    :raises InstanceDeployFailure: what it is built from cannot be had.
    :raises IloOperationError: it could not be built or published.
    """
    if is_whole_disk(task.node):
        release(task)
        return
    own = image_sources.find(task, "boot_iso")
    if own is None:
        with translated(task.node, "build the boot ISO"):
            _take(task)
    else:
        release(task)
        _record(task.node, own)


def attach(task: Any, server: Bmc) -> None:
    """Make the next start of a node boot its instance; a lost shared ISO is built again.

    Whole-disk images boot from the disk, and nothing is attached: they have no reference. What
    Ironic says of the image is of no use here, for it is said of the one asked for last, be it by
    a rebuild that was refused, while the instance runs on.

    :raises InstanceDeployFailure: the ISO is lost, and what it was built from cannot be had.
    :raises IloOperationError: a step of it failed.
    """
    own = task.node.instance_info.get("boot_iso")
    if own and not publisher.is_object_name(own) and not is_whole_disk(task.node):
        virtual_media.insert_boot_media(task, server, own)
        return
    restore(task)
    shared = task.node.driver_internal_info.get(REFERENCE)
    if shared is not None:
        virtual_media.insert_boot_media(task, server, shared)


def restore(task: Any) -> None:
    """Build the shared ISO that a node refers to again, if it was lost.

    What it was built from may be gone by now, and is needed only then.

    :raises InstanceDeployFailure: what it was built from cannot be had.
    :raises IloOperationError: it could not be built or published.
    """
    name = task.node.driver_internal_info.get(REFERENCE)
    if name is not None:
        with translated(task.node, "keep the boot ISO"):
            if not _shared_isos(task.context).settle(name):
                _take(task)


def release(task: Any) -> None:
    """Give up a node's reference, if any; the last one to go lets the ISO expire.

    :raises IloOperationError: the store failed; the reference is gone all the same.
    """
    if REFERENCE not in task.node.driver_internal_info:
        return
    with translated(task.node, "release the boot ISO"):
        _shared_isos(task.context).release(_NodeReference(task.node))


def reconcile(context: Any) -> set[str]:
    """Settle every shared ISO.

    :returns: the names of those that nodes use and that are not there.
    :raises StoreError: the store failed.
    """
    return _shared_isos(context).reconcile()


class _NodeReference:
    """``shared_iso.Reference`` in a node's record."""

    def __init__(self, node: Any) -> None:
        self._node = node

    def read(self) -> str | None:
        name: str | None = self._node.driver_internal_info.get(REFERENCE)
        return name

    def write(self, name: str | None) -> None:
        if name is None:
            self._node.del_driver_internal_info(REFERENCE)
        else:
            self._node.set_driver_internal_info(REFERENCE, name)
        _record(self._node, name)


def _shared_isos(context: Any) -> SharedIsos:
    return SharedIsos(
        publisher.get_object_store(),
        CONF.ilo.swift_ilo_container,
        grace=CONF.ilo.boot_iso_grace,
        count_references=lambda: _count_references(context),
    )


def _count_references(context: Any) -> Counter[str]:
    nodes = objects.Node.list(context, fields=["uuid", "driver_internal_info"])
    names = (node.driver_internal_info.get(REFERENCE) for node in nodes)
    return Counter(name for name in names if name is not None)


def _record(node: Any, href: str | None) -> None:
    """Show a boot ISO in ``instance_info``, or none of ours any more, and save the node."""
    info = dict(node.instance_info)
    if href is not None:
        info["boot_iso"] = href
    elif publisher.is_object_name(info.get("boot_iso") or ""):
        del info["boot_iso"]
    node.instance_info = info
    node.save()


def _take(task: Any) -> None:
    """Refer to the ISO that the node's instance needs, and build it unless it is there."""
    node = task.node
    with tempfile.TemporaryDirectory(dir=CONF.tempdir, prefix="ilo-boot-iso-") as directory:
        iso = Path(directory, "boot.iso")
        kernel, ramdisk = Path(directory, "kernel"), Path(directory, "ramdisk")
        image_sources.fetch(task, "kernel", kernel)
        image_sources.fetch(task, "ramdisk", ramdisk)
        params = _kernel_params(node)

        name = _name(node, kernel, ramdisk, params)

        def build() -> Path:
            LOG.info(
                "Building boot ISO %(name)s for node %(node)s", {"name": name, "node": node.uuid}
            )
            images.create_iso_image(iso, kernel=kernel, ramdisk=ramdisk, kernel_params=params)
            return iso

        _shared_isos(task.context).take(_NodeReference(node), name, build)


def _kernel_params(node: Any) -> str:
    extra = node.instance_info.get("kernel_append_params", CONF.ilo.kernel_append_params) or ""
    if deploy_utils.is_ramdisk_deploy(node):  # it has no root file system but the ramdisk
        return extra.strip()
    root_uuid = node.driver_internal_info["root_uuid_or_disk_id"]
    return f"root=UUID={root_uuid} ro {extra}".strip()


def _name(node: Any, kernel: Path, ramdisk: Path, params: str) -> str:
    """Name an ISO by a hash of all that goes into it, and of the image it belongs to."""
    digest = hashlib.sha256()
    for part in (
        f"builder {_BUILDER_VERSION}".encode(),
        str(node.instance_info.get("image_source")).encode(),
        params.encode(),
    ):
        digest.update(hashlib.sha256(part).digest())
    for path in (kernel, ramdisk):
        with path.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return f"{PREFIX}{digest.hexdigest()[:40]}"
