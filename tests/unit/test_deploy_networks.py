"""When a deploy asks Ironic's network interface for which network."""

from types import SimpleNamespace
from unittest import mock

import pytest
from ironic.common import context, exception
from ironic.conductor import task_manager
from ironic.drivers import base

from ironic_ilo import deploy
from tests.unit.nodes import make_node


@pytest.fixture
def task():
    """Make a task with a network interface that notes what it is asked for."""
    network = mock.create_autospec(base.NetworkInterface, instance=True, spec_set=True)
    network.need_power_on.return_value = False
    task = mock.create_autospec(task_manager.TaskManager, instance=True)
    task.node, task.ports, task.shared = make_node(), [], False
    task.context = context.get_admin_context()
    task.driver = SimpleNamespace(network=network)
    return task


def asked(task):
    calls = [call[0] for call in task.driver.network.method_calls]
    return [name for name in calls if name != "need_power_on"]


@pytest.fixture(autouse=True)
def _no_power(monkeypatch, task):
    manager_utils = deploy.manager_utils
    monkeypatch.setattr(manager_utils, "node_power_action", lambda task, state: None)
    monkeypatch.setattr(deploy.virtual_media, "eject_virtual_media", lambda task: None)
    monkeypatch.setattr(type(task.node), "save", lambda self: None)


def test_instance_gets_the_tenants_networks(task):
    deploy.IloVirtualMediaIscsiDeploy().switch_to_tenant_network(task)
    assert asked(task) == ["remove_provisioning_network", "configure_tenant_networks"]


def test_tear_down_leaves_none(task):
    deploy.IloVirtualMediaIscsiDeploy().tear_down(task)
    assert asked(task) == ["unconfigure_tenant_networks", "remove_provisioning_network"]


def test_network_that_cannot_work_is_found_before_the_ilo_is_asked(task, monkeypatch):
    """With flat, and Neutron absent, it is the validation that fails."""
    monkeypatch.setattr(
        deploy.virtual_media, "check_virtual_media", mock.Mock(side_effect=AssertionError)
    )
    task.driver.network.validate.side_effect = exception.NetworkError("no Neutron")
    with pytest.raises(exception.NetworkError, match="no Neutron"):
        deploy.IloVirtualMediaIscsiDeploy().deploy(task)
    assert asked(task) == ["validate"]
