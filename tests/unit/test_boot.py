"""The boot interface under a running instance, and what it tells Ironic of itself."""

from contextlib import nullcontext
from unittest import mock

import pytest
from ironic.common import exception, states
from ironic.conductor import utils as manager_utils
from ironic.conductor.task_manager import TaskManager

from ironic_ilo import bmc, boot_iso, boot_mode, ramdisk, virtual_media
from ironic_ilo.bmc.types import Bmc, MediaStatus
from ironic_ilo.boot import IloVirtualMediaBoot
from tests.unit.nodes import make_node

EMPTY = MediaStatus(inserted=False, connected=False, boot_once=False)


@pytest.fixture
def world():
    """Give an iLO, and the rest that an instance is prepared with."""
    made = mock.Mock()
    made.attach_mock(mock.create_autospec(Bmc, instance=True), "ilo")
    made.ilo.get_media_status.return_value = EMPTY
    patched = {
        "attach": mock.patch.object(boot_iso, "attach", autospec=True),
        "secure_boot": mock.patch.object(boot_mode, "enable_secure_boot", autospec=True),
        "remove_floppy": mock.patch.object(
            virtual_media, "cleanup_virtual_media_boot", autospec=True
        ),
    }
    with mock.patch.object(bmc, "connect", autospec=True, return_value=nullcontext(made.ilo)):
        for name, patch in patched.items():
            made.attach_mock(patch.start(), name)
        yield made
    mock.patch.stopall()


def make_task(state, deploy_interface, **driver_info):
    node = make_node()
    node.provision_state = state
    node.deploy_interface, node.last_error = deploy_interface, None
    node.driver_info = {
        "ilo_address": "192.0.2.9",
        "ilo_username": "Administrator",
        "ilo_password": "secret",
    } | driver_info
    task = mock.create_autospec(TaskManager, instance=True)
    task.node, task.shared, task.context = node, False, mock.Mock()
    task.driver = mock.Mock()
    task.driver.management.get_boot_mode.return_value = "bios"
    return task


@pytest.mark.parametrize("state", [states.ACTIVE, states.ADOPTING])
@pytest.mark.parametrize("deploy_interface", ["direct", "ramdisk", "ilo-iscsi"])
def test_nothing_changes_under_a_running_instance(world, state, deploy_interface):
    """A conductor that takes a node over calls this, too."""
    task = make_task(state, deploy_interface)
    IloVirtualMediaBoot().prepare_instance(task)
    assert world.mock_calls == []
    task.driver.management.set_boot_device.assert_not_called()


def test_what_the_agent_wrote_boots_from_the_disk(world):
    task = make_task(states.DEPLOYING, "direct")
    with mock.patch.object(type(task.node), "save", autospec=True):
        IloVirtualMediaBoot().prepare_instance(task)
    task.driver.management.set_boot_device.assert_called_once_with(
        task, device="disk", persistent=True
    )
    assert world.ilo.eject_media.call_count == 2
    assert world.remove_floppy.called


def test_secure_boot_returns_after_a_rescue(world):
    IloVirtualMediaBoot().prepare_instance(make_task(states.DEPLOYING, "ilo-iscsi"))
    assert not world.secure_boot.called
    IloVirtualMediaBoot().prepare_instance(make_task(states.UNRESCUING, "ilo-iscsi"))
    assert world.secure_boot.called


def test_empty_drives_are_no_reason_to_power_off(world):
    """Ironic calls this after every failed inspection."""
    IloVirtualMediaBoot().clean_up_ramdisk(make_task(states.INSPECTING, "direct"))
    assert not world.ilo.eject_media.called
    assert not world.ilo.power_off.called


def test_what_an_agent_leaves_is_cleaned_up(world):
    """Its drives may be empty by now."""
    task = make_task(states.DEPLOYFAIL, "direct")
    task.node.last_error = "cosmic rays"
    task.node.driver_internal_info = {ramdisk.SERVER_IN_USE: True}
    with (
        mock.patch.object(type(task.node), "save", autospec=True),
        mock.patch.object(manager_utils, "node_power_action", autospec=True) as power,
    ):
        IloVirtualMediaBoot().clean_up_ramdisk(task)
    assert power.call_args.args[1] == states.POWER_OFF
    assert world.ilo.eject_media.call_count == 2
    assert task.node.driver_internal_info == {}
    assert task.node.last_error == "cosmic rays"


def test_a_rescue_goes_on_without_media(world):
    """Even where Ironic would keep an agent for its next task (fast track)."""
    task = make_task(states.RESCUING, "direct")
    task.node.driver_internal_info = {ramdisk.SERVER_IN_USE: True}
    with (
        mock.patch.object(type(task.node), "save", autospec=True),
        mock.patch.object(manager_utils, "is_fast_track", autospec=True, return_value=True),
        mock.patch.object(manager_utils, "node_power_action", autospec=True) as power,
    ):
        IloVirtualMediaBoot().clean_up_ramdisk(task)
    assert not power.called
    assert world.ilo.eject_media.call_count == 2
    assert world.remove_floppy.called
    assert task.node.driver_internal_info == {}


def test_no_ramdisk_is_prepared_in_a_take_over(world):
    task = make_task(states.RESCUE, "direct", rescue_iso="http://192.0.2.1/rescue.iso")
    IloVirtualMediaBoot().prepare_ramdisk(task, {"ipa-api-url": "http://192.0.2.1:6385"})
    assert world.mock_calls == []


@pytest.mark.parametrize(
    ("iso", "error"),
    [
        (None, exception.MissingParameterValue),
        ("ftp://192.0.2.1/rescue.iso", exception.InvalidParameterValue),
    ],
)
def test_rescue_needs_an_iso(iso, error):
    task = make_task(states.ACTIVE, "direct", **({"rescue_iso": iso} if iso else {}))
    with pytest.raises(error, match="rescue_iso"):
        IloVirtualMediaBoot().validate_rescue(task)


def test_where_ironic_may_publish(configure):
    configure("use_web_server_for_images", False, "ilo")
    configure("deploy_helper_images_ttl", 7, "ilo")
    settings = IloVirtualMediaBoot().image_publisher_settings
    assert settings.swift_enabled
    assert (settings.container, settings.timeout) == ("ironic_ilo_container", 420)
    configure("use_web_server_for_images", True, "ilo")
    assert not IloVirtualMediaBoot().image_publisher_settings.swift_enabled
    assert "ramdisk_boot" in IloVirtualMediaBoot.capabilities
