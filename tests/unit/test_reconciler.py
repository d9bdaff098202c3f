"""When conductors reconcile, and which nodes they leave alone."""

from types import SimpleNamespace
from unittest import mock

import pytest
from futurist import periodics
from ironic.common import faults, states
from ironic.conductor import periodics as conductor_periodics
from ironic.conf import CONF

from ironic_ilo import boot_iso, callback, cleaning, ramdisk, reconciler
from ironic_ilo.boot import IloVirtualMediaBoot
from tests.unit.nodes import make_node

LEFTOVERS = (ramdisk.SERVER_IN_USE, callback.NONCE, boot_iso.REFERENCE, cleaning.CLEANING_NETWORK)
IDLE = {
    states.ENROLL,
    states.MANAGEABLE,
    states.AVAILABLE,
    states.DEPLOYFAIL,
    states.ERROR,
    states.CLEANFAIL,
    states.INSPECTFAIL,
}


@pytest.fixture(autouse=True)
def _options():
    yield
    for name in ("reconcile_interval", "boot_iso_grace"):
        CONF.clear_override(name, group="ilo")


def clean_up(state, leftover, *, maintenance=False, fault=None):
    """Let a conductor look at a node that it has just locked; say whether it cleaned up."""
    node = make_node()
    node.provision_state, node.maintenance, node.fault = state, maintenance, fault
    node.driver_internal_info = {leftover: "something"} if leftover else {}
    task = SimpleNamespace(
        node=node, driver=mock.Mock(), spawn_after=lambda _spawn, run, *given: run(*given)
    )
    task.driver.boot = IloVirtualMediaBoot()
    manager = mock.Mock()
    manager.iter_nodes.return_value = [
        (node.uuid, "ilo", "", node.driver_internal_info, maintenance, fault)
    ]
    with mock.patch.object(conductor_periodics.task_manager, "acquire", autospec=True) as acquire:
        acquire.return_value.__enter__.return_value = task
        task.driver.boot.clean_up_failed_deploys(manager, mock.Mock())
    return task.driver.deploy.clean_up.called


def test_ironic_finds_the_tasks():
    boot = IloVirtualMediaBoot()
    CONF.set_override("reconcile_interval", 7, group="ilo")
    for run in (boot.clean_up_failed_deploys, boot.tidy_up):
        assert periodics.is_periodic(run)
        conductor_periodics.refresh_periodic_attributes(run)
        assert run._periodic_spacing == 7
        assert run._is_periodic


def test_boot_isos_are_looked_at_twice_in_their_grace_time():
    CONF.set_override("reconcile_interval", 600, group="ilo")
    CONF.set_override("boot_iso_grace", 100, group="ilo")
    assert reconciler.reconcile_interval() == 50


@pytest.mark.parametrize("state", sorted(states.ALL_STATES))
@pytest.mark.parametrize("leftover", LEFTOVERS)
def test_only_idle_nodes_are_cleaned_up(state, leftover):
    assert clean_up(state, leftover) == (state in IDLE)


def test_nodes_without_leftovers_or_in_maintenance_are_left_alone():
    assert not clean_up(states.DEPLOYFAIL, None)
    assert not clean_up(states.DEPLOYFAIL, ramdisk.SERVER_IN_USE, maintenance=True)


def test_maintenance_that_a_failed_clean_step_asked_for_is_no_reason_to_wait():
    options = {"maintenance": True, "fault": faults.CLEAN_FAILURE}
    assert clean_up(states.CLEANFAIL, ramdisk.SERVER_IN_USE, **options)
