"""One lab for all tests here: real Keystone, Glance, Swift and Ironic, and servers of paper."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.services import running_services
from lab.settings import OPENSTACK, Ports, Settings, with_free_ports
from tests.functional.cloud import Node
from tests.functional.conftest import DISK_MIB, MIB, OPTIONS, TGT_CONTROL_PORT
from tests.functional.openstack.cloud import OpenStackCloud
from tests.tgt import Tgtd, start_tgtd

FIRST_ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.50"


@pytest.fixture(scope="package")
def openstack_cloud(tmp_path_factory, artifacts) -> Iterator[OpenStackCloud]:
    """Run the lab; act as its administrator."""
    settings = with_free_ports(
        Settings(
            tmp_path_factory.mktemp("openstack"),
            ports=Ports.any_free(),
            nodes=2,
            first_address=FIRST_ADDRESS,
            machine="paper",
            services=OPENSTACK,
        )
    )
    with running_services(settings, file_paths=[artifacts.directory], options=OPTIONS) as services:
        yield OpenStackCloud(settings.directory, services, artifacts)


@pytest.fixture
def enrol(openstack_cloud):
    """Enrol the first server, or another; all is removed again."""
    nodes: list[Node] = []

    def enrol_server(number: int = 0, **options) -> Node:
        server = openstack_cloud.services.servers[f"node-{number}"]
        nodes.append(openstack_cloud.enrol(server, **options))
        return nodes[-1]

    yield enrol_server
    for node in nodes:
        node.delete()


@pytest.fixture
def node(enrol) -> Node:
    """Enrol one server, ready to be deployed."""
    return enrol()


@pytest.fixture
def tgtd(openstack_cloud) -> Iterator[Tgtd]:
    """Run an iSCSI target where the first server's is expected."""
    portal = openstack_cloud.services.servers["node-0"].iscsi_portal
    with start_tgtd(portal, TGT_CONTROL_PORT) as running:
        yield running


@pytest.fixture
def disk(tmp_path) -> Path:
    """Make an empty disk: what a deploy does to a full one is tested elsewhere."""
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(DISK_MIB * MIB)
    return path
