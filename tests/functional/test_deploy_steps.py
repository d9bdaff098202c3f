"""Deploy steps of somebody else's, before, between and after ours."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.cloud import Cloud, running_cloud
from tests.functional.conftest import OPTIONS

pytestmark = pytest.mark.functional

FIRST_ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.130"

# Each notes how far our steps were when it ran, and whether the ramdisk may still offer the disk.
MODULE = """
from ironic.drivers import base
from ironic_ilo.hardware import IloHardware
from ironic_ilo.management import IloManagement
from ironic_ilo.timeline import TIMELINE


def note(task, step):
    marks = task.node.driver_internal_info.get(TIMELINE) or [{"stage": None}]
    seen = [marks[-1]["stage"], task.node.power_state]
    task.node.extra = task.node.extra | {step: seen}
    task.node.save()


class StepsManagement(IloManagement):
    @base.deploy_step(priority=110)
    def first(self, task):
        note(task, "first")

    @base.deploy_step(priority=90)
    def before_writing(self, task):
        note(task, "before_writing")

    @base.deploy_step(priority=70)
    def after_writing(self, task):
        note(task, "after_writing")

    @base.deploy_step(priority=10)
    def last(self, task):
        note(task, "last")


class StepsHardware(IloHardware):
    @property
    def supported_management_interfaces(self):
        return [StepsManagement]
"""
ENTRY_POINTS = """
[ironic.hardware.types]
ilo-steps = ilo_steps:StepsHardware

[ironic.hardware.interfaces.management]
ilo-steps = ilo_steps:StepsManagement
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory) -> Path:
    """Make a driver package, as somebody else's that is installed beside ours."""
    directory = tmp_path_factory.mktemp("plugin")
    (directory / "ilo_steps.py").write_text(MODULE)
    metadata = directory / "ilo_steps-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ilo-steps\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    return directory


@pytest.fixture(scope="module")
def cloud(plugin, tmp_path_factory, artifacts) -> Iterator[Cloud]:
    """Run a lab with that package."""
    options = OPTIONS | {
        "DEFAULT": {
            "enabled_hardware_types": "ilo,ilo5,ilo-steps",
            "enabled_management_interfaces": "ilo,ilo-steps",
        }
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(plugin), prepend=os.pathsep)
        directory = tmp_path_factory.mktemp("steps")
        with running_cloud(
            directory, artifacts, first_address=FIRST_ADDRESS, options=options
        ) as cloud:
            yield cloud


def test_other_steps_run_before_between_and_after_ours(cloud, node, tgtd, disk):
    changes = [
        {"op": "replace", "path": "/driver", "value": "ilo-steps"},
        {"op": "replace", "path": "/management_interface", "value": "ilo-steps"},
    ]
    cloud.ask("PATCH", f"nodes/{node.uuid}", changes)
    ramdisk = node.boot_ramdisk()
    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().ok
    assert node.wait("active")["extra"] == {
        "first": [None, "power off"],
        "before_writing": ["ramdisk", "power on"],
        "after_writing": ["write", "power off"],
        "last": ["active", "power on"],
    }
