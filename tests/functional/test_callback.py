"""Heartbeats instead of ``pass_deploy_info``, at an API that asks for a password."""

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import pytest
import requests

from ironic_ilo.callback import CALLBACK, NONCE
from lab.process import own_command
from tests.functional.cloud import Cloud, Node
from tests.functional.conductor import SECONDS, Conductor, running_conductor, wait_until
from tests.functional.test_deploy import assert_nothing_left
from tests.tgt import Tgtd, start_tgtd

pytestmark = pytest.mark.functional

FIRST_ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.70"
TGT_CONTROL_PORT = 6070
USER, PASSWORD = "operator", secrets.token_urlsafe(16)


def options(directory: Path) -> dict[str, dict[str, object]]:
    """Ask for a password, and take nodes over quickly."""
    users = directory / "users"
    digest = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    users.write_text(f"{USER}:{digest}\n")
    return {
        "DEFAULT": {
            "debug": True,
            "auth_strategy": "http_basic",
            "http_basic_auth_user_file": users,
        },
        "conductor": {
            "sync_local_state_interval": 1,
            "sync_power_state_interval": 0,
            "heartbeat_interval": 1,
        },
        "ilo": {"client_timeout": 20, "busy_timeout": 60},
    }


@contextmanager
def signed_in() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.auth = (USER, PASSWORD)
        yield session


@pytest.fixture(scope="module")
def lab(tmp_path_factory, artifacts) -> Iterator[tuple[Cloud, Conductor]]:
    directory = tmp_path_factory.mktemp("basic")
    with (
        signed_in() as session,
        running_conductor(
            directory,
            artifacts,
            first_address=FIRST_ADDRESS,
            options=options(directory),
            session=session,
        ) as lab,
    ):
        yield lab


@pytest.fixture
def conductor(lab) -> Conductor:
    return lab[1]


@pytest.fixture
def node(lab) -> Iterator[Node]:
    cloud, _conductor = lab
    node = cloud.enrol(cloud.services.servers["node-0"])
    yield node
    node.delete()


@pytest.fixture
def tgtd(lab) -> Iterator[Tgtd]:
    cloud, _conductor = lab
    portal = cloud.services.servers["node-0"].iscsi_portal
    with start_tgtd(portal, TGT_CONTROL_PORT) as running_tgtd:
        yield running_tgtd


def test_api_asks_for_a_password(lab):
    cloud, _conductor = lab
    assert requests.get(f"{cloud.services.api_url}/v1/nodes", timeout=SECONDS).status_code == 401


def test_operators_find_pass_deploy_info_described(lab, node):
    cloud, _conductor = lab
    done = subprocess.run(
        [own_command("baremetal"), "node", "passthru", "list", node.uuid],
        env={
            "OS_AUTH_TYPE": "http_basic",
            "OS_ENDPOINT": cloud.services.api_url,
            "OS_USERNAME": USER,
            "OS_PASSWORD": PASSWORD,
        },
        check=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    for word in ("pass_deploy_info", "POST", "address", "key", "iqn", "error"):
        assert word in done.stdout


def test_conductors_come_and_go_while_a_node_waits_and_when_it_is_active(
    lab, conductor, node, tgtd, disk
):
    cloud, _conductor = lab
    ramdisk = node.boot_ramdisk()
    assert "deployment_key" not in ramdisk.parameters
    assert ramdisk.floppy.token is None

    # The conductor is restarted meanwhile; what it needs is in the database.
    conductor.restart()
    assert node.show()["provision_state"] == "wait call-back"
    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().status_code == 202
    wait_until(lambda: node.show()["provision_state"] != "wait call-back")
    assert not cloud.stored(f"image-{node.uuid}")
    answers = set()
    while node.show()["provision_state"] == "deploying":
        answers.add(ramdisk.call_back().status_code)
        time.sleep(0.1)
    active = node.wait("active")
    token = ramdisk.parameters["agent_token"]
    for log in (cloud.directory / "logs").iterdir():
        assert token not in log.read_text(errors="replace")
    # 409: the conductor is at work; 400: the deploy has just ended.
    assert answers <= {202, 400, 409}
    assert ramdisk.call_back().status_code == 400
    assert_secrets_gone(active)

    # Another conductor takes the node over, and leaves its server alone.
    server, drives = node.emulated(), node.drives()
    conductor.restart("another")
    wait_until(lambda: f"Conductor another taking over node {node.uuid}" in conductor.said())
    shown = node.wait("active")
    assert (shown["power_state"], shown["last_error"]) == ("power on", None)
    assert node.drives() == drives
    assert node.emulated()["starts"] == server["starts"]


def assert_secrets_gone(shown):
    gone = {NONCE, CALLBACK, "agent_secret_token", "agent_secret_token_pregenerated"}
    assert not gone & set(shown["driver_internal_info"])


def test_heartbeat_is_judged(lab, conductor, node):
    ramdisk = node.boot_ramdisk()
    token = ramdisk.parameters["agent_token"]
    shown = node.show()["driver_internal_info"]
    assert shown["agent_secret_token"] == "******"
    # Ironic's part is judged before it is answered, ours is not.
    for key in ("", "0" * len(token), ...):
        assert ramdisk.call_back(key=key).status_code == 400
    refused = {
        "a host name": {"address": "node-0"},
        "no address": {"address": ...},
        "another target": {"iqn": "iqn.2008-10.org.openstack:other"},
    }
    for what, changes in refused.items():
        reply = ramdisk.call_back(**changes)
        assert (reply.status_code, reply.content) == (202, b""), what
    cloud, _conductor = lab
    said = f"heartbeat of node {node.uuid} came to nothing"
    wait_until(lambda: conductor.said().count(said) == len(refused))
    assert node.show()["provision_state"] == "wait call-back"

    # Nor does pass_deploy_info get further, without a password and without the deploy key.
    url = f"{cloud.services.api_url}/v1/nodes/{node.uuid}/vendor_passthru/pass_deploy_info"
    body = {"address": "10.0.2.15", "iqn": ramdisk.parameters["iscsi_target_iqn"], "key": token}
    assert requests.post(url, json=body, timeout=SECONDS).status_code == 401
    assert cloud.session.post(url, json=body, timeout=SECONDS).status_code == 400

    node.provision("deleted")
    assert_secrets_gone(node.wait("available"))
    assert ramdisk.call_back().status_code == 400
    assert_nothing_left(cloud, node)


def test_heartbeat_of_an_error_ends_in_last_error(lab, node):
    cloud, _conductor = lab
    ramdisk = node.boot_ramdisk()
    assert ramdisk.call_back(error='no disk; saw "sda" (USB)').status_code == 202
    shown = node.wait("deploy failed")
    assert 'no disk; saw "sda" (USB)' in shown["last_error"]
    assert_secrets_gone(shown)
    assert ramdisk.call_back(error="and yet").status_code == 400
    assert_nothing_left(cloud, node)
