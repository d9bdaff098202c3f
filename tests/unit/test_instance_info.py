"""What is accepted of instance_info."""

import pytest
from ironic.common import exception

from ironic_ilo import instance_image, instance_info
from tests.unit.nodes import make_node


def test_instance_info_is_read():
    info = instance_info.parse_instance_info(make_node(swap_mb="512", image_disk_format="qcow2"))
    assert info == instance_info.InstanceInfo(
        "http://192.0.2.1/image.qcow2", root_mib=4096, swap_mib=512, image_format="qcow2"
    )


@pytest.mark.parametrize("name", ["image_source", "root_gb", "image_checksum"])
def test_missing_instance_info_is_named(name):
    with pytest.raises(exception.MissingParameterValue, match=name):
        instance_info.parse_instance_info(make_node(**{name: ...}))


def test_file_needs_no_checksum():
    node = make_node(image_source="file:///srv/image.raw", image_checksum=...)
    assert instance_info.parse_instance_info(node).image_format is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("root_gb", 0),
        ("root_gb", "many"),
        ("swap_mb", -1),
        ("image_disk_format", "vmdk"),
        ("ephemeral_gb", 1),
        ("configdrive", "SGVsbG8="),
        ("preserve_ephemeral", True),
    ],
)
def test_bad_or_unsupported_instance_info_is_named(name, value):
    with pytest.raises(exception.InvalidParameterValue, match=name):
        instance_info.parse_instance_info(make_node(**{name: value}))


def test_whole_disk_image_is_refused():
    node = make_node()
    node.set_driver_internal_info("is_whole_disk_image", True)
    with pytest.raises(exception.InvalidParameterValue, match="whole-disk"):
        instance_info.parse_instance_info(node)


@pytest.mark.parametrize(
    ("size", "fits"), [(0, True), (4 << 30, True), ((4 << 30) + 1, False), (1 << 40, False)]
)
def test_image_size_is_held_against_root_gb(size, fits):
    if fits:
        instance_image.check_image_size(make_node(), size)
    else:
        with pytest.raises(exception.InvalidParameterValue, match="raise root_gb"):
            instance_image.check_image_size(make_node(), size)
