"""Booting a ramdisk anew whose first boot came to nothing."""

from types import SimpleNamespace
from unittest import mock

import pytest
from ironic import objects
from ironic.common import context, exception, states
from ironic.conductor import utils as manager_utils

from ironic_ilo import boot_proof, callback, ramdisk, virtual_media
from ironic_ilo.boot_proof import Boot
from ironic_ilo.callback import RamdiskAction
from tests.unit.nodes import make_node

URLS = ("container/image-1/1",)


@pytest.fixture(autouse=True)
def _configured(configure):
    configure("signing_key", "k" * 32, "ilo")
    configure("endpoint_override", "http://192.0.2.1:6385", "service_catalog")


@pytest.fixture
def done():
    """Write down what is done to the server."""
    steps = []
    with (
        mock.patch.object(manager_utils, "node_power_action", autospec=True) as power,
        mock.patch.object(virtual_media, "eject_virtual_media", autospec=True) as eject,
        mock.patch.object(objects.Node, "save", autospec=True),
        mock.patch.object(objects.Node, "touch_provisioning", autospec=True) as touch,
    ):
        power.side_effect = lambda _task, state: steps.append(state)
        eject.side_effect = lambda _task: steps.append("eject")
        touch.side_effect = lambda _node: steps.append("touch")
        yield steps


@pytest.fixture
def task(done):
    """Give a task of Ironic's own, which no request is behind."""
    node = make_node()
    boot_proof.begin(node)

    def prepare_ramdisk(_task, parameters, _files):
        done.append(parameters)
        boot_proof.note_media(node, URLS)

    driver = SimpleNamespace(
        boot=SimpleNamespace(prepare_ramdisk=prepare_ramdisk),
        network=SimpleNamespace(get_node_network_data=lambda _task: {}),
    )
    return SimpleNamespace(node=node, context=context.get_admin_context(), driver=driver)


def test_is_done_with_the_same_secrets_on_a_server_that_is_off(task, done):
    secrets = callback.get_secrets(task.node)
    ramdisk.boot_again(task, RamdiskAction.ERASE_DEVICES)
    off, eject, parameters, on, touch = done
    assert (off, eject, on, touch) == (states.POWER_OFF, "eject", states.POWER_ON, "touch")
    assert parameters["action"] == "erase_devices"
    assert parameters["deployment_key"] == secrets.deploy_key
    assert parameters["iscsi_chap_secret"] == secrets.chap_secret
    boot = boot_proof.read(task.node)
    assert (boot.attempt, boot.urls) == (2, URLS)
    assert boot.powered_on_at is not None


def test_a_token_that_nobody_kept_is_missed_before_the_server_is_touched(task, done, configure):
    configure("auth_strategy", "keystone")
    configure("ramdisk_callback", "pass_deploy_info", "ilo")
    with pytest.raises(exception.InvalidParameterValue, match="came without a Keystone token"):
        ramdisk.boot_again(task, RamdiskAction.DEPLOY)
    assert done == []


def test_that_it_is_the_second_is_known_before_the_server_is_touched(task):
    manager_utils.node_power_action.side_effect = OSError("killed")
    with pytest.raises(OSError, match="killed"):
        ramdisk.boot_again(task, RamdiskAction.DEPLOY)
    assert boot_proof.read(task.node) == Boot(2)
