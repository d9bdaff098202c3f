"""What Ironic's agent gets on its floppy, and from which ISO it boots."""

from unittest import mock

import pytest
from ironic.common import exception, states
from ironic.conductor import utils as manager_utils
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.drivers.modules import boot_mode_utils
from oslo_log import log as logging

from ironic_ilo import agent_ramdisk, boot_mode, virtual_media
from tests.unit.nodes import make_node

GIVEN = {"ipa-api-url": "http://192.0.2.1:6385"}
ISOS = {
    "deploy_iso": "http://192.0.2.1/deploy.iso",
    "rescue_iso": "http://192.0.2.1/rescue.iso",
}


@pytest.fixture
def world():
    """Write down, in one list, what happens to the server."""
    logging.register_options(CONF)  # as every service does
    made = mock.Mock()
    patched = {
        "power": mock.patch.object(manager_utils, "node_power_action", autospec=True),
        "suspend": mock.patch.object(boot_mode, "suspend_secure_boot", autospec=True),
        "sync": mock.patch.object(boot_mode_utils, "sync_boot_mode", autospec=True),
        "attach": mock.patch.object(virtual_media, "setup_virtual_media_boot", autospec=True),
    }
    for name, patch in patched.items():
        made.attach_mock(patch.start(), name)
    yield made
    mock.patch.stopall()


def make_task(state, **driver_info):
    node = make_node()
    node.provision_state, node.last_error = state, None
    node.driver_info = ISOS | driver_info
    task = mock.create_autospec(TaskManager, instance=True)
    task.node, task.shared, task.context, task.ports = node, False, mock.Mock(), []
    task.driver = mock.Mock()
    return task


def prepare(task):
    with mock.patch.object(type(task.node), "save", autospec=True):
        agent_ramdisk.prepare(task, GIVEN)


def attached(world):
    """Give the ISO, and the parameters on the floppy."""
    return world.attach.call_args.args[1:]


def test_the_server_is_off_before_anything_changes(world):
    prepare(make_task(states.DEPLOYING))
    assert [call[0] for call in world.mock_calls] == ["power", "suspend", "sync", "attach"]
    assert world.power.call_args.args[1] == states.POWER_OFF


def test_the_token_is_on_the_floppy_alone(world):
    task = make_task(states.DEPLOYING)
    prepare(task)
    _iso, parameters = attached(world)
    token = task.node.driver_internal_info["agent_secret_token"]
    assert task.node.driver_internal_info["agent_secret_token_pregenerated"]
    assert parameters == GIVEN | {"boot_method": "vmedia", "ipa-agent-token": token}
    prepare(task)
    assert attached(world)[1]["ipa-agent-token"] != token
    assert "ipa-agent-token" not in GIVEN


def test_debugging_reaches_the_agent(world, configure):
    configure("debug", True)
    prepare(make_task(states.CLEANING))
    assert attached(world)[1]["ipa-debug"] == "1"


@pytest.mark.parametrize(
    ("state", "iso"),
    [
        (states.DEPLOYING, "deploy_iso"),
        (states.CLEANING, "deploy_iso"),
        (states.SERVICING, "deploy_iso"),
        (states.RESCUING, "rescue_iso"),
    ],
)
def test_which_iso(world, state, iso):
    prepare(make_task(state))
    assert attached(world)[0] == ISOS[iso]


@pytest.mark.parametrize(
    ("state", "iso"), [(states.DEPLOYING, "deploy_iso"), (states.RESCUING, "rescue_iso")]
)
def test_an_iso_that_is_missing_leaves_the_server_alone(world, state, iso):
    with pytest.raises(exception.MissingParameterValue, match=iso):
        prepare(make_task(state, **{iso: None}))
    assert world.mock_calls == []


def test_an_agent_that_runs_is_left_alone(world):
    with mock.patch.object(manager_utils, "is_fast_track", autospec=True, return_value=True):
        prepare(make_task(states.DEPLOYING))
    assert world.mock_calls == []
