"""One lab for all tests here: real Keystone, Glance, Swift and Ironic, and servers of paper."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.services import running_services
from lab.settings import OPENSTACK, Ports, Settings, with_free_ports
from tests.functional.conftest import DISK_MIB, MIB, OPTIONS
from tests.functional.openstack.cloud import OpenStackCloud

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


@pytest.fixture(scope="package")
def cloud(openstack_cloud) -> OpenStackCloud:
    """Let the fixtures of all functional tests work in this lab."""
    return openstack_cloud


@pytest.fixture
def disk(tmp_path) -> Path:
    """Make an empty disk: what a deploy does to a full one is tested elsewhere."""
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(DISK_MIB * MIB)
    return path
