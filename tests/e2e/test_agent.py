"""Ironic's own deploy interface with the real ironic-python-agent, booted from virtual media."""

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ironic_ilo.ramdisk import SERVER_IN_USE
from lab.agent_iso import make_agent_iso
from lab.emulator import Control
from lab.ironic_service import HOST_SEEN_BY_GUESTS
from lab.node import Node, connected, enrol
from lab.services import running_services
from lab.settings import LOOPBACK, UEFI, Ports, Settings, with_free_ports
from lab.sources import Sources
from lab.whole_disk_image import Table, build_whole_disk_image
from tests.e2e.server import DEADLINE, Server
from tests.web_server import web_server

pytestmark = pytest.mark.e2e

ADDRESS = "127.0.75.10"
# The agent takes no smaller disk, unless it is told to.
DISK_SIZE = "4G"
META_DATA = {"uuid": "0d6cbb2e-1f5c-4b0e-b4d5-0a7b38d1c7a4", "name": "tiny"}


@dataclass
class AgentServer(Server):
    """The lab's only server.

    :ivar store: where what virtual media carry is published.
    """

    store: Path = field(kw_only=True)


@pytest.fixture
def server(request, tmp_path, agent_ramdisk) -> Iterator[AgentServer]:
    """Enrol a server whose nodes the agent deploys, with what a former tenant left on its disk."""
    table, settings = request.param
    image = build_whole_disk_image(table).raw
    iso = tmp_path / "agent.iso"
    make_agent_iso(iso, agent_ramdisk, advertise_host=ADDRESS)
    settings = with_free_ports(
        Settings(
            tmp_path / "lab", ports=Ports.any_free(), first_address=ADDRESS, agent=True, **settings
        )
    )
    disk = settings.directory / "emulator" / "node-0.qcow2"
    disk.parent.mkdir(parents=True)
    run("qemu-img", "convert", "-O", "qcow2", image, disk)
    run("qemu-img", "resize", "-q", disk, DISK_SIZE)
    with (
        web_server(image.parent) as url,
        running_services(settings, file_paths=[tmp_path]) as services,
        connected(services) as connection,
        closing(Control(services.control_url)) as control,
    ):
        uuid = enrol(services, services.servers["node-0"], Sources(iso.as_uri(), {}))
        patch = {
            "deploy_interface": "direct",
            "rescue_interface": "agent",
            "driver_info/rescue_iso": iso.as_uri(),
            # The same web server, as the guest sees it.
            "driver_info/image_http_proxy": url.replace(LOOPBACK, HOST_SEEN_BY_GUESTS),
        }
        operations = [{"op": "add", "path": f"/{p}", "value": v} for p, v in patch.items()]
        connection.baremetal.patch_node(uuid, operations)
        node = Node(connection, uuid)
        node.assign(Sources("", instance_info(image, url)))
        yield AgentServer(node, control, "node-0", disk, store=settings.directory / "images")


def instance_info(image: Path, url: str) -> dict[str, Any]:
    with image.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "image_source": f"{url}/{image.name}",
        "image_type": "whole-disk",
        "image_disk_format": "raw",
        "image_os_hash_algo": "sha256",
        "image_os_hash_value": digest,
    }


@pytest.mark.timeout(6 * DEADLINE)
@pytest.mark.parametrize(
    "server", [(Table.MSDOS, {"generation": "ilo4-gen9"})], ids=["bios"], indirect=True
)
def test_the_agent_cleans_and_deploys_in_bios_mode(server):
    node = server.node
    assert read_first_sector(server.disk)[-2:] == b"\x55\xaa"
    node.move("manage", "manageable", timeout=DEADLINE)
    steps = [{"interface": "deploy", "step": "erase_devices_metadata"}]
    node.move("clean", "manageable", timeout=DEADLINE, clean_steps=steps)
    assert_at_rest(server)
    assert read_first_sector(server.disk) == bytes(512)

    node.move("provide", "available", timeout=DEADLINE)
    node.move("active", "active", timeout=DEADLINE, config_drive={"meta_data": META_DATA})
    report = server.report()
    assert (report.firmware, report.root) == ("bios", "sda2")
    assert list(report.partitions) == ["sda1", "sda2", "sda3"]
    assert report.config_drive is not None
    assert (
        META_DATA["uuid"] in report.config_drive.files["openstack/latest/meta_data.json"].decode()
    )
    assert_runs_from_disk(server)
    node.undeploy()
    assert_at_rest(server)


@pytest.mark.timeout(6 * DEADLINE)
@pytest.mark.parametrize(
    "server",
    [(Table.GPT, {"generation": "ilo5", "boot_mode": UEFI})],
    ids=["uefi"],
    indirect=True,
)
def test_the_agent_deploys_and_rescues_in_uefi_mode(server):
    node = server.node
    node.deploy(timeout=DEADLINE)
    # By the name that the agent has given the image's boot loader in the firmware's list.
    server.wait_for_text('"ironic1"')
    report = server.report()
    assert (report.firmware, report.root) == ("uefi", "sda2")
    assert_runs_from_disk(server)

    node.move("rescue", "rescue", timeout=DEADLINE, rescue_password="canary-rescue")
    server.wait_for_text("login:")
    node.move("unrescue", "active", timeout=DEADLINE)
    assert server.report() == report
    assert_runs_from_disk(server)
    node.undeploy()
    assert_at_rest(server)


def assert_runs_from_disk(server: Server) -> None:
    state = server.state()
    assert (state["power"], state["booted_from"]) == ("on", "hdd")
    assert state["boot_order"][0] == "HDD"
    assert_agent_gone(server)


def assert_at_rest(server: Server) -> None:
    assert server.state()["power"] == "off"
    assert_agent_gone(server)


def assert_agent_gone(server: Server) -> None:
    """Check that what the agent was started with is gone, and with it its token."""
    assert not any(drive["inserted"] for drive in server.state()["media"].values())
    assert not list(server.store.rglob("image-*"))
    assert SERVER_IN_USE not in server.node.get().driver_internal_info


def read_first_sector(disk: Path) -> bytes:
    sector = disk.with_suffix(".sector")
    run(
        "qemu-img",
        "dd",
        "-f",
        "qcow2",
        "-O",
        "raw",
        "bs=512",
        "count=1",
        f"if={disk}",
        f"of={sector}",
    )
    return sector.read_bytes()


def run(*argv: str | Path) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=DEADLINE)
