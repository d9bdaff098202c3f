"""Booting from virtual media: what comes after what."""

from contextlib import nullcontext
from types import SimpleNamespace
from unittest import mock

import pytest

from ironic_ilo import bmc, publisher, virtual_media
from ironic_ilo.bmc.types import Bmc, BootDevice, Device, MediaStatus
from ironic_ilo.exception import BmcFeatureMissing, BmcUnreachable
from ironic_ilo.ironic_errors import IloOperationError
from ironic_ilo.object_store import ObjectStore
from tests.unit.nodes import UUID, make_node

ISO = "http://192.0.2.1/deploy.iso"
URL = "https://192.0.2.1/floppy.img"
NAME = "ironic_ilo_container/image-1/1795350000"
TTL = 600


@pytest.fixture
def world():
    """Give an iLO and a store that write down in one list what is asked of them."""
    made = mock.Mock()
    made.attach_mock(mock.create_autospec(Bmc, instance=True), "ilo")
    made.attach_mock(mock.create_autospec(ObjectStore, instance=True), "store")
    made.store.get_tmp_url.return_value = URL
    made.store.name_url.side_effect = {URL: NAME}.get
    with (
        mock.patch.object(bmc, "connect", autospec=True, return_value=nullcontext(made.ilo)),
        mock.patch.object(publisher, "get_object_store", autospec=True, return_value=made.store),
        mock.patch.object(virtual_media.images, "create_vfat_image", autospec=True) as create,
    ):
        made.attach_mock(create, "create_vfat_image")
        yield made


@pytest.fixture
def task():
    node = make_node()
    node.driver_info = {
        "ilo_address": "192.0.2.9",
        "ilo_username": "Administrator",
        "ilo_password": "secret",
    }
    return SimpleNamespace(node=node, context=None)


def test_with_parameters(world, task):
    named = virtual_media.setup_virtual_media_boot(
        task, ISO, {"key": "value"}, {"file": b"content"}
    )
    floppy = ("ironic_ilo_container", f"image-{UUID}")
    # The ISO is on somebody else's web server.
    assert named == (NAME,)
    assert world.mock_calls == [
        mock.call.ilo.check_virtual_media(),
        mock.call.create_vfat_image(
            mock.ANY, parameters={"key": "value"}, files={"file": b"content"}
        ),
        mock.call.store.upload_object(*floppy, mock.ANY, delete_after=TTL),
        mock.call.store.get_tmp_url(*floppy, TTL, suffix=".img"),
        mock.call.ilo.insert_media(Device.FLOPPY, URL),
        mock.call.ilo.insert_media(Device.CDROM, ISO),
        mock.call.ilo.set_one_time_boot(BootDevice.CDROM),
        mock.call.store.name_url(URL),
        mock.call.store.name_url(ISO),
    ]


def test_without_parameters(world, task):
    assert virtual_media.setup_virtual_media_boot(task, ISO) == ()
    assert world.mock_calls == [
        mock.call.ilo.check_virtual_media(),
        mock.call.ilo.eject_media(Device.FLOPPY),
        mock.call.ilo.insert_media(Device.CDROM, ISO),
        mock.call.ilo.set_one_time_boot(BootDevice.CDROM),
        mock.call.store.name_url(ISO),
    ]


def test_without_the_feature(world, task):
    world.ilo.check_virtual_media.side_effect = BmcFeatureMissing("No licence")
    with pytest.raises(IloOperationError, match="No licence"):
        virtual_media.setup_virtual_media_boot(task, ISO, {"key": "value"})
    assert world.mock_calls == [mock.call.ilo.check_virtual_media()]


def test_clean_up(world, task):
    virtual_media.cleanup_virtual_media_boot(task)
    assert world.mock_calls == [
        mock.call.store.delete_object("ironic_ilo_container", f"image-{UUID}")
    ]


def test_drives_are_described_without_the_urls(world, task):
    world.ilo.get_media_status.side_effect = {
        Device.FLOPPY: MediaStatus(inserted=False, connected=False, boot_once=False),
        Device.CDROM: MediaStatus(inserted=True, connected=False, boot_once=True, url=URL),
    }.get
    described = virtual_media.describe_drives(task)
    assert described == "FLOPPY is empty, CDROM is inserted and not connected"


def test_drives_of_an_ilo_that_does_not_answer(world, task):
    world.ilo.get_media_status.side_effect = BmcUnreachable("iLO 192.0.2.9: no answer")
    assert "iLO 192.0.2.9: no answer" in virtual_media.describe_drives(task)
