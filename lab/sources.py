"""Where the nodes of a lab find what they are deployed with: in files, or in Glance."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstack.exceptions import SDKException

from ironic_ilo.exception import ProcessError
from lab.instance_image import InstanceImage
from lab.openstack.glance import upload_image
from lab.openstack.keystone import ADMIN, KeystoneAccess
from lab.services import Services

_SWAP_MIB = 64


@dataclass(frozen=True)
class Sources:
    """What an operator tells Ironic.

    :ivar deploy_iso: for ``driver_info``.
    :ivar instance_info: with the image and all that goes with it.
    """

    deploy_iso: str
    instance_info: dict[str, Any]


def offer(services: Services, deploy_iso: Path, image: InstanceImage) -> Sources:
    """Offer files to the nodes, in Glance if there is one.

    :raises ProcessError: Glance refuses one.
    """
    if services.keystone is None:
        return _in_files(deploy_iso, image)
    try:
        return _in_glance(services.keystone, deploy_iso, image)
    except SDKException as error:
        raise ProcessError(f"Uploading the images to Glance failed: {error}") from error


def _in_files(deploy_iso: Path, image: InstanceImage) -> Sources:
    instance_info: dict[str, Any] = {
        "image_source": _file_url(image.root),
        # Ironic 39 cannot tell by itself what a file URL names: validating answers 500.
        "image_type": "partition",
        "image_os_hash_algo": "sha256",
        "image_os_hash_value": image.checksum(),
        "image_disk_format": "qcow2",
        "kernel": _file_url(image.kernel),
        "ramdisk": _file_url(image.ramdisk),
    }
    return Sources(_file_url(deploy_iso), instance_info | _sizes(image))


def _in_glance(keystone: KeystoneAccess, deploy_iso: Path, image: InstanceImage) -> Sources:
    """Upload the files, for everybody: what Ironic reads must be its own, shared, or public.

    Glance knows the rest, so instance_info has no more than Nova sets.
    """
    session = keystone.session(ADMIN)

    def upload(path: Path, disk_format: str, **properties: str) -> str:
        return upload_image(
            session,
            path.name,
            path,
            disk_format=disk_format,
            visibility="public",
            properties=properties,
        )

    kernel, ramdisk = upload(image.kernel, "aki"), upload(image.ramdisk, "ari")
    root = upload(image.root, "qcow2", kernel_id=kernel, ramdisk_id=ramdisk)
    return Sources(upload(deploy_iso, "iso"), {"image_source": root, **_sizes(image)})


def _sizes(image: InstanceImage) -> dict[str, Any]:
    return {"root_gb": image.root_gib, "swap_mb": _SWAP_MIB}


def _file_url(path: Path) -> str:
    return path.resolve().as_uri()
