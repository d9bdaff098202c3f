"""Deploying over iSCSI: what is to be written, where to, and writing it.

The names are the specification's ("ironic/drivers/modules/iscsi_deploy.py"); those that are not
defined here come from rooms of their own.
"""

import functools
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ironic.common import exception
from ironic.common.i18n import _
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils
from oslo_log import log as logging

from ironic_ilo import (
    boot_mode,
    configdrive,
    disk,
    driver_info,
    file_facts,
    partitions,
    root_device,
    timeline,
    write_slots,
)
from ironic_ilo.callback import CALLBACK, DeployInfo, get_deploy_info, get_secrets
from ironic_ilo.exception import DiskError
from ironic_ilo.instance_image import CachedImage, cache_instance_image, check_image_size
from ironic_ilo.instance_info import InstanceInfo, parse_instance_info
from ironic_ilo.ironic_errors import translated
from ironic_ilo.iscsi import IscsiTarget
from ironic_ilo.local_disks import LocalDisk
from ironic_ilo.partitions import Layout

__all__ = [
    "InstanceImageCache",
    "cache_instance_image",
    "check_image_size",
    "continue_deploy",
    "destroy_images",
    "get_deploy_info",
    "parse_instance_info",
]

LOG = logging.getLogger(__name__)

InstanceImageCache = deploy_utils.InstanceImageCache
destroy_images = deploy_utils.destroy_images


def continue_deploy(task: Any) -> None:
    """Write the image to the disk that the node's ramdisk offers.

    :raises InstanceDeployFailure: the ramdisk reported an error, or the image is not usable.
    :raises IloOperationError: the disk could not be written.
    """
    node = task.node
    callback = DeployInfo(**node.driver_internal_info[CALLBACK])
    if callback.error:
        raise exception.InstanceDeployFailure(
            _("The deploy ramdisk of node %(node)s reported: %(error)s")
            % {"node": node.uuid, "error": callback.error}
        )
    info = parse_instance_info(node)
    chosen = root_device.choose(node, callback)
    root_device.remember(node, chosen, preserve=info.preserve_ephemeral)
    image = cache_instance_image(task)
    target = _find_target(node, callback, chosen.lun)
    with (
        configdrive.opened(node) as drive,
        translated(node, "write the image"),
        _slot(node, target),
    ):
        timeline.begin_stage(node, "write")
        _write(node, info, image, drive, target, chosen)
        file_facts.require_same(image.path, image.identity)
    # Ironic's own names for them; they go when the instance is torn down. By the second it finds,
    # already when a rebuild is asked for, that preserve_ephemeral comes with another layout.
    node.set_driver_internal_info("root_uuid_or_disk_id", image.root_uuid_or_disk_id)
    sizes = {name: node.instance_info.get(name, 0) for name in deploy_utils.DISK_LAYOUT_PARAMS}
    node.set_driver_internal_info("instance", sizes)
    node.save()


def _slot(node: Any, target: IscsiTarget) -> AbstractContextManager[None]:
    """Wait for the right to write; meanwhile log in, lest the ramdisk withdraws the target."""
    return write_slots.waiting_for_slot(
        node,
        on_wait=lambda: _read_disk_size(target),
        interval=CONF.ilo.iscsi_login_timeout / 3,
    )


def _find_target(node: Any, callback: DeployInfo, lun: int) -> IscsiTarget:
    secrets = get_secrets(node)
    assert secrets is not None  # noqa: S101 - a callback is only taken with them
    address = callback.address
    host = f"[{address}]" if ":" in address else address
    portal = driver_info.parse_deploy_properties(node).iscsi_portal
    return IscsiTarget(
        portal=portal or f"{host}:{CONF.ilo.iscsi_portal_port}",
        iqn=secrets.target_iqn,
        initiator_iqn=secrets.initiator_iqn,
        chap_username=secrets.chap_username,
        chap_secret=secrets.chap_secret,
        lun=lun,
    )


def _read_disk_size(target: IscsiTarget) -> int:
    return disk.read_disk_size(target, timeout=CONF.ilo.write_stall_timeout)


def _check_disk_size(target: IscsiTarget, chosen: LocalDisk) -> int:
    size = _read_disk_size(target)
    if chosen.size not in {0, size}:
        raise DiskError(
            f"LUN {target.lun} of {target} has {size} bytes; the deploy ramdisk described it as "
            f"{chosen}, with {chosen.size}",
            hint="Nothing was written. Is driver_info['iscsi_portal'] that of another node?",
        )
    return size


def _write(  # noqa: PLR0917 - all of them are what is written, and where to
    node: Any,
    info: InstanceInfo,
    image: CachedImage,
    drive: Path | None,
    target: IscsiTarget,
    chosen: LocalDisk,
) -> None:
    size = _check_disk_size(target, chosen)
    options: dict[str, Any] = {
        "configdrive": drive,
        "verify": CONF.ilo.verify_after_write,
        "on_progress": functools.partial(_show_progress, node),
        "timeout": CONF.ilo.write_timeout,
        "stall_timeout": CONF.ilo.write_stall_timeout,
    }
    if info.whole_disk:
        disk.write_whole_disk_image(
            target, size, chosen.sector_size, image.path, image.image_format, **options
        )
    else:
        disk.write_deploy_image(
            target,
            _plan_layout(node, info, size, chosen.sector_size),
            image.path,
            image.image_format,
            ephemeral_format=info.ephemeral_format,
            preserve_ephemeral=info.preserve_ephemeral,
            **options,
        )
    LOG.info("The image of node %(node)s is written", {"node": node.uuid})


def _plan_layout(node: Any, info: InstanceInfo, disk_size: int, sector_size: int) -> Layout:
    return partitions.plan_layout(
        disk_size=disk_size,
        root_mib=info.root_mib,
        swap_mib=info.swap_mib,
        ephemeral_mib=info.ephemeral_mib,
        esp_mib=CONF.ilo.efi_system_partition_mib if boot_mode.is_uefi(node) else 0,
        configdrive=configdrive.is_wanted(node),
        sector_size=sector_size,
        label=info.disk_label,
    )


def _show_progress(node: Any, progress: disk.Progress) -> None:
    left = progress.bytes_total - progress.bytes_done
    timeline.show_progress(
        node,
        stage=progress.stage,
        percent=progress.percent,
        bytes_done=progress.bytes_done,
        bytes_total=progress.bytes_total,
        bytes_per_second=progress.bytes_per_second,
        eta_seconds=timeline.estimate_seconds(left, progress.bytes_per_second),
    )
