"""What deploys leave behind where Ironic does not clean up, and how it goes; shared boot ISOs."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ironic_ilo.object_store import ObjectInfo
from ironic_ilo.web_store import ObjectDirectory
from tests.functional.cloud import CONTAINER, Cloud, Node
from tests.functional.conductor import SECONDS, Conductor, running_conductor, wait_until
from tests.functional.conftest import DISK_MIB, MIB
from tests.functional.test_deploy import assert_nothing_left
from tests.tgt import Tgtd, start_tgtd

pytestmark = pytest.mark.functional

FIRST_ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.90"
TGT_CONTROL_PORTS = (6090, 6091)
GRACE = 10
OPTIONS: dict[str, dict[str, object]] = {
    "DEFAULT": {"debug": True, "hash_ring_reset_interval": 1},
    "conductor": {
        "deploy_callback_timeout": 15,
        "check_provision_state_interval": 1,
        "sync_power_state_interval": 0,
    },
    # Without Swift, a configdrive fails: before prepare, and without a clean-up.
    "deploy": {"configdrive_use_object_store": True},
    "ilo": {
        "client_timeout": 20,
        "busy_timeout": 120,
        "reconcile_interval": 1,
        "boot_iso_grace": GRACE,
    },
}


@dataclass(frozen=True)
class Lab:
    """A lab whose conductor can be killed."""

    cloud: Cloud
    conductor: Conductor
    targets: list[Tgtd]

    def target(self, node: Node) -> Tgtd:
        """Find the iSCSI target where a node's is expected."""
        return self.targets[list(self.cloud.services.servers).index(node.server.name)]

    def deploy(self, node: Node, disk: Path) -> dict[str, Any]:
        """Deploy a node to the end, or deploy it again."""
        node.wait("wait call-back")
        ramdisk = node.find_ramdisk()
        ramdisk.offer_disk(self.target(node), disk)
        assert ramdisk.call_back().ok
        return node.wait("active")

    def find_iso(self, name: str) -> ObjectInfo | None:
        """Ask the store about a boot ISO."""
        store = ObjectDirectory(self.cloud.directory / "images")
        return store.get_object_info(CONTAINER, name)

    def declare_dead(self, host: str) -> None:
        """Say what heartbeats that stopped would say; with SQLite, Ironic has none."""
        with (
            closing(
                sqlite3.connect(self.cloud.directory / "ironic" / "ironic.sqlite")
            ) as database,
            database,
        ):
            database.execute("UPDATE conductors SET online = 0 WHERE hostname = ?", (host,))

    @contextmanager
    def store_is_down(self) -> Iterator[None]:
        """Put something else in the place of the store."""
        place, aside = self.cloud.directory / "images", self.cloud.directory / "images.aside"
        place.rename(aside)
        place.write_text("no directory")
        try:
            yield
        finally:
            place.unlink()
            aside.rename(place)


@pytest.fixture(scope="module")
def lab(tmp_path_factory, artifacts) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("reconciler")
    with (
        running_conductor(
            directory, artifacts, nodes=2, first_address=FIRST_ADDRESS, options=OPTIONS
        ) as (cloud, conductor),
        ExitStack() as stack,
    ):
        servers = cloud.services.servers.values()
        targets = [
            stack.enter_context(start_tgtd(server.iscsi_portal, port))
            for server, port in zip(servers, TGT_CONTROL_PORTS, strict=True)
        ]
        yield Lab(cloud, conductor, targets)


@pytest.fixture
def enrol(lab) -> Iterator[Callable[[int], Node]]:
    """Enrol a server by its number; all is removed again."""
    with ExitStack() as stack:

        def enrol_server(number: int) -> Node:
            node = lab.cloud.enrol(lab.cloud.services.servers[f"node-{number}"])
            stack.callback(node.delete)
            return node

        yield enrol_server


@pytest.fixture
def node(enrol) -> Node:
    return enrol(0)


@pytest.fixture
def disks(tmp_path) -> list[Path]:
    paths = [tmp_path / "disk-0", tmp_path / "disk-1"]
    for path in paths:
        with path.open("wb") as file:
            file.truncate(DISK_MIB * MIB)
    return paths


def is_cleaned_up(node: Node) -> bool:
    info = node.show()["driver_internal_info"]
    return not {"ilo_deploy_server_in_use", "ilo_deploy_nonce", "ilo_boot_iso"} & set(info)


def test_nodes_with_the_same_image_share_a_boot_iso(lab, enrol, disks):
    nodes = [enrol(0), enrol(1)]
    for node in nodes:
        node.provision("active")
    names = {
        lab.deploy(node, disk)["instance_info"]["boot_iso"]
        for node, disk in zip(nodes, disks, strict=True)
    }
    assert len(names) == 1
    name = names.pop()
    assert lab.find_iso(name).metadata == {"usage_count": "2"}
    assert lab.conductor.said().count(f"Building boot ISO {name}") == 1

    # A rebuild with another one gives up the old one.
    first, second = nodes
    first.set("instance_info/kernel_append_params", "single")
    first.provision("rebuild")
    other = lab.deploy(first, disks[0])["instance_info"]["boot_iso"]
    assert other != name
    assert lab.find_iso(name).metadata == {"usage_count": "1"}
    assert lab.find_iso(name).delete_at is None

    # Nobody uses it any more, although the store was down as the last user went.
    with lab.store_is_down():
        second.provision("deleted")
        wait_until(lambda: second.show()["provision_state"] == "error")
        assert "Cannot release the boot ISO" in second.show()["last_error"]
    wait_until(lambda: lab.find_iso(name) is None)
    assert lab.find_iso(other).delete_at is None

    # One that is lost while a node uses it is built again.
    for path in (lab.cloud.directory / "images").rglob(f"{other}*"):
        path.unlink()
    wait_until(lambda: lab.find_iso(other) is not None)


def test_own_boot_iso_is_used_before_any_other(lab, node, disks):
    own = lab.cloud.artifacts.deploy_iso.as_uri()
    node.set("instance_info/boot_iso", own)
    node.provision("active")
    shown = lab.deploy(node, disks[0])
    assert shown["instance_info"]["boot_iso"] == own
    assert "ilo_boot_iso" not in shown["driver_internal_info"]
    built = [line for line in lab.conductor.said().splitlines() if "Building boot ISO" in line]
    assert not any(node.uuid in line for line in built)


def test_deploy_that_fails_before_its_first_step(lab, node, disks):
    node.provision("active")
    name = lab.deploy(node, disks[0])["instance_info"]["boot_iso"]
    reply = lab.cloud.call(
        "PUT",
        f"nodes/{node.uuid}/states/provision",
        {"target": "rebuild", "configdrive": {"meta_data": {}}},
    )
    assert reply.ok, reply.text
    wait_until(lambda: node.show()["provision_state"] == "deploy failed")
    error = node.show()["last_error"]
    assert "configdrive" in error
    wait_until(lambda: is_cleaned_up(node))
    # The reference goes first, then it is counted.
    wait_until(lambda: lab.find_iso(name).metadata == {"usage_count": "0"})
    assert lab.find_iso(name).delete_at is not None
    assert node.show()["last_error"] == error


@pytest.mark.parametrize("successor", ["lab", "another"], ids=["restart", "take-over"])
def test_conductor_that_is_killed_in_the_middle_of_a_deploy(lab, node, successor):
    control, server = lab.cloud.control, node.server.name
    # Media are in the drives, and the deploy waits for the server to leave POST.
    control.set_faults(server, post_refusals=1000)
    node.provision("active")
    wait_until(lambda: all(node.drives().values()))
    assert lab.cloud.stored(f"image-{node.uuid}")
    assert lab.cloud.cached_images(node)
    lab.conductor.kill()
    control.clear_faults(server)
    control.press(server)
    assert node.emulated()["power"] == "on"

    if successor != "lab":
        lab.declare_dead("lab")
    lab.conductor.start(successor)
    wait_until(lambda: node.show()["provision_state"] == "deploy failed")
    wait_until(lambda: is_cleaned_up(node))
    wait_until(lambda: node.show()["reservation"] is None)
    wait_until(lambda: not lab.cloud.stored(f"image-{node.uuid}"))
    assert_nothing_left(lab.cloud, node)
    assert node.show()["last_error"]


def test_ilo_that_cannot_be_reached_when_the_callback_times_out(lab, node):
    control, server = lab.cloud.control, node.server.name
    node.boot_ramdisk()
    control.set_faults(server, refuse=True)
    wait_until(lambda: node.show()["provision_state"] == "deploy failed")
    assert not is_cleaned_up(node)
    assert node.emulated()["power"] == "on"
    control.clear_faults(server)
    wait_until(lambda: is_cleaned_up(node))
    wait_until(lambda: node.show()["reservation"] is None)
    assert_nothing_left(lab.cloud, node)
    assert "Timeout reached while waiting for callback" in node.show()["last_error"]


def test_silent_ilo_holds_up_no_other_node(lab, enrol):
    silent, other = enrol(0), enrol(1)
    silent.set("driver_info/client_timeout", 2 * SECONDS)
    control = lab.cloud.control
    for node in (silent, other):
        node.boot_ramdisk()
        control.set_faults(node.server.name, refuse=True)
    wait_until(lambda: has_failed(silent) and has_failed(other))

    control.set_faults(silent.server.name, silent=True)
    wait_until(lambda: is_held(silent))
    control.clear_faults(other.server.name)
    wait_until(lambda: is_cleaned_up(other))
    assert not is_cleaned_up(silent)

    # It is still waited for, and would be again.
    lab.conductor.kill()
    control.clear_faults(silent.server.name)
    lab.conductor.start()
    wait_until(lambda: is_cleaned_up(silent))
    wait_until(lambda: silent.show()["reservation"] is None)


def has_failed(node: Node) -> bool:
    shown = node.show()
    return shown["provision_state"] == "deploy failed" and not shown["reservation"]


def is_held(node: Node, seconds: float = 3) -> bool:
    """Tell whether a node is locked, and stays it; what an iLO refuses takes less time."""
    deadline = time.monotonic() + seconds
    while node.show()["reservation"]:
        if time.monotonic() > deadline:
            return True
        time.sleep(0.1)
    return False


def test_node_that_is_removed_while_it_waits(lab):
    node = lab.cloud.enrol(lab.cloud.services.servers["node-0"])
    node.boot_ramdisk()
    assert lab.cloud.stored(f"image-{node.uuid}")
    assert lab.cloud.cached_images(node)
    node.delete()
    wait_until(lambda: not lab.cloud.stored(f"image-{node.uuid}"))
    wait_until(lambda: not lab.cloud.cached_images(node))
