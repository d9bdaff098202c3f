"""Boots a node from virtual media (specification, "Virtual media for booting")."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ironic.common import exception
from ironic.conf import CONF
from oslo_log import log as logging

from ironic_ilo import driver_info, images, publisher
from ironic_ilo.bmc.types import Bmc, BootDevice, Device, MediaStatus
from ironic_ilo.ironic_errors import translated

LOG = logging.getLogger(__name__)

FLOPPY_PREFIX = "image-"


def setup_virtual_media_boot(
    task: Any,
    boot_iso: str,
    boot_parameters: Mapping[str, str] | None = None,
    boot_files: Mapping[str, bytes] | None = None,
) -> tuple[str, ...]:
    """Make the next start of a node, and only that one, boot an ISO from virtual media.

    The node should be off: media must not change under a running system, and the URLs' time
    runs from now.

    :param boot_iso: see ``publisher.make_iso_url``.
    :param boot_parameters: written to ``parameters.txt`` on a floppy beside the ISO. Without
        any, the floppy drive is emptied.
    :param boot_files: further files of the floppy, content by name.
    :returns: names (``ObjectStore.name_url``) of those URLs of the media that have one.
    :raises IloOperationError: the licence lacks virtual media, or a step failed.
    """
    node = task.node
    with translated(node, "attach virtual media"), driver_info.connect(node) as server:
        return insert_boot_media(task, server, boot_iso, boot_parameters, boot_files)


def insert_boot_media(
    task: Any,
    server: Bmc,
    boot_iso: str,
    boot_parameters: Mapping[str, str] | None = None,
    boot_files: Mapping[str, bytes] | None = None,
) -> tuple[str, ...]:
    """Do the same over a connection that there is."""
    node = task.node
    urls = []
    with translated(node, "attach virtual media"):
        store = publisher.get_object_store()
        server.check_virtual_media()
        if boot_parameters:
            urls.append(_publish_floppy(node, boot_parameters, boot_files))
            server.insert_media(Device.FLOPPY, urls[-1])
        else:
            server.eject_media(Device.FLOPPY)
        urls.append(publisher.make_iso_url(task, boot_iso))
        server.insert_media(Device.CDROM, urls[-1])
        server.set_one_time_boot(BootDevice.CDROM)
    LOG.info("Node %(node)s boots from virtual media at its next start", {"node": node.uuid})
    return tuple(name for name in map(store.name_url, urls) if name is not None)


def check_virtual_media(task: Any) -> None:
    """Check that the iLO answers, and that its licence includes virtual media.

    :raises IloOperationError: it does not.
    """
    with translated(task.node, "use virtual media"), driver_info.connect(task.node) as server:
        server.check_virtual_media()


def describe_drives(task: Any) -> str:
    """Say what the iLO says of its drives; where their images come from is a secret."""
    try:
        with (
            translated(task.node, "read the virtual media drives"),
            driver_info.connect(task.node) as server,
        ):
            return ", ".join(_describe(it, server.get_media_status(it)) for it in Device)
    except exception.IronicException as exc:
        return f"nothing ({exc})"


def _describe(device: Device, status: MediaStatus) -> str:
    if not status.inserted:
        return f"{device} is empty"
    return f"{device} is inserted and {'' if status.connected else 'not '}connected"


def holds_media(task: Any) -> bool:
    """Tell whether there is an image in one of the drives.

    :raises IloOperationError: the iLO did not say.
    """
    with (
        translated(task.node, "read the virtual media drives"),
        driver_info.connect(task.node) as server,
    ):
        return any(server.get_media_status(device).inserted for device in Device)


def eject_virtual_media(task: Any) -> None:
    """Empty both virtual media drives; empty ones are left alone.

    :raises IloOperationError: a drive could not be emptied.
    """
    with translated(task.node, "eject virtual media"), driver_info.connect(task.node) as server:
        for device in Device:
            server.eject_media(device)


def cleanup_virtual_media_boot(task: Any) -> None:
    """Remove the node's floppy image from the object store; it may be gone already.

    :raises IloOperationError: the store failed; the object then expires by itself.
    """
    with translated(task.node, "remove the floppy image"):
        publisher.get_object_store().delete_object(
            CONF.ilo.swift_ilo_container, _floppy_name(task.node)
        )


def _floppy_name(node: Any) -> str:
    return FLOPPY_PREFIX + str(node.uuid)


def _publish_floppy(
    node: Any, parameters: Mapping[str, str], files: Mapping[str, bytes] | None
) -> str:
    store = publisher.get_object_store()
    container = CONF.ilo.swift_ilo_container
    ttl = publisher.helper_images_ttl()
    with tempfile.TemporaryDirectory(dir=CONF.tempdir, prefix="ilo-floppy-") as directory:
        floppy = Path(directory) / "floppy.img"
        images.create_vfat_image(floppy, parameters=parameters, files=files or {})
        store.upload_object(container, _floppy_name(node), floppy, delete_after=ttl)
    return store.get_tmp_url(container, _floppy_name(node), ttl, suffix=".img")
