"""Both callbacks at an API that asks Keystone, as the node's owner and as the administrator."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest
import requests
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from openstack.connection import Connection

from lab.config_file import Sections, write_config_file
from lab.database import IRONIC, create_database
from lab.settings import LOOPBACK, Ports, Settings, with_free_ports
from tests.functional.cloud import Node
from tests.functional.conductor import SECONDS, Conductor, wait_until
from tests.functional.openstack.cloud import OpenStackCloud
from tests.functional.test_canaries import CommandLines

pytestmark = pytest.mark.functional

POLICY = "policy.yaml"


@pytest.fixture
def enrolled(openstack_cloud) -> Iterator[Node]:
    """Enrol a server as a node of the owner's."""
    with enrolled_for_owner(openstack_cloud, 0) as node:
        yield node


@contextmanager
def enrolled_for_owner(cloud: OpenStackCloud, number: int) -> Iterator[Node]:
    node = cloud.enrol(cloud.services.servers[f"node-{number}"])
    node.set("owner", cloud.as_user("owner").project_id())
    yield node
    node.delete()


def act_as(node: Node, user: str) -> Node:
    assert isinstance(node.cloud, OpenStackCloud)
    return replace(node, cloud=node.cloud.as_user(user))


@pytest.mark.parametrize("user", ["owner", "admin"])
def test_heartbeat_needs_no_token(enrolled, tgtd, disk, user):
    node = act_as(enrolled, user)
    ramdisk = node.boot_ramdisk()
    assert ramdisk.floppy.token is None
    ramdisk.offer_disk(tgtd, disk)
    deploy(node, ramdisk, accepted=202)


def deploy(node, ramdisk, *, accepted):
    """Call back; the floppy must go, and the node become active."""
    floppy = node.drives()["FLOPPY"]
    assert requests.get(floppy, timeout=SECONDS).ok
    assert ramdisk.call_back().status_code == accepted
    wait_until(lambda: node.show()["provision_state"] != "wait call-back")
    assert requests.get(floppy, timeout=SECONDS).status_code == 404
    assert node.wait("active")["last_error"] is None
    assert not ramdisk.call_back().ok


@pytest.fixture(scope="module")
def token_cloud(openstack_cloud, tmp_path_factory) -> Iterator[OpenStackCloud]:
    """Run a second Ironic, whose ramdisks call ``pass_deploy_info``, with the shipped policy."""
    directory = tmp_path_factory.mktemp("token")
    ports = with_free_ports(Settings(directory, ports=Ports.any_free())).ports
    create_database(IRONIC, directory / "ironic" / "ironic.sqlite")
    (directory / "policy.d").mkdir()
    ship_policy(directory)
    config = write_config_file(directory / "ironic" / "ironic.conf", options(directory, ports))
    services = replace(openstack_cloud.services, api_url=f"http://{LOOPBACK}:{ports.api}")
    cloud = OpenStackCloud(directory, services, openstack_cloud.artifacts)
    conductor = Conductor(
        [Path(openstack_cloud.services.config), config],
        directory / "ironic.log",
        lambda: cloud.call("GET", "drivers"),
    )
    conductor.start("second")
    yield cloud
    conductor.stop()


def ship_policy(directory: Path) -> None:
    with resources.as_file(resources.files("ironic_ilo") / "data" / POLICY) as shipped:
        shutil.copy(shipped, directory / "policy.d")


def options(directory: Path, ports: Ports) -> Sections:
    """Keep apart what the first Ironic has, and let floppies expire as soon as can be."""
    state = directory / "ironic"
    return {
        "DEFAULT": {"state_path": state, "tempdir": state},
        "api": {"port": ports.api},
        "conductor": {"deploy_callback_timeout": 2 * SECONDS},
        "database": {"connection": f"sqlite:///{state}/ironic.sqlite"},
        "oslo_concurrency": {"lock_path": state / "locks"},
        "oslo_policy": {"policy_dirs": directory / "policy.d"},
        "pxe": {
            "images_path": state / "instance_images",
            "instance_master_path": state / "master_images",
        },
        "ilo": {
            "ramdisk_callback": "pass_deploy_info",
            "swift_ilo_container": "second_container",
            "deploy_helper_images_ttl": 1,
        },
    }


@pytest.fixture(scope="module")
def silent_floppy(token_cloud) -> Iterator[tuple[str, float]]:
    """Deploy a server that never calls back; tell its floppy's URL, and when it was new."""
    with enrolled_for_owner(token_cloud, 1) as node:
        node.boot_ramdisk()
        yield node.drives()["FLOPPY"], time.monotonic()


@pytest.fixture
def token_node(token_cloud, silent_floppy) -> Iterator[Node]:
    """Enrol a server as a node of the owner's, while the other one's floppy grows old."""
    with enrolled_for_owner(token_cloud, 0) as node:
        yield node


@pytest.mark.parametrize("user", ["owner", "admin"])
def test_pass_deploy_info_has_the_token_of_who_deploys(token_cloud, token_node, tgtd, disk, user):
    node = act_as(token_node, user)
    with CommandLines() as commands:
        ramdisk = node.boot_ramdisk()
        token = ramdisk.floppy.token
        assert who_has(token_cloud, token) == user
        assert "agent_token" not in ramdisk.parameters
        ramdisk.offer_disk(tgtd, disk)
        deploy(node, ramdisk, accepted=200)
    # It was on the floppy alone.
    assert token.encode() not in b"\n".join(commands.seen)
    for path in token_cloud.directory.rglob("*"):
        if path.is_file() and path.stat().st_size < 10 << 20:
            assert token.encode() not in path.read_bytes(), path


def who_has(cloud, token):
    keystone = cloud.keystone
    session = Session(v3.Token(keystone.auth_url, token, reauthenticate=False, unscoped=True))
    return session.auth.get_access(session).username


def test_pass_deploy_info_is_refused_by_ironics_own_policy(token_cloud, token_node):
    ramdisk = act_as(token_node, "owner").boot_ramdisk()
    (token_cloud.directory / "policy.d" / POLICY).unlink()
    try:
        wait_until(lambda: ramdisk.call_back(error="unheard").status_code == 403)
    finally:
        ship_policy(token_cloud.directory)
    assert token_node.show()["provision_state"] == "wait call-back"
    wait_until(lambda: ramdisk.call_back(error="no disk").status_code == 200)
    assert "no disk" in token_node.wait("deploy failed")["last_error"]


def test_token_that_ends_before_the_floppy_is_refused(token_cloud, token_node):
    node = act_as(token_node, "owner")
    with short_lived_token(node.cloud) as token:
        reply = requests.put(
            f"{token_cloud.services.api_url}/v1/nodes/{node.uuid}/states/provision",
            json={"target": "active"},
            headers=node.cloud.headers() | {"X-Auth-Token": token},
            timeout=SECONDS,
        )
    assert reply.status_code == 400
    assert "expires at" in reply.text
    assert token not in reply.text
    assert node.show()["provision_state"] == "available"


@contextmanager
def short_lived_token(cloud: OpenStackCloud) -> Iterator[str]:
    """Get a token of the user's that ends in half a minute, when the floppy would live for one."""
    session = cloud.auth_session()
    with Connection(session=session) as connection:
        credential = connection.identity.create_application_credential(
            session.get_user_id(),
            "short",
            expires_at=(datetime.now(UTC) + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%S"),
        )
        auth = v3.ApplicationCredential(
            cloud.keystone.auth_url,
            application_credential_id=credential.id,
            application_credential_secret=credential.secret,
        )
        token = Session(auth).get_token()
        assert token is not None
        yield token


def test_floppy_that_nobody_calls_back_for_expires(silent_floppy):
    url, since = silent_floppy
    if time.monotonic() < since + 50:
        assert requests.get(url, timeout=SECONDS).ok
    wait_until(lambda: requests.get(url, timeout=SECONDS).status_code == 401)
    assert time.monotonic() - since < 60 + SECONDS
