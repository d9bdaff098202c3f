"""Deploys leave nothing behind, whether they go well or fail."""

import os
import sys
from collections.abc import Iterator

import pytest

from tests.functional import leaks
from tests.functional.artifacts import make_artifacts
from tests.functional.fleet import (
    Course,
    FallsSilent,
    Fleet,
    NoDisk,
    NoLicense,
    NoTarget,
    running_fleet,
)

pytestmark = pytest.mark.functional

FIRST_ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.30"
OPTIONS: dict[str, dict[str, object]] = {
    "conductor": {"check_provision_state_interval": 2, "sync_power_state_interval": 5},
    "ilo": {"client_timeout": 20, "busy_timeout": 60, "reconcile_interval": 5},
}
BESIDE = {"ilo5-early": 1, "ilo5": 1, "ilo7": 2}
NODES = 8
ROUNDS = 5
FAILURES = (FallsSilent(), NoDisk(), NoTarget(), NoLicense())


@pytest.fixture
def fleet(tmp_path) -> Iterator[Fleet]:
    """Run servers of several generations: RIBCL has no sessions, and Redfish has."""
    files = tmp_path / "artifacts"
    files.mkdir()
    with running_fleet(
        tmp_path,
        make_artifacts(files, content_mib=1),
        first_address=FIRST_ADDRESS,
        nodes=NODES - sum(BESIDE.values()),
        beside=BESIDE,
        options=OPTIONS,
    ) as fleet:
        yield fleet


def test_forty_deploys_leave_nothing_behind(fleet: Fleet) -> None:
    deploy_all(fleet)  # what is shared, and kept, is there from now on
    before, memory = leaks.look_at_rest(fleet), leaks.read_memory(fleet)
    deploy_all(fleet, *FAILURES)
    for _round in range(ROUNDS - 2):
        deploy_all(fleet)
    deploy_all(fleet, *reversed(FAILURES))
    sys.stdout.write(f"MiB of memory: {memory:.0f} before, {leaks.read_memory(fleet):.0f} after\n")
    left = leaks.find_leftovers(fleet, before)
    assert not left, leaks.describe(left)
    (fleet.cloud.directory / "tmp" / "left").touch()
    assert (leaks.look(fleet) - before)["file tmp/left"] == 1
    lasting = leaks.find_everlasting(fleet)
    assert not lasting, leaks.describe(lasting)


def deploy_all(fleet: Fleet, *failures: Course) -> None:
    """Deploy all nodes at the same time; of every second one, the deploy may fail."""
    courses = {number: Course() for number in range(NODES)}
    fleet.deploy(courses | dict(zip(range(0, NODES, 2), failures, strict=False)))
