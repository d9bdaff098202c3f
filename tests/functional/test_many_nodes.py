"""Several nodes get the same image at once: it is prepared once, and written to two at a time."""

import hashlib
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from ironic_ilo.timeline import PROGRESS, TIMELINE
from tests.functional.cloud import Artifacts, Cloud, Node, running_cloud
from tests.functional.conductor import wait_until
from tests.functional.conftest import DISK_MIB, MIB, OPTIONS
from tests.tgt import Tgtd, start_tgtd
from tests.web_server import FileHandler, serving

pytestmark = pytest.mark.functional

NODES, SLOTS = 5, 2
CHANGES = {"max_concurrent_writes": SLOTS, "verify_after_write": True}
FIRST_ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.150"
TGT_CONTROL_PORT = 6150


@pytest.fixture(scope="module")
def cloud(tmp_path_factory, artifacts) -> Iterator[Cloud]:
    """Run a lab of its own."""
    with running_cloud(
        tmp_path_factory.mktemp("many"),
        artifacts,
        nodes=NODES,
        first_address=FIRST_ADDRESS,
        options=OPTIONS | {"ilo": OPTIONS["ilo"] | CHANGES},
    ) as cloud:
        yield cloud


@pytest.fixture
def nodes(cloud) -> Iterator[list[Node]]:
    made = [cloud.enrol(server) for server in cloud.services.servers.values()]
    yield made
    for node in made:
        node.delete()


@pytest.fixture
def targets(cloud) -> Iterator[list[Tgtd]]:
    servers = cloud.services.servers.values()
    with ExitStack() as stack:
        yield [
            stack.enter_context(start_tgtd(server.iscsi_portal, TGT_CONTROL_PORT + number))
            for number, server in enumerate(servers)
        ]


@pytest.fixture
def downloads(artifacts) -> Iterator[list[str]]:
    """Serve the artifacts over HTTP; the server's URL, then the paths that are asked for."""
    seen: list[str] = []

    class Handler(FileHandler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's
            seen.append(self.path)
            super().do_GET()

    with serving(partial(Handler, directory=artifacts.directory)) as url:
        seen.append(url)
        yield seen


def use_image(nodes: list[Node], url: str, artifacts: Artifacts) -> None:
    """Let them deploy an image whose checksum stands in a list beside it."""
    checksum = hashlib.sha256(artifacts.image.read_bytes()).hexdigest()
    listed = f"{'0' * 64}  other.qcow2\n{checksum}  {artifacts.image.name}\n"
    (artifacts.directory / "SHA256SUMS").write_text(listed)
    for node in nodes:
        node.set("instance_info/image_source", f"{url}/{artifacts.image.name}")
        node.set("instance_info/image_checksum", f"{url}/SHA256SUMS")


def find_progress(node: Node) -> dict:
    return node.show()["driver_internal_info"].get(PROGRESS, {})


def count_in_log(cloud: Cloud, text: str) -> int:
    return (cloud.directory / "logs" / "ironic.log").read_text().count(text)


def test_five_nodes_at_once(cloud, nodes, targets, downloads, tmp_path) -> None:
    use_image(nodes, downloads[0], cloud.artifacts)
    for node in nodes:
        node.provision("active")
    for number, (node, target) in enumerate(zip(nodes, targets, strict=True)):
        node.wait("wait call-back")
        disk = tmp_path / f"disk-{number}"
        disk.touch()
        os.truncate(disk, DISK_MIB * MIB)
        node.find_ramdisk().offer_disk(target, disk)

    # The first two write to disks that do not answer; who comes then waits, in this order.
    for target in targets[:SLOTS]:
        target.process.send_signal(signal.SIGSTOP)
    for node in nodes[:SLOTS]:
        assert node.find_ramdisk().call_back().ok
    wait_until(lambda: all("write" in find_stages(node) for node in nodes[:SLOTS]))
    for place, node in enumerate(nodes[SLOTS:], start=1):
        assert node.find_ramdisk().call_back().ok
        wait_until(lambda node=node: "place" in find_progress(node))
        assert find_progress(node) == {"stage": "wait", "place": place}
    # One slot becomes free, and serves them all while the other one is held.
    targets[0].process.send_signal(signal.SIGCONT)
    wait_until(lambda: all("write" in find_stages(node) for node in nodes))
    targets[1].process.send_signal(signal.SIGCONT)
    for node in nodes:
        node.wait("active")

    began = [find_stages(node)["write"] for node in nodes[SLOTS:]]
    assert began == sorted(began)
    content = cloud.artifacts.raw.read_bytes()
    for number in range(NODES):
        with (tmp_path / f"disk-{number}").open("rb") as disk:
            disk.seek(33 * MIB)
            assert disk.read(len(content)) == content

    # One download, hashed as it came and once more as it is stored; inspected by Ironic's cache,
    # and by us.
    assert downloads.count(f"/{cloud.artifacts.image.name}") == 1
    assert count_in_log(cloud, "Start computing sha256 checksum for image") <= 2
    assert not any(cloud.cached_images(node) for node in nodes)


def find_stages(node: Node) -> dict[str, float]:
    """Tell when each stage began, in order."""
    stages = node.show()["driver_internal_info"][TIMELINE]
    return {stage["stage"]: stage["at"] for stage in stages}
