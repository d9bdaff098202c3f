"""Servers that read nothing of their media, in a real Ironic; those of paper never read."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from ironic_ilo.timeline import TIMELINE
from tests.functional.cloud import CONTAINER, Cloud, Node
from tests.functional.conductor import Conductor, running_conductor, wait_until
from tests.functional.paper_ramdisk import PaperRamdisk
from tests.functional.test_cleaning import assert_secrets_gone, clean, info, manage
from tests.functional.test_deploy import assert_nothing_left
from tests.tgt import start_tgtd

pytestmark = pytest.mark.functional

FIRST_ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.190"
TGT_CONTROL_PORT = 6230
TIMEOUT = 6
OPTIONS: dict[str, dict[str, object]] = {
    "DEFAULT": {"debug": True},
    "conductor": {
        "deploy_callback_timeout": 600,
        "clean_callback_timeout": 600,
        "check_provision_state_interval": 1,
        "sync_power_state_interval": 0,
    },
    "ilo": {
        "client_timeout": 20,
        "busy_timeout": 120,
        "reconcile_interval": 1,
        "boot_proof_timeout": TIMEOUT,
    },
}
WATCHED = "ilo_boot_proof"


@pytest.fixture(scope="module")
def lab(tmp_path_factory, artifacts) -> Iterator[tuple[Cloud, Conductor]]:
    """Run a lab whose conductor can be killed, and does not wait for long."""
    with running_conductor(
        tmp_path_factory.mktemp("boot-watch"),
        artifacts,
        first_address=FIRST_ADDRESS,
        options=OPTIONS,
        nodes=5,
    ) as running:
        yield running


def boots(node: Node) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = node.emulated()["boots"]
    return made


def waits_in_boot(node: Node, number: int) -> bool:
    shown = node.show()
    return len(boots(node)) == number and shown["reservation"] is None


def stages(node: Node) -> list[str]:
    return [mark["stage"] for mark in info(node)[TIMELINE]]


@dataclass(frozen=True)
class Servers:
    """Servers by when they read: in the first boot, in the second, never, never in cleaning."""

    prompt: Node
    late: Node
    silent: Node
    cleaned: Node
    ramdisks: dict[str, PaperRamdisk]


@pytest.fixture(scope="module")
def servers(lab) -> Iterator[Servers]:
    """Let all of them have their time, at once."""
    cloud, _conductor = lab
    with ExitStack() as stack:
        nodes = []
        for server in list(cloud.services.servers.values())[:4]:
            nodes.append(cloud.enrol(server))
            stack.callback(nodes[-1].delete)
        prompt, late, silent, cleaned = nodes
        ramdisks = {"prompt": prompt.boot_ramdisk()}
        manage(cleaned)
        clean(cleaned, "erase_devices_metadata")
        for node in (silent, late):
            node.provision("active")
        wait_until(lambda: waits_in_boot(late, 2))
        ramdisks["late"] = late.find_ramdisk()
        silent.wait("deploy failed")
        cleaned.wait("clean failed")
        yield Servers(prompt, late, silent, cleaned, ramdisks)


def test_server_that_reads_is_left_alone(servers):
    assert servers.prompt.show()["provision_state"] == "wait call-back"
    assert len(boots(servers.prompt)) == 1
    assert stages(servers.prompt)[-2:] == ["post", "ramdisk"]
    assert WATCHED not in info(servers.prompt)


def test_silent_server_gets_the_same_once_more_under_other_urls(lab, servers, disk):
    cloud, conductor = lab
    node, ramdisk = servers.late, servers.ramdisks["late"]
    first, second = boots(node)
    for drive in ("cdrom_url", "floppy_url"):
        assert first[drive] != second[drive]
    assert (first["device"], second["device"]) == ("cdrom", "cdrom")
    assert f"Node {node.uuid}: The server has read nothing" in conductor.said()
    history = cloud.ask("GET", f"nodes/{node.uuid}/history")["history"]
    assert any("The media are inserted once more" in entry["event"] for entry in history)
    assert stages(node) == ["check", "image", "attach", "post", "attach", "post", "ramdisk"]
    # Its secrets are those that the conductor expects.
    with start_tgtd(node.server.iscsi_portal, TGT_CONTROL_PORT) as tgtd:
        ramdisk.offer_disk(tgtd, disk)
        assert ramdisk.call_back().status_code == 200
        active = node.wait("active")
    assert (active["power_state"], active["last_error"]) == ("power on", None)
    assert WATCHED not in info(node)
    assert_secrets_gone(node)


@pytest.mark.parametrize(("name", "state"), [("silent", "deploy"), ("cleaned", "clean")])
def test_silence_again_is_a_failure_that_says_what_to_do(lab, servers, name, state):
    cloud, conductor = lab
    node = getattr(servers, name)
    shown = node.wait(f"{state} failed")
    assert len(boots(node)) == 2
    address = boots(node)[0]["floppy_url"].partition(f"/{CONTAINER}/")[0]
    for text in (
        f"has read nothing of its virtual media from {address} within {TIMEOUT} s",
        "FLOPPY is inserted and connected, CDROM is inserted and connected",
        "firewall",
    ):
        assert text in shown["last_error"]
    assert_nothing_left(cloud, node)
    assert_secrets_gone(node)
    assert WATCHED not in info(node)
    # The signature is what makes a URL work.
    for boot in boots(node):
        signature = boot["floppy_url"].split("/")[-2].partition("-")[2]
        assert signature not in conductor.said()
        assert signature not in json.dumps(shown)


def test_conductor_that_is_killed_as_it_inserts_the_media_again(lab):
    cloud, conductor = lab
    node = cloud.enrol(cloud.services.servers["node-4"])
    node.provision("active")
    node.wait("wait call-back")
    # The server does not leave POST.
    cloud.control.set_faults(node.server.name, post_refusals=1000)
    first = node.drives()
    wait_until(lambda: node.drives()["CDROM"] not in (None, first["CDROM"]))
    conductor.kill()
    cloud.control.clear_faults(node.server.name)
    conductor.start()
    wait_until(lambda: waits_in_boot(node, 2))
    ramdisk = node.find_ramdisk()
    wait_until(lambda: WATCHED not in info(node))
    time.sleep(1)
    assert len(boots(node)) == 2
    assert ramdisk.call_back(error="cosmic rays").status_code == 200
    assert "cosmic rays" in node.wait("deploy failed")["last_error"]
    assert_nothing_left(cloud, node)
    node.delete()
