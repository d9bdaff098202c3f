"""Cleaning with our own ramdisk in a real Ironic; the ramdisk is played."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from ironic_ilo.callback import CALLBACK, NONCE
from ironic_ilo.cleaning import CLEANING_NETWORK, ERASED_DISKS
from ironic_ilo.ramdisk import SERVER_IN_USE
from ironic_ilo.timeline import PROGRESS
from tests.functional.cloud import Cloud, Node
from tests.functional.conductor import Conductor, running_conductor, wait_until
from tests.functional.test_deploy import assert_nothing_left

pytestmark = pytest.mark.functional

FIRST_ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.140"
OPTIONS: dict[str, dict[str, object]] = {
    "DEFAULT": {"debug": True},
    "conductor": {
        "clean_callback_timeout": 10,
        "check_provision_state_interval": 1,
        "sync_power_state_interval": 0,
    },
    "ilo": {
        "client_timeout": 20,
        "busy_timeout": 60,
        "reconcile_interval": 1,
        "ramdisk_callback": "heartbeat",
    },
}
PERCENT_7 = {"percent": 7, "disks": [{"name": "/dev/sda", "method": "overwrite", "percent": 7}]}
ERASED = [
    {
        "name": "/dev/sda",
        "serial": "S3R14L",
        "size": 1 << 30,
        "method": "zeros at both ends of disk and partitions",
        "verified": "read back",
    }
]
TEMPORARY = {
    *(NONCE, CALLBACK, SERVER_IN_USE, CLEANING_NETWORK, PROGRESS),
    "agent_secret_token",
}


def info(node: Node) -> dict[str, Any]:
    shown: dict[str, Any] = node.show()["driver_internal_info"]
    return shown


def manage(node: Node) -> None:
    node.provision("manage")
    node.wait("manageable")


def clean(node: Node, *steps: str) -> None:
    """Ask for a manual cleaning."""
    reply = node.cloud.call(
        "PUT",
        f"nodes/{node.uuid}/states/provision",
        {
            "target": "clean",
            "clean_steps": [{"interface": "deploy", "step": step} for step in steps],
        },
    )
    assert reply.ok, reply.text


def assert_secrets_gone(node: Node) -> None:
    assert not TEMPORARY & set(info(node))


def test_automated_cleaning(cloud, node):
    manage(node)
    node.set("automated_clean", True)
    node.set("instance_info", {})
    node.provision("provide")
    node.wait("clean wait")
    ramdisk = node.find_ramdisk()
    assert node.emulated()["booted_from"] == "cdrom"
    assert ramdisk.parameters["action"] == "erase_devices_metadata"

    # What is wrong is refused, and changes nothing.
    for changes in (
        {"key": "0" * 64, "erased": ERASED},
        {"erased": ERASED, "unknown": 1},
        {"erased": []},
        {"erased": [{"name": "/dev/sda"}]},
        {"erased": "no JSON"},
        {"progress": "[1]"},
        {"progress": {"percent": 1, "x": "x" * 70000}},
    ):
        assert ramdisk.call_back(**changes).status_code == 400, changes
    assert node.show()["provision_state"] == "clean wait"

    assert ramdisk.call_back(progress=PERCENT_7).status_code == 200
    assert info(node)[PROGRESS] == PERCENT_7 | {"stage": "erase_devices_metadata"}
    assert not cloud.stored(f"image-{node.uuid}")

    assert ramdisk.call_back(erased=ERASED).status_code == 200
    shown = node.wait("available")
    assert shown["last_error"] is None
    assert not shown["maintenance"]
    assert_nothing_left(cloud, node)
    assert_secrets_gone(node)
    proof = info(node)[ERASED_DISKS]
    assert list(proof) == ["erase_devices_metadata"]
    assert proof["erase_devices_metadata"]["disks"] == ERASED
    assert ramdisk.call_back(erased=ERASED).status_code == 400


def test_manual_cleaning_boots_the_ramdisk_for_each_step(cloud, node):
    manage(node)
    clean(node, "erase_devices_metadata", "erase_devices")
    node.wait("clean wait")
    first = node.find_ramdisk()
    starts = node.emulated()["starts"]
    assert first.call_back(erased=ERASED).status_code == 200
    wait_until(lambda: node.emulated()["starts"] > starts)
    node.wait("clean wait")
    second = node.find_ramdisk()
    assert second.parameters["action"] == "erase_devices"
    assert first.call_back(erased=ERASED).status_code == 400
    assert second.call_back(error="/dev/sdb: input/output error").status_code == 200
    shown = node.wait("clean failed")
    assert "/dev/sdb: input/output error" in shown["last_error"]
    assert "erase_devices" in shown["last_error"]
    assert_nothing_left(cloud, node)
    assert_secrets_gone(node)
    assert set(info(node)[ERASED_DISKS]) == {"erase_devices_metadata"}


def test_deploy_iso_that_cannot_erase(cloud, node):
    manage(node)
    clean(node, "erase_devices")
    node.wait("clean wait")
    assert node.find_ramdisk().call_back().status_code == 200
    assert "make a new deploy ISO" in node.wait("clean failed")["last_error"]
    assert_nothing_left(cloud, node)


def test_licence_without_virtual_media(cloud, node):
    manage(node)
    cloud.control.set_faults(node.server.name, no_license=True)
    clean(node, "erase_devices_metadata")
    assert "iLO Advanced" in node.wait("clean failed")["last_error"]
    assert_secrets_gone(node)


@pytest.fixture(scope="module")
def lab(tmp_path_factory, artifacts) -> Iterator[tuple[Cloud, Conductor]]:
    """Run a lab whose conductor can be killed, and whose ramdisks send heartbeats."""
    with running_conductor(
        tmp_path_factory.mktemp("cleaning"),
        artifacts,
        first_address=FIRST_ADDRESS,
        options=OPTIONS,
    ) as lab:
        yield lab


@pytest.fixture
def waiting(lab) -> Iterator[Node]:
    """Clean a node until the ramdisk runs."""
    cloud, _conductor = lab
    node = cloud.enrol(cloud.services.servers["node-0"])
    manage(node)
    clean(node, "erase_devices_metadata")
    node.wait("clean wait")
    yield node
    node.delete()


def test_conductor_that_is_killed_while_a_ramdisk_erases(lab, waiting):
    cloud, conductor = lab
    ramdisk = waiting.find_ramdisk()
    assert ramdisk.call_back(progress=PERCENT_7).status_code == 202
    wait_until(lambda: PROGRESS in info(waiting))
    conductor.kill()
    conductor.start()
    assert waiting.show()["provision_state"] == "clean wait"
    # A conductor that starts looks at its nodes, and locks them: a ramdisk then calls again.
    wait_until(lambda: ramdisk.call_back(erased=ERASED).status_code == 202)
    waiting.wait("manageable")
    assert info(waiting)[ERASED_DISKS]["erase_devices_metadata"]["disks"] == ERASED
    assert_nothing_left(cloud, waiting)
    assert_secrets_gone(waiting)


def test_silent_ramdisk_on_an_ilo_that_cannot_be_reached(lab, waiting):
    cloud, _conductor = lab
    control, server = cloud.control, waiting.server.name
    control.set_faults(server, refuse=True)
    wait_until(lambda: waiting.show()["last_error"])
    assert SERVER_IN_USE in info(waiting)
    assert waiting.emulated()["power"] == "on"
    control.clear_faults(server)
    wait_until(lambda: not TEMPORARY & set(info(waiting)))
    wait_until(lambda: waiting.show()["reservation"] is None)
    assert_nothing_left(cloud, waiting)
    assert "Timeout reached while cleaning" in waiting.show()["last_error"]


def test_cleaning_that_is_aborted(lab, waiting):
    cloud, _conductor = lab
    ramdisk = waiting.find_ramdisk()
    waiting.provision("abort")
    assert "aborted" in waiting.wait("clean failed")["last_error"]
    assert_nothing_left(cloud, waiting)
    assert_secrets_gone(waiting)
    assert ramdisk.call_back(erased=ERASED).status_code == 400


def test_conductor_that_is_killed_while_it_attaches_media(lab):
    cloud, conductor = lab
    node = cloud.enrol(cloud.services.servers["node-0"])
    manage(node)
    # The step waits for the server to leave POST.
    cloud.control.set_faults(node.server.name, post_refusals=1000)
    clean(node, "erase_devices_metadata")
    wait_until(lambda: all(node.drives().values()))
    conductor.kill()
    cloud.control.clear_faults(node.server.name)
    cloud.control.press(node.server.name)
    conductor.start()
    wait_until(lambda: node.show()["provision_state"] == "clean failed")
    wait_until(lambda: not TEMPORARY & set(info(node)))
    wait_until(lambda: node.show()["reservation"] is None)
    wait_until(lambda: not cloud.stored(f"image-{node.uuid}"))
    assert_nothing_left(cloud, node)
    node.delete()
