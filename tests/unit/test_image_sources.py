"""Where kernel, ramdisk and ISOs of a node are, and under which URL an iLO reads them."""

import hashlib
import socket
import time
from dataclasses import asdict
from types import SimpleNamespace

import pytest
from ironic.common import context, exception

from ironic_ilo import boot_loaders, glance, image_sources, publisher
from ironic_ilo.boot_loaders import GrubFiles
from ironic_ilo.exception import StoreError
from tests.unit.nodes import UUID, make_node

IMAGE = "4f8a2cd6-9b0e-4d5c-8a3e-2f6d1c7b9a10"
KERNEL = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"
CONTAINER = "ironic_ilo_container"
SHARED = "boot-" + "0" * 40


def make_image(image_id=IMAGE, **properties):
    content = image_id.encode()
    return glance.Image(
        id=image_id,
        size=len(content),
        disk_format="raw",
        hash_algorithm="sha512",
        hash_value=hashlib.sha512(content).hexdigest(),
        properties=properties,
    )


def make_task(*noted, token=None, **instance_info):
    """Make a task of a deploy that began when Glance said what is noted."""
    node = make_node(**instance_info)
    node.set_driver_internal_info(
        "ilo_glance_images", {image.id: asdict(image) for image in noted}
    )
    return SimpleNamespace(node=node, context=context.RequestContext(auth_token=token))


def test_instance_info_names_the_source():
    task = make_task(boot_iso="http://192.0.2.1/boot.iso")
    assert image_sources.find(task, "kernel") == "http://192.0.2.1/kernel"
    assert image_sources.find(task, "ramdisk") == "http://192.0.2.1/ramdisk"
    assert image_sources.find(task, "boot_iso") == "http://192.0.2.1/boot.iso"


def test_image_in_glance_names_the_source():
    image = make_image(kernel_id=KERNEL, ramdisk_id="http://192.0.2.1/r", boot_iso="file:///b")
    task = make_task(image, image_source=f"glance://{IMAGE}", kernel=..., ramdisk=...)
    assert image_sources.find(task, "kernel") == KERNEL
    assert image_sources.find(task, "ramdisk") == "http://192.0.2.1/r"
    assert image_sources.find(task, "boot_iso") == "file:///b"


def test_instance_info_goes_before_glance():
    image = make_image(kernel_id=KERNEL, boot_iso=KERNEL)
    task = make_task(image, image_source=IMAGE, boot_iso="http://192.0.2.1/boot.iso")
    assert image_sources.find(task, "kernel") == "http://192.0.2.1/kernel"
    assert image_sources.find(task, "boot_iso") == "http://192.0.2.1/boot.iso"


def test_shared_boot_iso_is_nobodys_own():
    assert image_sources.find(make_task(boot_iso=SHARED), "boot_iso") is None
    own = make_task(make_image(boot_iso=KERNEL), image_source=IMAGE, boot_iso=SHARED)
    assert image_sources.find(own, "boot_iso") == KERNEL


@pytest.mark.parametrize("name", ["kernel", "ramdisk"])
def test_missing_source_is_named(name):
    with pytest.raises(exception.MissingParameterValue, match=f"lacks {name}: .*{name}_id"):
        image_sources.require_boot_sources(make_task(**{name: ...}))


def test_boot_iso_replaces_kernel_and_ramdisk():
    task = make_task(kernel=..., ramdisk=..., boot_iso="http://192.0.2.1/boot.iso")
    image_sources.require_boot_sources(task)


def test_a_boot_iso_cannot_be_built_without_boot_loaders(tmp_path, monkeypatch):
    image_sources.require_boot_sources(make_task())
    shim = tmp_path / "shimx64.efi.signed"
    monkeypatch.setattr(boot_loaders, "GrubFiles", lambda: GrubFiles(shim=shim))
    with pytest.raises(exception.InvalidParameterValue, match=f"{shim}.* package shim-signed"):
        image_sources.require_boot_sources(make_task())
    image_sources.require_boot_sources(make_task(boot_iso="http://192.0.2.1/boot.iso"))


def test_malformed_reference_to_glance_is_refused():
    task = make_task(image_source="glance://image", kernel=...)
    with pytest.raises(exception.InvalidParameterValue, match="glance://image"):
        image_sources.require_boot_sources(task)


def test_signature_of_a_url_is_kept_out_of_errors(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{closed.getsockname()[1]}/kernel"
        task = make_task(kernel=f"http://user:canary@{place}?signature=canary")
        with pytest.raises(exception.InstanceDeployFailure, match="refused") as caught:
            image_sources.fetch(task, "kernel", tmp_path / "kernel")
    assert f"Cannot read the kernel http://{place} of node {UUID}" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_image_is_read_with_the_requests_token():
    task = make_task(make_image(), token="token")
    assert glance.find_context(task, IMAGE) is task.context


def test_noted_image_may_be_read_without_a_token():
    task = make_task(make_image())
    assert glance.find_context(task, f"glance://{IMAGE}").roles == ["admin"]


@pytest.mark.parametrize("href", [KERNEL, "http://192.0.2.1/kernel"])
def test_other_images_gain_no_rights(href):
    task = make_task(make_image())
    assert glance.find_context(task, href) is task.context


@pytest.fixture
def store(tmp_path, configure):
    """Publish in a web store."""
    configure("use_web_server_for_images", True, "ilo")
    configure("web_store_root", str(tmp_path / "store"), "ilo")
    configure("web_store_url", "http://192.0.2.9:8088", "ilo")
    configure("signing_key", "0" * 64, "ilo")
    return publisher.get_object_store()


def test_web_servers_url_stays_as_it_is(store):
    assert publisher.make_iso_url(make_task(), "http://192.0.2.1/b") == "http://192.0.2.1/b"


def test_file_is_published_under_its_content(store, tmp_path, configure):
    configure("file_url_allowed_paths", [str(tmp_path)], "conductor")
    iso = tmp_path / "own.iso"
    iso.write_bytes(b"iso")
    urls = [publisher.make_iso_url(make_task(), iso.as_uri()) for _ in range(2)]
    (name,) = store.list_objects(CONTAINER)
    assert name == f"iso-{hashlib.sha256(b'iso').hexdigest()[:40]}"
    assert all(name in url and url.endswith(".iso") for url in urls)


def test_published_image_is_not_fetched_again(store, tmp_path):
    """There is no Glance here, and none is needed."""
    image = make_image()
    name = f"iso-{hashlib.sha256(image.hash_value.encode()).hexdigest()[:40]}"
    iso = tmp_path / "image.iso"
    iso.write_bytes(b"iso")
    store.upload_object(CONTAINER, name, iso, delete_after=30)
    assert name in publisher.make_iso_url(make_task(image), IMAGE)
    ttl = publisher.helper_images_ttl()
    assert store.get_object_info(CONTAINER, name).delete_at > time.time() + ttl


def test_lost_object_is_named(store):
    with pytest.raises(StoreError, match=f"{SHARED} is not in container"):
        publisher.make_iso_url(make_task(), SHARED)


@pytest.mark.parametrize(("minutes", "warned"), [(29, True), (30, False)])
def test_short_time_to_live_is_warned_of(configure, caplog, minutes, warned):
    configure("deploy_helper_images_ttl", minutes, "ilo")
    publisher.warn_of_short_ttl()
    assert ("deploy_helper_images_ttl" in caplog.text) == warned


@pytest.mark.parametrize(
    ("characters", "container"),
    [(0, "images"), (3, "images_4f8"), (8, "images_4f8a2cd6"), (10, "images_4f8a2cd6-9b")],
)
def test_container_that_glance_keeps_an_image_in(configure, characters, container):
    configure("swift_container", "images", "glance")
    configure("swift_store_multiple_containers_seed", characters, "glance")
    assert publisher.name_glance_container(IMAGE) == container
