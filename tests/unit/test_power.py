"""Where a power on boots the instance, and where it must not."""

from contextlib import nullcontext
from unittest import mock

import pytest
from ironic.common import states
from ironic.conductor.task_manager import TaskManager

from ironic_ilo import bmc, boot_iso, virtual_media
from ironic_ilo.bmc.types import Bmc, PowerState
from ironic_ilo.boot import IloVirtualMediaBoot
from ironic_ilo.power import IloPower
from ironic_ilo.shared_iso import PREFIX
from tests.unit.nodes import make_node

SERVICE = (states.SERVICING, states.SERVICEWAIT, states.SERVICEHOLD, states.SERVICEFAIL)


@pytest.fixture
def world():
    """Give a server that is off, and write down in one list what happens to it."""
    made = mock.Mock()
    made.attach_mock(mock.create_autospec(Bmc, instance=True), "ilo")
    made.ilo.get_power_state.return_value = PowerState.OFF
    with (
        mock.patch.object(bmc, "connect", autospec=True, return_value=nullcontext(made.ilo)),
        mock.patch.object(boot_iso, "attach", autospec=True) as attach,
        mock.patch.object(boot_iso, "release", autospec=True) as release,
    ):
        made.attach_mock(attach, "attach")
        made.attach_mock(release, "release")
        yield made


def make_task(state, **internal):
    node = make_node()
    node.provision_state = state
    node.driver_internal_info = internal
    node.driver_info = {
        "ilo_address": "192.0.2.9",
        "ilo_username": "Administrator",
        "ilo_password": "secret",
    }
    task = mock.create_autospec(TaskManager, instance=True)
    task.node, task.shared, task.context = node, False, mock.Mock()
    task.driver = mock.Mock()
    return task


def changes(world):
    return [call[0] for call in world.mock_calls if call[0] != "ilo.get_power_state"]


def test_active_node_boots_its_instance(world):
    task = make_task(states.ACTIVE)
    IloPower().set_power_state(task, states.POWER_ON)
    assert bmc.connect.call_count == 1
    IloPower().reboot(task)
    assert changes(world) == ["attach", "ilo.power_on", "ilo.power_off", "attach", "ilo.power_on"]


def test_running_server_is_left_alone(world):
    world.ilo.get_power_state.return_value = PowerState.ON
    IloPower().set_power_state(make_task(states.ACTIVE), states.POWER_ON)
    assert changes(world) == []


@pytest.mark.parametrize("state", SERVICE)
def test_service_without_a_ramdisk_boots_the_instance(world, state):
    IloPower().set_power_state(make_task(state, service_disable_ramdisk=True), states.POWER_ON)
    # Ironic forgets it at the end of a service, before it powers the node on.
    IloPower().set_power_state(make_task(state), states.POWER_ON)
    assert changes(world) == ["attach", "ilo.power_on"] * 2


@pytest.mark.parametrize("state", SERVICE)
def test_service_with_a_ramdisk_boots_that(world, state):
    IloPower().set_power_state(make_task(state, service_disable_ramdisk=False), states.POWER_ON)
    assert changes(world) == ["ilo.power_on"]


@pytest.mark.parametrize("state", sorted(states.ALL_STATES - {states.ACTIVE, *SERVICE}))
def test_no_other_node_boots_an_instance(world, state):
    IloPower().set_power_state(make_task(state), states.POWER_ON)
    assert changes(world) == ["ilo.power_on"]


def test_whole_disk_boots_from_itself_at_every_start(world):
    task = make_task(states.DEPLOYING, is_whole_disk_image=True)
    IloVirtualMediaBoot().prepare_instance(task)
    task.driver.management.set_boot_device.assert_called_once_with(
        task, device="disk", persistent=True
    )
    task = make_task(states.DEPLOYING, is_whole_disk_image=False)
    IloVirtualMediaBoot().prepare_instance(task)
    task.driver.management.set_boot_device.assert_not_called()


@pytest.mark.parametrize("whole_disk", [True, False])
def test_nothing_is_attached_for_a_whole_disk(whole_disk):
    task = make_task(states.ACTIVE, is_whole_disk_image=whole_disk)
    task.node.instance_info = {"boot_iso": "http://192.0.2.1/boot.iso"}
    with mock.patch.object(virtual_media, "insert_boot_media", autospec=True) as insert:
        boot_iso.attach(task, mock.sentinel.server)
    assert insert.called is not whole_disk


def test_refused_rebuild_as_a_whole_disk_leaves_the_boot_iso():
    """Ironic notes the image's type before it validates."""
    shared = f"{PREFIX}{'0' * 40}"
    task = make_task(states.ACTIVE, is_whole_disk_image=True, **{boot_iso.REFERENCE: shared})
    with (
        mock.patch.object(boot_iso, "restore", autospec=True),
        mock.patch.object(virtual_media, "insert_boot_media", autospec=True) as insert,
    ):
        boot_iso.attach(task, mock.sentinel.server)
    insert.assert_called_once_with(task, mock.sentinel.server, shared)


def test_boot_iso_is_kept_while_the_instance_makes_room(world):
    for state in (states.RESCUING, states.SERVICING):
        IloVirtualMediaBoot().clean_up_instance(make_task(state))
    assert changes(world) == []
    IloVirtualMediaBoot().clean_up_instance(make_task(states.DELETING))
    assert changes(world) == ["release"]
