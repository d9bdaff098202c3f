"""A running lab with servers of paper, and its nodes, as an operator's scripts see them."""

import itertools
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests

from ironic_ilo import bmc
from ironic_ilo.bmc.types import Access, Device
from lab.emulator import Control, EmulatedServer, running_emulator
from lab.services import Services, running_services
from lab.settings import LEGACY, Ports, Settings, with_free_ports
from tests.functional.paper_ramdisk import PaperRamdisk, read_floppy

# Several times what anything takes here: CI's cores are shared.
TIMEOUT = 240
API_VERSION = "1.95"
CONTAINER = "ironic_ilo_container"

_macs = itertools.count()


@dataclass(frozen=True)
class Artifacts:
    """Files to deploy from.

    :ivar image: a root file system as qcow2.
    :ivar raw: the same as raw.
    """

    directory: Path
    image: Path
    raw: Path
    kernel: Path
    ramdisk: Path
    deploy_iso: Path

    def instance_info(self) -> dict[str, Any]:
        """Ask for the image in a partition of 1 GiB, behind 32 MiB of swap."""
        return {
            "image_source": self.image.as_uri(),
            "image_type": "partition",
            "kernel": self.kernel.as_uri(),
            "ramdisk": self.ramdisk.as_uri(),
            "root_gb": 1,
            "swap_mb": 32,
        }


@dataclass
class Cloud:
    """The services, and a session with Ironic's API."""

    directory: Path
    services: Services
    artifacts: Artifacts
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.control = Control(self.services.control_url)

    def headers(self) -> dict[str, str]:
        """Tell Ironic's API who calls, and what version it expects."""
        return {"X-OpenStack-Ironic-API-Version": API_VERSION}

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Call Ironic's API; the caller judges the reply."""
        url = f"{self.services.api_url}/v1/{path}"
        return self.session.request(
            method, url, json=body, headers=self.headers(), timeout=TIMEOUT
        )

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call Ironic's API; the reply must be a success."""
        reply = self.call(method, path, body)
        assert reply.ok, reply.text
        return reply.json() if reply.content else None

    def enrol(self, server: EmulatedServer, *, ports: int = 1, **changes: Any) -> "Node":
        """Enrol a server as a node and make it available; ``...`` leaves a property out.

        :param ports: how many ports it gets.
        :param changes: to its ``driver_info``, made once it is available.
        """
        driver_info = {
            "ilo_address": server.address,
            "client_port": server.port,
            "ilo_username": server.username,
            "ilo_password": server.read_password(),
            "ilo_verify_ca": str(server.certificate),
            "deploy_iso": self.artifacts.deploy_iso.as_uri(),
            "iscsi_portal": server.iscsi_portal,
        }
        made = self.ask("POST", "nodes", {"driver": "ilo", "driver_info": driver_info})
        node = Node(self, server, made["uuid"])
        for _ in range(ports):
            mac = f"52:54:00:22:{next(_macs):02x}:{os.getpid() % 256:02x}"
            self.ask("POST", "ports", {"node_uuid": node.uuid, "address": mac})
        for target, state in (("manage", "manageable"), ("provide", "available")):
            node.provision(target)
            node.wait(state)
        node.set("instance_info", self.artifacts.instance_info())
        for name, value in changes.items():
            node.set(f"driver_info/{name}", value)
        return node

    def stored(self, prefix: str = "") -> list[str]:
        """Name the objects in the store."""
        root = self.directory / "images" / CONTAINER
        return sorted(path.name for path in root.rglob(f"{prefix}*") if path.is_file())

    def cached_images(self, node: "Node") -> list[Path]:
        """List the instance images kept for a node."""
        directory = self.directory / "ironic/instance_images" / node.uuid
        return [path for path in directory.rglob("*") if path.is_file()]


@dataclass
class Node:
    """One enrolled node."""

    cloud: Cloud
    server: EmulatedServer
    uuid: str

    def show(self) -> dict[str, Any]:
        """Show the node."""
        shown: dict[str, Any] = self.cloud.ask("GET", f"nodes/{self.uuid}")
        return shown

    def set(self, path: str, value: Any) -> None:
        """Set a field; ``...`` removes it."""
        change = {"op": "remove"} if value is ... else {"op": "add", "value": value}
        self.cloud.ask("PATCH", f"nodes/{self.uuid}", [{"path": f"/{path}"} | change])

    def try_provision(self, target: str) -> requests.Response:
        """Ask for a provision state; the caller judges the reply."""
        return self.cloud.call("PUT", f"nodes/{self.uuid}/states/provision", {"target": target})

    def provision(self, target: str) -> None:
        """Ask for a provision state, which Ironic must accept."""
        reply = self.try_provision(target)
        assert reply.status_code == requests.codes.accepted, reply.text

    def wait(self, *states: str) -> dict[str, Any]:
        """Wait for a provision state."""
        deadline = time.monotonic() + TIMEOUT
        while (shown := self.show())["provision_state"] not in states:
            assert time.monotonic() < deadline, (shown["provision_state"], shown["last_error"])
            assert not shown["provision_state"].endswith("failed"), shown["last_error"]
            time.sleep(0.2)
        # A state is shown before the work that goes with it is done.
        while (shown := self.show())["reservation"] is not None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return shown

    def power(self, target: str) -> None:
        """Change the power, and wait until it has changed."""
        reply = self.cloud.call("PUT", f"nodes/{self.uuid}/states/power", {"target": target})
        assert reply.status_code == requests.codes.accepted, reply.text
        deadline = time.monotonic() + TIMEOUT
        while (shown := self.show())["target_power_state"] or shown["reservation"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert shown["last_error"] is None

    def emulated(self) -> dict[str, Any]:
        """Describe the emulated server behind the node."""
        return self.cloud.control.server(self.server.name)

    def read_redfish(self, path: str) -> Any:
        """Read a document of the node's iLO without a session.

        :param path: what comes after ``/redfish/v1/``.
        """
        server = self.server
        reply = requests.get(
            f"https://{server.address}:{server.port}/redfish/v1/{path}/",
            auth=(server.username, server.read_password()),
            verify=str(server.certificate),
            timeout=TIMEOUT,
        )
        assert reply.ok, reply.text
        return reply.json()

    def count_sessions(self) -> int:
        """Count the sessions that there are on the node's iLO."""
        return len(self.read_redfish("SessionService/Sessions")["Members"])

    def drives(self) -> dict[str, str | None]:
        """Tell what is in the drives."""
        return {name: drive["url"] for name, drive in self.emulated()["media"].items()}

    def boot_ramdisk(self) -> PaperRamdisk:
        """Deploy until the ramdisk runs, and be it."""
        self.provision("active")
        self.wait("wait call-back")
        return self.find_ramdisk()

    def find_ramdisk(self) -> PaperRamdisk:
        """Be the ramdisk that the server has booted."""
        url = self.drives()["FLOPPY"]
        assert url is not None
        return PaperRamdisk(read_floppy(url), self.cloud.services.api_url)

    def delete(self) -> None:
        """Remove the node, whatever its state, and turn its server off."""
        self.cloud.control.clear_faults(self.server.name)
        self.cloud.ask("PUT", f"nodes/{self.uuid}/maintenance")
        self.cloud.ask("DELETE", f"nodes/{self.uuid}")
        access = Access(
            self.server.address,
            self.server.username,
            self.server.read_password(),
            port=self.server.port,
            verify_ca=str(self.server.certificate),
        )
        with bmc.connect(access) as server:
            server.power_off()
            for device in Device:
                server.eject_media(device)


def paper_settings(
    directory: Path,
    *,
    first_address: str,
    nodes: int = 1,
    generation: str | None = None,
    boot_mode: str = LEGACY,
) -> Settings:
    """Settings of a lab whose servers are of paper."""
    return with_free_ports(
        Settings(
            directory,
            ports=Ports.any_free(),
            nodes=nodes,
            first_address=first_address,
            machine="paper",
            generation=generation,
            boot_mode=boot_mode,
        )
    )


@contextmanager
def running_servers(cloud: Cloud, settings: Settings) -> Iterator[Cloud]:
    """Run servers beside a cloud's own, such as of another generation.

    :returns: the same cloud with these servers in place of its own.
    """
    with running_emulator(settings) as emulator:
        services = replace(
            cloud.services, control_url=emulator.control_url, servers=emulator.servers
        )
        yield replace(cloud, services=services)


@contextmanager
def running_cloud(
    directory: Path,
    artifacts: Artifacts,
    *,
    first_address: str,
    options: Mapping[str, Mapping[str, object]],
    nodes: int = 1,
) -> Iterator[Cloud]:
    """Run a lab whose servers are of paper; Ironic runs with these options."""
    settings = paper_settings(directory, first_address=first_address, nodes=nodes)
    with running_services(settings, file_paths=[artifacts.directory], options=options) as services:
        yield Cloud(directory, services, artifacts)
