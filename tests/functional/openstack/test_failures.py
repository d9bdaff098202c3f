"""Glance, Swift and Keystone fail: the error says what to do, and nothing is left behind."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import swiftclient
from keystoneauth1.exceptions import Unauthorized
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from openstack.connection import Connection

from lab.config_file import write_config_file
from lab.database import IRONIC, create_database
from lab.openstack.keystone import ADMIN, DOMAIN, IRONIC_USER, KeystoneAccess
from lab.openstack.swift import allow_temp_urls
from lab.settings import LOOPBACK, Ports, Settings, with_free_ports
from tests.functional.cloud import Node
from tests.functional.conductor import Conductor, wait_until
from tests.functional.openstack.cloud import OpenStackCloud
from tests.functional.test_deploy import assert_nothing_left
from tests.service_link import ServiceLink, start_link

pytestmark = pytest.mark.functional

RECONCILE_SECONDS = 5


@dataclass
class Publisher:
    """The user with which Ironic speaks to Glance and Swift, in the hands of an administrator."""

    keystone: KeystoneAccess
    password: str

    def __post_init__(self) -> None:
        self._identity = Connection(session=self.keystone.session(ADMIN, system=True)).identity
        self._project = self.keystone.session(IRONIC_USER).get_project_id()
        self._user = self._identity.create_user(
            name="publisher", domain_id=DOMAIN, password=self.password
        ).id
        self._roles = {role.name: role.id for role in self._identity.roles()}
        for name in ("member", "reader", "service"):
            self._grant(name)

    def client_options(self) -> dict[str, str]:
        """Give Ironic's options to be this user."""
        options = self.keystone.client_options(IRONIC_USER)
        return options | {"username": "publisher", "password": self.password}

    def swift_path(self) -> str:
        """Give the path of the user's account in Swift."""
        return f"/v1/AUTH_{self._project}"

    @contextmanager
    def password_changed(self) -> Iterator[None]:
        """Have another password than Ironic knows."""
        self._identity.update_user(self._user, password=secrets.token_hex(16))
        try:
            yield
        finally:
            self._identity.update_user(self._user, password=self.password)
            self._wait_for_tokens()

    @contextmanager
    def only_reading(self) -> Iterator[None]:
        """Have no role that Swift lets write."""
        self._identity.unassign_project_role_from_user(
            self._project, self._user, self._roles["member"]
        )
        try:
            yield
        finally:
            self._grant("member")
            self._wait_for_tokens()

    def revoke_tokens(self) -> None:
        """Make all tokens that the user has worthless."""
        for enabled in (False, True):
            self._identity.update_user(self._user, is_enabled=enabled)
        self._wait_for_tokens()

    def _grant(self, role: str) -> None:
        self._identity.assign_project_role_to_user(self._project, self._user, self._roles[role])

    def _wait_for_tokens(self) -> None:
        """Wait until a new token counts: one of the second of a revocation does not."""
        wait_until(self._has_valid_token)

    def _has_valid_token(self) -> bool:
        options = self.client_options()
        options.pop("auth_type")
        try:
            token = Session(v3.Password(**options)).get_token()
        except Unauthorized:
            return False
        reply = self._identity.get("/auth/tokens", headers={"X-Subject-Token": token})
        return bool(reply.ok)


@pytest.fixture(scope="module")
def publisher(openstack_cloud) -> Publisher:
    return Publisher(openstack_cloud.keystone, secrets.token_hex(16))


@pytest.fixture(scope="module")
def glance_link(openstack_cloud) -> Iterator[ServiceLink]:
    """Run what Ironic takes for Glance."""
    with start_link(openstack_cloud.services.health_urls["glance"]) as link:
        yield link


@pytest.fixture(scope="module")
def swift_link(openstack_cloud) -> Iterator[ServiceLink]:
    """Run what Ironic takes for Swift."""
    with start_link(openstack_cloud.services.health_urls["swift"]) as link:
        yield link


@pytest.fixture(scope="module")
def cloud(openstack_cloud, publisher, glance_link, swift_link, tmp_path_factory):
    """Run a second Ironic, whose services can fail."""
    directory = tmp_path_factory.mktemp("failures")
    state = directory / "ironic"
    port = with_free_ports(Settings(directory, ports=Ports.any_free())).ports.api
    database = state / "ironic.sqlite"
    create_database(IRONIC, database)
    client = publisher.client_options()
    options = {
        "DEFAULT": {"state_path": state, "tempdir": state},
        "api": {"port": port},
        "database": {"connection": f"sqlite:///{database}"},
        "oslo_concurrency": {"lock_path": state / "locks"},
        "pxe": {
            "images_path": state / "instance_images",
            "instance_master_path": state / "master_images",
        },
        "glance": client | {"endpoint_override": glance_link.url},
        "swift": client | {"endpoint_override": f"{swift_link.url}{publisher.swift_path()}"},
        "ilo": {
            "swift_ilo_container": "failures",
            "reconcile_interval": RECONCILE_SECONDS,
        },
    }
    services = replace(openstack_cloud.services, api_url=f"http://{LOOPBACK}:{port}")
    cloud = OpenStackCloud(directory, services, openstack_cloud.artifacts, container="failures")
    conductor = Conductor(
        [Path(openstack_cloud.services.config), write_config_file(state / "own.conf", options)],
        directory / "ironic.log",
        lambda: cloud.call("GET", "drivers"),
    )
    conductor.start("failures")
    yield cloud
    conductor.stop()


@pytest.fixture(scope="module")
def sources(cloud) -> dict[str, str]:
    """Upload all that a deploy reads."""
    files = cloud.artifacts
    kernel = cloud.upload_image("kernel", files.kernel)
    ramdisk = cloud.upload_image("ramdisk", files.ramdisk)
    image = cloud.upload_image("root", files.image, kernel_id=kernel, ramdisk_id=ramdisk)
    deploy_iso = cloud.upload_image("deploy", files.deploy_iso)
    return {"kernel": kernel, "image_source": image, "deploy_iso": deploy_iso}


@pytest.fixture
def node(cloud) -> Iterator[Node]:
    """Enrol a server that is deployed from files."""
    node = cloud.enrol(cloud.services.servers["node-0"])
    yield node
    node.delete()


@pytest.fixture
def glance_node(node, sources) -> Node:
    """Deploy it from images in Glance alone."""
    node.set("driver_info/deploy_iso", sources["deploy_iso"])
    node.set("instance_info", {"image_source": sources["image_source"], "root_gb": 1})
    return node


def fail(node: Node, *words: str) -> None:
    """Deploy; it must fail, name the node and say these words, and leave nothing behind."""
    starts = node.emulated()["starts"]
    node.provision("active")
    check_failure(node, *words)
    assert node.emulated()["starts"] == starts


def check_failure(node: Node, *words: str) -> None:
    last_error = node.wait("deploy failed")["last_error"]
    for word in (node.uuid, *words):
        assert word in last_error
    assert_nothing_left(node.cloud, node)


def refuse(node: Node, *words: str) -> None:
    """Ask for a deploy; Ironic must refuse it at once."""
    reply = node.try_provision("active")
    assert reply.status_code == 400
    for word in (node.uuid, *words):
        assert word in reply.text
    assert node.show()["provision_state"] == "available"


def finish(node: Node, ramdisk, tgtd, disk) -> None:
    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().ok
    assert node.wait("active")["last_error"] is None


def test_glance_down(glance_node, glance_link):
    with glance_link.cut():
        refuse(glance_node, "Cannot read the properties", "Check that Keystone and Glance run")


def test_glance_down_when_the_deploy_begins(node, sources, glance_link):
    node.set("driver_info/deploy_iso", sources["deploy_iso"])
    with glance_link.cut():
        fail(node, f"deploy_iso {sources['deploy_iso']}", "Check that Keystone and Glance run")


def test_glance_down_when_the_ramdisk_calls_back(glance_node, glance_link, tgtd, disk):
    """It is not needed any more."""
    ramdisk = glance_node.boot_ramdisk()
    with glance_link.cut():
        finish(glance_node, ramdisk, tgtd, disk)


def test_image_that_does_not_exist(glance_node, sources):
    glance_node.set("instance_info/image_source", sources["image_source"].replace("-", "")[::-1])
    refuse(glance_node, "Glance has no image", "Check its ID")


def test_deploy_iso_that_was_deleted(cloud, node, artifacts):
    deleted = cloud.upload_image("deploy", artifacts.deploy_iso)
    node.set("driver_info/deploy_iso", deleted)
    with cloud.images() as connection:
        connection.image.delete_image(deleted)
    fail(node, f"deploy_iso {deleted}", "Glance has no image")


def test_kernel_that_was_damaged_in_the_store(cloud, glance_node, sources):
    with damaged(cloud.swift(), sources["kernel"]):
        fail(glance_node, f"kernel {sources['kernel']}", "another sha512", "upload it again")


def test_image_that_was_damaged_in_the_store(cloud, glance_node, sources):
    """A new one, for what was verified once is in the conductor's cache."""
    own = {"kernel_id": sources["kernel"], "ramdisk_id": sources["kernel"]}
    image = cloud.upload_image("root", cloud.artifacts.image, **own)
    glance_node.set("instance_info/image_source", image)
    with damaged(cloud.swift(), image):
        fail(glance_node, f"Cannot use image {image}", "checksum")


@contextmanager
def damaged(swift: swiftclient.Connection, image: str) -> Iterator[None]:
    """Change an image behind Glance's back."""
    _headers, content = swift.get_object("glance", image)
    swift.put_object("glance", image, content[:-1] + bytes([content[-1] ^ 1]))
    yield
    swift.put_object("glance", image, content)


def test_glance_refuses_the_credentials(glance_node, publisher):
    glance_node.set("driver_info/deploy_iso", glance_node.cloud.artifacts.deploy_iso.as_uri())
    with publisher.password_changed():
        refuse(glance_node, "Cannot read the properties", "[glance] in ironic.conf")


def test_swift_down(node, swift_link):
    with swift_link.cut():
        fail(node, "no answer from Swift", "Check that Swift runs")


def test_swift_down_when_the_ramdisk_calls_back(cloud, node, swift_link, tgtd, disk):
    ramdisk = node.boot_ramdisk()
    ramdisk.offer_disk(tgtd, disk)
    with swift_link.cut():
        assert ramdisk.call_back().ok
        last_error = node.wait("deploy failed")["last_error"]
        assert "Check that Swift runs" in last_error
        assert cloud.stored(f"image-{node.uuid}")
    wait_until(lambda: not cloud.stored(f"image-{node.uuid}"))
    assert_nothing_left(cloud, node)
    assert node.show()["last_error"] == last_error


def test_swift_refuses_the_container(node, publisher):
    with publisher.only_reading():
        fail(node, "Swift answered 403", "operator_roles")


def test_swift_refuses_the_credentials(cloud, node, publisher):
    with publisher.password_changed():
        node.provision("active")
        last_error = node.wait("deploy failed")["last_error"]
    assert node.uuid in last_error
    assert "Check user, password and project in [swift]" in last_error
    assert publisher.password not in last_error
    # Swift may take a token a moment longer: what was stored with it goes when it can again.
    wait_until(lambda: not cloud.stored(f"image-{node.uuid}"))
    assert_nothing_left(cloud, node)


def test_no_key_for_temporary_urls(cloud, node):
    swift = cloud.swift()
    swift.post_account({"X-Remove-Account-Meta-Temp-Url-Key": "x"})
    try:
        fail(node, "temporary URL key", "openstack object store account set")
    finally:
        allow_temp_urls(swift)


def test_tokens_and_floppy_that_vanish_while_the_ramdisk_boots(cloud, node, publisher, tgtd, disk):
    ramdisk = node.boot_ramdisk()
    publisher.revoke_tokens()
    (floppy,) = cloud.stored(f"image-{node.uuid}")
    cloud.swift().delete_object(cloud.container, floppy)
    finish(node, ramdisk, tgtd, disk)
