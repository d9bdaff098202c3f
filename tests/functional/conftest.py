"""One lab for all functional tests: a real Ironic, and emulated servers of paper."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.artifacts import MIB, make_artifacts
from tests.functional.cloud import Artifacts, Cloud, Node, running_cloud
from tests.tgt import Tgtd, start_tgtd

# Apart from another run of these tests on the same machine.
FIRST_ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.10"
TGT_CONTROL_PORT = 6010
# A little more than swap and root take.
DISK_MIB = 1100
# Of Ironic, in the labs of these tests.
OPTIONS = {
    "DEFAULT": {"debug": True},
    "conductor": {
        "deploy_callback_timeout": 60,
        "check_provision_state_interval": 2,
        # Nodes come and go here; one that is half removed must not be powered on again.
        "sync_power_state_interval": 0,
    },
    "ilo": {"client_timeout": 20, "busy_timeout": 60},
}


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory) -> Artifacts:
    """Make something to deploy."""
    return make_artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="package")
def cloud(tmp_path_factory, artifacts) -> Iterator[Cloud]:
    """Run the lab."""
    with running_cloud(
        tmp_path_factory.mktemp("cloud"),
        artifacts,
        nodes=2,
        first_address=FIRST_ADDRESS,
        options=OPTIONS,
    ) as cloud:
        yield cloud


@pytest.fixture
def enrol(cloud):
    """Enrol the first server, or another; all is removed again."""
    nodes: list[Node] = []

    def enrol_server(number: int = 0, **options) -> Node:
        server = cloud.services.servers[f"node-{number}"]
        nodes.append(cloud.enrol(server, **options))
        return nodes[-1]

    yield enrol_server
    for node in nodes:
        node.delete()


@pytest.fixture
def node(enrol) -> Node:
    """Enrol one server, ready to be deployed."""
    return enrol()


@pytest.fixture
def tgtd(cloud) -> Iterator[Tgtd]:
    """Run an iSCSI target where the first server's is expected."""
    with start_tgtd(cloud.services.servers["node-0"].iscsi_portal, TGT_CONTROL_PORT) as running:
        yield running


@pytest.fixture
def disk(tmp_path) -> Path:
    """Make a disk, full of what a former tenant left."""
    path = tmp_path / "disk"
    garbage = secrets.token_bytes(MIB)
    with path.open("wb") as file:
        for _ in range(DISK_MIB):
            file.write(garbage)
    return path
