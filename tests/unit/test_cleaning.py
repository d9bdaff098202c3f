"""Which clean steps run, and what is accepted of a ramdisk that erases."""

import json
from unittest import mock

import pytest
from ironic import objects
from ironic.common import exception, states
from ironic.conductor import utils as manager_utils
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF

from ironic_ilo import callback, cleaning
from ironic_ilo.deploy import IloVirtualMediaIscsiDeploy
from tests.unit.nodes import make_node

DISK = {"name": "/dev/sda", "serial": "S", "size": 5, "method": "m", "verified": "v"}


@pytest.fixture(autouse=True)
def _options():
    CONF.set_override("signing_key", "k" * 32, group="ilo")
    yield
    CONF.clear_override("signing_key", group="ilo")
    for name in ("erase_devices_priority", "erase_devices_metadata_priority"):
        CONF.clear_override(name, group="deploy")


@pytest.fixture
def node():
    """Make a node that waits for a ramdisk that was given an agent token."""
    node = make_node()
    node.provision_state = states.CLEANWAIT
    manager_utils.add_secret_token(node, pregenerated=True)
    return node


def heartbeat(node, status, **told):
    target = {"address": "192.0.2.7", "iqn": callback.get_secrets(node).target_iqn}
    return cleaning.get_heartbeat_report(node, status, json.dumps(target | told))


def call(node, **told):
    secrets = callback.get_secrets(node)
    given = {"address": "192.0.2.7", "iqn": secrets.target_iqn, "key": secrets.deploy_key}
    return cleaning.get_report(node, given | told)


@pytest.mark.parametrize(
    ("devices", "metadata", "expected"),
    [
        (None, None, {"erase_devices": 0, "erase_devices_metadata": 99}),
        (10, None, {"erase_devices": 10, "erase_devices_metadata": 0}),
        (10, 20, {"erase_devices": 10, "erase_devices_metadata": 20}),
        (0, 0, {"erase_devices": 0, "erase_devices_metadata": 0}),
    ],
)
def test_priorities_are_those_of_ironic(devices, metadata, expected):
    CONF.set_override("erase_devices_priority", devices, group="deploy")
    CONF.set_override("erase_devices_metadata_priority", metadata, group="deploy")
    steps = IloVirtualMediaIscsiDeploy().get_clean_steps(None)
    assert {step["step"]: step["priority"] for step in steps} == expected
    for step in steps:
        assert (step["interface"], step["abortable"], step["requires_ramdisk"]) == (
            "deploy",
            True,
            True,
        )


def test_heartbeats(node):
    progress = {"percent": 3}
    assert heartbeat(node, "start", progress=progress) == cleaning.Report(progress=progress)
    assert heartbeat(node, "end", erased=[DISK]) == cleaning.Report(erased=[DISK])
    assert cleaning.get_heartbeat_report(node, "error", "why") == cleaning.Report(error="why")
    assert "new deploy ISO" in heartbeat(node, "end").error


def test_error_of_pass_deploy_info(node):
    assert call(node, error="why", disks=[], address="") == cleaning.Report(error="why")


def test_pass_deploy_info_may_have_text(node):
    assert call(node, erased=json.dumps([DISK])).erased == [DISK]
    assert call(node, progress='{"percent": 1}').progress == {"percent": 1}


@pytest.mark.parametrize(
    "told",
    [
        {"erased": []},
        {"erased": [DISK | {"size": "5"}]},
        {"erased": [DISK | {"other": 1}]},
        {"erased": ["/dev/sda"]},
        {"erased": {"name": "/dev/sda"}},
        {"erased": "["},
        {"erased": "[" * 60000},
        {"erased": [DISK] * 2000},
        {"progress": {"other": 1}},
        {"progress": 5},
        {"progress": {"percent": float("nan")}},
        {"progress": '{"percent": Infinity}'},
        {"progress": '{"disks": "%s"}' % (chr(228) * 6000)},
    ],
    ids=lambda told: str(told)[:40],
)
def test_what_proves_nothing_is_refused(node, told):
    with pytest.raises(exception.InvalidParameterValue, match="is refused"):
        call(node, **told)
    with pytest.raises(exception.InvalidParameterValue, match="is refused"):
        heartbeat(node, "end", **told)


def test_proof_ends_when_its_step_runs_again(node):
    proofs = {"erase_devices": {}, "erase_devices_metadata": {"disks": [DISK]}}
    node.set_driver_internal_info(cleaning.ERASED_DISKS, proofs)
    with (
        mock.patch.object(cleaning, "ramdisk", autospec=True) as ramdisk,
        mock.patch.object(cleaning, "manager_utils", autospec=True),
        mock.patch.object(cleaning.callback, "check_token", autospec=True),
        mock.patch.object(objects.Node, "save", autospec=True),
    ):
        task = mock.create_autospec(TaskManager, instance=True)
        task.node, task.shared, task.context = node, False, mock.Mock()
        node.clean_step = {"step": "erase_devices"}
        result = IloVirtualMediaIscsiDeploy().erase_devices(task)
    assert result == states.CLEANWAIT
    ramdisk.boot.assert_called_once_with(task, callback.RamdiskAction.ERASE_DEVICES)
    assert node.driver_internal_info[cleaning.ERASED_DISKS] == {
        "erase_devices_metadata": {"disks": [DISK]}
    }
    assert node.driver_internal_info["skip_current_clean_step"] is False
