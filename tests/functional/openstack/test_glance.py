"""Image, kernel, ramdisk, deploy ISO and boot ISO in a real Glance, which keeps them in Swift."""

import time
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pytest
import requests

from tests.functional.cloud import CONTAINER, TIMEOUT
from tests.functional.test_deploy import partition_table, read

pytestmark = pytest.mark.functional


def read_url(url: str) -> requests.Response:
    return requests.get(url, timeout=TIMEOUT)


def object_of(url: str) -> tuple[str, str]:
    """Tell the container and the name of the object that a URL is for."""
    return PurePosixPath(urlsplit(url).path).parts[-2:]


@pytest.fixture
def deploy_iso(openstack_cloud, artifacts) -> str:
    """Upload the deploy ISO, as an operator does."""
    return openstack_cloud.upload_image("deploy", artifacts.deploy_iso)


@pytest.fixture
def owner(openstack_cloud):
    """Be a tenant."""
    return openstack_cloud.as_user("owner")


def test_tenants_private_images(openstack_cloud, node, deploy_iso, tgtd, disk):
    """The administrator may read them, as Nova may; the ramdisk's callback has no such rights."""
    owner, artifacts = openstack_cloud.as_user("owner"), openstack_cloud.artifacts
    sources = {
        "kernel_id": owner.upload_image("kernel", artifacts.kernel),
        "ramdisk_id": owner.upload_image("ramdisk", artifacts.ramdisk),
    }
    image = owner.upload_image("root", artifacts.image, **sources)
    node.set("driver_info/deploy_iso", deploy_iso)
    node.set("instance_info", {"image_source": image, "root_gb": 1, "swap_mb": 32})

    # Other tests' deploy ISOs are files, which are published.
    published = openstack_cloud.stored("iso-")
    ramdisk = node.boot_ramdisk()
    url = node.drives()["CDROM"]
    assert url.endswith(".iso")
    # Glance's own object, and no copy of it.
    assert object_of(url) == ("glance", deploy_iso)
    assert read_url(url).content == artifacts.deploy_iso.read_bytes()
    assert openstack_cloud.stored("iso-") == published

    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().ok
    shown = node.wait("active")
    _swap, root = partition_table(disk)["partitions"]
    content = artifacts.raw.read_bytes()
    assert read(disk, root["start"] * 512, len(content)) == content
    name = shown["instance_info"]["boot_iso"]
    assert name == shown["driver_internal_info"]["ilo_boot_iso"]
    assert name in node.drives()["CDROM"]
    assert not openstack_cloud.cached_images(node)

    # The shared boot ISO can be built again by whoever may read what it is made of.
    openstack_cloud.store().delete_object(CONTAINER, name)
    node.power("rebooting")
    assert openstack_cloud.stored(name)

    node.provision("deleted")
    assert "ilo_glance_images" not in node.wait("available")["driver_internal_info"]


def test_owner_shares_an_image_with_ironic(openstack_cloud, node, owner, artifacts):
    """Ironic's own rule: its owner's word alone does not make it read a private image."""
    image = owner.upload_image("root", artifacts.raw, visibility="shared")
    node.set("owner", owner.project_id())
    node.set("instance_info/image_source", image)
    refused = owner.ask("GET", f"nodes/{node.uuid}/validate")["deploy"]
    assert refused["result"] is False
    assert f"image {image}" in refused["reason"]
    assert "openstack image add project" in refused["reason"]
    ironic = openstack_cloud.as_user("ironic").project_id()
    with owner.images() as connection:
        connection.image.add_member(image, member=ironic)
    assert owner.ask("GET", f"nodes/{node.uuid}/validate")["deploy"]["result"] is True


def test_boot_iso_of_the_image(openstack_cloud, node, deploy_iso, tgtd, disk):
    artifacts = openstack_cloud.artifacts
    boot_iso = openstack_cloud.upload_image("boot", artifacts.kernel)
    image = openstack_cloud.upload_image(
        "root", artifacts.raw, boot_iso=boot_iso, img_type="partition"
    )
    node.set("driver_info/deploy_iso", f"glance://{deploy_iso}")
    node.set("instance_info", {"image_source": image, "root_gb": 1})
    ramdisk = node.boot_ramdisk()
    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().ok
    shown = node.wait("active")
    assert shown["instance_info"]["boot_iso"] == boot_iso
    assert "ilo_boot_iso" not in shown["driver_internal_info"]
    url = node.drives()["CDROM"]
    assert object_of(url) == ("glance", boot_iso)
    assert read_url(url).content == artifacts.kernel.read_bytes()


def test_temp_url_of_glances_object_ends(openstack_cloud, deploy_iso):
    url = openstack_cloud.store().get_tmp_url("glance", deploy_iso, 3, suffix=".iso")
    assert read_url(url).ok
    deadline = time.monotonic() + TIMEOUT
    while (status := read_url(url).status_code) != requests.codes.unauthorized:
        assert status == requests.codes.ok
        assert time.monotonic() < deadline
        time.sleep(0.2)
