"""What is accepted of instance_info."""

import pytest
from ironic.common import exception
from ironic.conf import CONF

from ironic_ilo import instance_image, instance_info
from ironic_ilo.file_systems import FileSystemType
from ironic_ilo.partitions import Label
from tests.unit.nodes import make_node


def test_instance_info_is_read():
    node = make_node(
        swap_mb="512",
        ephemeral_gb="2",
        ephemeral_format="xfs",
        image_disk_format="qcow2",
        preserve_ephemeral="True",
    )
    assert instance_info.parse_instance_info(node) == instance_info.InstanceInfo(
        "http://192.0.2.1/image.qcow2",
        whole_disk=False,
        root_mib=4096,
        swap_mib=512,
        ephemeral_mib=2048,
        image_format="qcow2",
        ephemeral_format=FileSystemType.XFS,
        preserve_ephemeral=True,
        disk_label=None,
    )


def test_what_nova_leaves_out_has_ironics_defaults():
    info = instance_info.parse_instance_info(make_node(ephemeral_gb=1))
    assert info.ephemeral_format is FileSystemType.EXT4
    assert (info.swap_mib, info.preserve_ephemeral) == (0, False)


def test_the_default_ephemeral_format_is_ironics(request):
    CONF.set_override("default_ephemeral_format", "xfs", group="pxe")
    request.addfinalizer(lambda: CONF.clear_override("default_ephemeral_format", group="pxe"))
    info = instance_info.parse_instance_info(make_node(ephemeral_gb=1))
    assert info.ephemeral_format is FileSystemType.XFS


def test_a_format_without_a_partition_does_not_matter():
    info = instance_info.parse_instance_info(make_node(ephemeral_gb="0", ephemeral_format="ntfs"))
    assert (info.ephemeral_mib, info.ephemeral_format) == (0, None)


def test_an_unknown_ephemeral_format_is_shown_with_those_that_are_known():
    node = make_node(ephemeral_gb=1, ephemeral_format="ntfs")
    with pytest.raises(
        exception.InvalidParameterValue,
        match=f"{node.uuid}.*ephemeral_format is ntfs.*ext4, xfs, btrfs",
    ):
        instance_info.parse_instance_info(node)


@pytest.mark.parametrize(
    ("instance", "own", "label"),
    [
        (None, None, None),
        ({"disk_label": "gpt"}, None, Label.GPT),
        (None, "boot_mode:bios,disk_label:gpt", Label.GPT),
        ({"disk_label": "msdos"}, "disk_label:gpt", Label.MSDOS),
        ({"boot_mode": "uefi"}, None, None),
    ],
)
def test_the_disk_label_comes_from_capabilities(instance, own, label):
    node = make_node(capabilities=instance or ...)
    node.properties = {"capabilities": own} if own else {}
    assert instance_info.parse_instance_info(node).disk_label is label


def test_an_unknown_disk_label_is_refused():
    node = make_node(capabilities={"disk_label": "sun"})
    with pytest.raises(exception.InvalidParameterValue, match=r"disk_label is sun.*msdos, gpt"):
        instance_info.parse_instance_info(node)


@pytest.mark.parametrize("name", ["ephemeral_gb", "swap_mb", "root_gb"])
def test_preserve_ephemeral_with_another_layout_than_was_deployed_is_refused(name):
    node = make_node(ephemeral_gb=2, swap_mb=64, preserve_ephemeral=True)
    deployed = {"ephemeral_gb": 2, "swap_mb": 64, "root_gb": 4}
    node.set_driver_internal_info("instance", deployed)
    assert instance_info.parse_instance_info(node).preserve_ephemeral
    node.set_driver_internal_info("instance", deployed | {name: 99})
    with pytest.raises(exception.InvalidParameterValue, match=f"{name} was 99"):
        instance_info.parse_instance_info(node)


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
        ("ephemeral_gb", -1),
        ("ephemeral_gb", "much"),
        ("preserve_ephemeral", "perhaps"),
        ("preserve_ephemeral", True),
    ],
)
def test_bad_or_unsupported_instance_info_is_named(name, value):
    with pytest.raises(exception.InvalidParameterValue, match=name):
        instance_info.parse_instance_info(make_node(**{name: value}))


def make_whole_disk_node(**given):
    """Make a node that gets a whole-disk image, with what Nova sets for a flavor without more."""
    nothing = {"kernel": ..., "ramdisk": ..., "swap_mb": "0", "ephemeral_gb": 0}
    node = make_node(**nothing | given)
    node.set_driver_internal_info("is_whole_disk_image", True)
    return node


@pytest.mark.parametrize(
    "given", [{}, {"root_gb": ...}, {"boot_iso": f"boot-{'0' * 40}"}, {"preserve_ephemeral": "0"}]
)
def test_whole_disk_image_needs_no_sizes(given):
    info = instance_info.parse_instance_info(make_whole_disk_node(**given))
    assert info.whole_disk
    assert (info.root_mib, info.swap_mib, info.ephemeral_mib) == (0, 0, 0)
    assert (info.ephemeral_format, info.preserve_ephemeral) == (None, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("swap_mb", 32),
        ("ephemeral_gb", "1"),
        ("preserve_ephemeral", True),
        ("boot_iso", "http://192.0.2.1/boot.iso"),
    ],
)
def test_what_a_whole_disk_image_cannot_have_is_refused(name, value):
    with pytest.raises(exception.InvalidParameterValue, match=rf"whole disk.*unset {name}, or"):
        instance_info.parse_instance_info(make_whole_disk_node(**{name: value}))


def test_whole_disk_image_may_be_larger_than_root_gb():
    instance_image.check_image_size(make_whole_disk_node(), 5 << 30)


@pytest.mark.parametrize(
    ("size", "fits"), [(0, True), (4 << 30, True), ((4 << 30) + 1, False), (1 << 40, False)]
)
def test_image_size_is_held_against_root_gb(size, fits):
    if fits:
        instance_image.check_image_size(make_node(), size)
    else:
        with pytest.raises(exception.InvalidParameterValue, match="raise root_gb"):
            instance_image.check_image_size(make_node(), size)
