"""The services of the lab work with one another."""

import pytest
import requests

from lab.openstack import glance

pytestmark = pytest.mark.functional


def test_image_goes_through_glance_into_swift(openstack_cloud, artifacts):
    uuid = openstack_cloud.upload_image("root", artifacts.image, kernel_id="k")
    with openstack_cloud.images() as connection:
        image = connection.image.get_image(uuid)
    assert image.status == "active"
    assert image.kernel_id == "k"
    _headers, content = openstack_cloud.swift().get_object(glance.CONTAINER, uuid)
    assert content == artifacts.image.read_bytes()


def test_roles(openstack_cloud, node):
    owner = openstack_cloud.as_user("owner")
    assert owner.call("GET", f"nodes/{node.uuid}").status_code == requests.codes.not_found
    node.set("owner", owner.project_id())
    assert owner.ask("GET", f"nodes/{node.uuid}")["uuid"] == node.uuid
