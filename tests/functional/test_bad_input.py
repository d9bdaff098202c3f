"""Bad input ends in a clear error before anything is powered on, and leaves nothing behind."""

import subprocess
from pathlib import Path

import pytest

from tests.functional.checking import count_refused_logins
from tests.functional.conftest import MIB
from tests.functional.test_deploy import assert_nothing_left
from tests.web_server import web_server

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def bad_images(artifacts) -> Path:
    """Make images that nobody should be able to deploy."""
    directory = artifacts.directory
    image = str(artifacts.image)
    for command in (
        ["qemu-img", "create", "-f", "qcow2", str(directory / "large.qcow2"), "2G"],
        ["qemu-img", "create", "-f", "qcow2", "-F", "qcow2", "-b", image, "backed.qcow2"],
    ):
        subprocess.run(command, check=True, capture_output=True, cwd=directory, timeout=60)
    (directory / "noise.raw").write_bytes((directory / "kernel").read_bytes())
    (directory / "page.html").write_text("<html>404: no such image</html>")
    (directory / "cut.qcow2").write_bytes(artifacts.image.read_bytes()[: 64 * 1024])
    return directory


def refuse(node, *words):
    """Deploy; Ironic must refuse at once."""
    starts = node.emulated()["starts"]
    reply = node.try_provision("active")
    assert reply.status_code == 400, reply.text
    for word in words:
        assert word in reply.text
    shown = node.show()
    assert shown["provision_state"] == "available"
    assert node.emulated()["starts"] == starts


def fail(cloud, node, *words):
    """Deploy; it must fail without the server having been started."""
    starts = node.emulated()["starts"]
    node.provision("active")
    shown = node.wait("deploy failed")
    for word in words:
        assert word in shown["last_error"]
    assert not shown["last_error"].endswith("..")
    assert node.emulated()["starts"] == starts
    assert_nothing_left(cloud, node)


def test_no_ports(enrol):
    refuse(enrol(ports=0), "has no ports", "baremetal port create")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ilo_address", ...),
        ("ilo_username", ""),
        ("ilo_password", ...),
        ("ilo_address", "no host name"),
        ("client_port", "https"),
        ("client_timeout", "0"),
        ("ilo_verify_ca", "/nowhere/ca.pem"),
        ("deploy_iso", ...),
        ("deploy_iso", "deploy.iso"),
        ("iscsi_portal", "node-0"),
    ],
)
def test_driver_info(enrol, name, value):
    refuse(enrol(**{name: value}), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("root_gb", ...),
        ("root_gb", "many"),
        ("kernel", ...),
        ("swap_mb", -1),
        ("image_disk_format", "vmdk"),
        ("ephemeral_gb", -1),
        ("preserve_ephemeral", True),
    ],
)
def test_instance_info(node, name, value):
    node.set(f"instance_info/{name}", value)
    refuse(node, name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("large.qcow2", ["2048 MiB", "raise root_gb"]),
        ("backed.qcow2", ["inspection refused it", "backing file"]),
        ("cut.qcow2", ["cut.qcow2"]),
        ("noise.raw", ["holds no file system"]),
        ("page.html", ["holds no file system"]),
        ("none.raw", ["none.raw"]),
    ],
)
def test_image(cloud, node, bad_images, name, words):
    node.set("instance_info/image_source", (bad_images / name).as_uri())
    fail(cloud, node, *words)


def test_image_of_another_format(cloud, node):
    node.set("instance_info/image_disk_format", "raw")
    fail(cloud, node, "inspection refused it", "expected format (raw)")


def test_image_with_another_checksum(cloud, node):
    node.set("instance_info/image_checksum", "0" * 64)
    fail(cloud, node, "checksum")


@pytest.fixture
def artifacts_url(artifacts):
    """Serve the artifacts over HTTP."""
    with web_server(artifacts.directory) as url:
        yield url


def test_image_from_the_web_needs_a_checksum(node, artifacts_url):
    node.set("instance_info/image_source", f"{artifacts_url}/root.qcow2")
    refuse(node, "image_checksum")


def test_image_from_the_web_with_another_checksum(cloud, node, artifacts_url):
    node.set("instance_info/image_source", f"{artifacts_url}/root.qcow2")
    node.set("instance_info/image_checksum", "0" * 64)
    fail(cloud, node, "checksum")


def test_cached_image_that_was_changed_is_not_used(cloud, node, artifacts_url, artifacts):
    """Ironic's cache checks nothing on a hit."""
    checksum = subprocess.run(
        ["sha256sum", str(artifacts.image)], check=True, capture_output=True, text=True, timeout=60
    ).stdout.split()[0]
    node.set("instance_info/image_source", f"{artifacts_url}/root.qcow2")
    node.set("instance_info/image_checksum", checksum)
    node.boot_ramdisk().call_back(error="enough")
    node.wait("deploy failed")
    masters = list((cloud.directory / "ironic/master_images").iterdir())
    assert masters
    for path in masters:
        with path.open("r+b") as file:
            file.seek(MIB)
            file.write(b"changed")
    fail(cloud, node, "checksum")
    for path in masters:
        path.unlink()


def test_deploy_iso_that_cannot_be_read(cloud, node, artifacts_url):
    node.set("driver_info/deploy_iso", f"{artifacts_url}/none.iso?signature=canary-signature")
    fail(cloud, node, "deploy_iso", "none.iso", "404")
    assert "canary-signature" not in node.show()["last_error"]


def test_kernel_that_cannot_be_read(cloud, node, artifacts):
    node.set("instance_info/kernel", (artifacts.directory / "none").as_uri())
    fail(cloud, node, "kernel", "not found")


def test_wrong_password_is_tried_once(cloud, node):
    node.set("driver_info/ilo_password", "canary-wrong")
    before = count_refused_logins(cloud, node.server.name)
    node.provision("active")
    shown = node.wait("deploy failed")
    assert "ilo_password" in shown["last_error"]
    assert "canary-wrong" not in shown["last_error"]
    assert count_refused_logins(cloud, node.server.name) - before == 1


def test_ilo_that_cannot_be_reached(node):
    node.set("driver_info/client_port", 8999)
    node.provision("active")
    shown = node.wait("deploy failed")
    assert "8999" in shown["last_error"]
    assert "client_port" in shown["last_error"]


def test_licence_without_virtual_media(cloud, node):
    cloud.control.set_faults(node.server.name, no_license=True)
    fail(cloud, node, "licence", "iLO Advanced")


def test_certificate_that_nobody_vouches_for(cloud, node):
    node.set("driver_info/ilo_verify_ca", "True")
    fail(cloud, node, "certificate", "ilo_verify_ca")


def test_validate_names_the_fault(cloud, node):
    node.set("driver_info/deploy_iso", ...)
    result = cloud.ask("GET", f"nodes/{node.uuid}/validate")
    assert result["deploy"]["result"] is False
    assert "deploy_iso" in result["deploy"]["reason"]
    assert result["power"]["result"] is True
