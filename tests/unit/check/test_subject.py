"""What is said of a node before its iLO is looked at."""

import pytest

from ironic_ilo.check import subject
from ironic_ilo.check.findings import Status
from ironic_ilo.exception import InvalidInput
from tests.unit.nodes import make_node


@pytest.fixture
def node():
    node = make_node()
    node.name, node.driver, node.provision_state = "gen8-01", "ilo", "active"
    node.maintenance, node.maintenance_reason = False, None
    node.driver_info = {"ilo_username": "admin", "ilo_password": "hunter2"}
    return node


def test_a_node_in_order(node):
    verdict = subject.judge_node(node)
    assert verdict.status is Status.OK
    assert verdict.detail == "gen8-01, active, driver ilo"


def test_a_node_of_another_driver(node):
    node.driver = "redfish"
    verdict = subject.judge_node(node)
    assert verdict.status is Status.FAILURE
    assert "ilo and ilo5" in verdict.hint


def test_a_node_in_maintenance(node):
    node.maintenance, node.maintenance_reason = True, "new battery"
    verdict = subject.judge_node(node)
    assert verdict.status is Status.WARNING
    assert "new battery" in verdict.detail
    assert "maintenance unset" in verdict.hint


def test_driver_info_that_lacks_something(node):
    with pytest.raises(InvalidInput, match="lacks ilo_address") as refused:
        subject.read_access(node)
    assert "--driver-info" in refused.value.hint
    assert "hunter2" not in str(refused.value)
