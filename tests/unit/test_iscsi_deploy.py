"""What is accepted of instance_info and of a ramdisk's callback."""

import pytest
from ironic import objects
from ironic.common import context, exception
from ironic.conf import CONF

from ironic_ilo import iscsi_deploy

UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"
INSTANCE = {
    "image_source": "http://192.0.2.1/image.qcow2",
    "image_checksum": "0" * 64,
    "kernel": "http://192.0.2.1/kernel",
    "ramdisk": "http://192.0.2.1/ramdisk",
    "root_gb": 4,
}


@pytest.fixture(autouse=True)
def _configured():
    objects.register_all()
    CONF.set_override("signing_key", "k" * 32, group="ilo")
    yield
    CONF.clear_override("signing_key", group="ilo")


def make_node(**instance_info):
    info = {key: value for key, value in (INSTANCE | instance_info).items() if value is not ...}
    return objects.Node(
        context.get_admin_context(),
        uuid=UUID,
        deploy_interface="ilo-iscsi",
        properties={},
        instance_info=info,
        driver_internal_info={"is_whole_disk_image": False, iscsi_deploy.NONCE: "0" * 32},
    )


def callback(node, **changes):
    secrets = iscsi_deploy.get_secrets(node)
    given = {"address": "192.0.2.7", "key": secrets.deploy_key, "iqn": secrets.target_iqn}
    return {name: value for name, value in (given | changes).items() if value is not ...}


def test_instance_info_is_read():
    info = iscsi_deploy.parse_instance_info(make_node(swap_mb="512", image_disk_format="qcow2"))
    assert info == iscsi_deploy.InstanceInfo(
        "http://192.0.2.1/image.qcow2", root_mib=4096, swap_mib=512, image_format="qcow2"
    )


@pytest.mark.parametrize(
    "name", ["image_source", "root_gb", "kernel", "ramdisk", "image_checksum"]
)
def test_missing_instance_info_is_named(name):
    with pytest.raises(exception.MissingParameterValue, match=name):
        iscsi_deploy.parse_instance_info(make_node(**{name: ...}))


def test_users_boot_iso_replaces_kernel_and_ramdisk():
    node = make_node(kernel=..., ramdisk=..., boot_iso="http://192.0.2.1/boot.iso")
    assert iscsi_deploy.parse_instance_info(node).root_mib == 4096


def test_file_needs_no_checksum():
    node = make_node(image_source="file:///srv/image.raw", image_checksum=...)
    assert iscsi_deploy.parse_instance_info(node).image_format is None


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
        iscsi_deploy.parse_instance_info(make_node(**{name: value}))


def test_whole_disk_image_is_refused():
    node = make_node()
    node.set_driver_internal_info("is_whole_disk_image", True)
    with pytest.raises(exception.InvalidParameterValue, match="whole-disk"):
        iscsi_deploy.parse_instance_info(node)


@pytest.mark.parametrize(
    ("size", "fits"), [(0, True), (4 << 30, True), ((4 << 30) + 1, False), (1 << 40, False)]
)
def test_image_size_is_held_against_root_gb(size, fits):
    if fits:
        iscsi_deploy.check_image_size(make_node(), size)
    else:
        with pytest.raises(exception.InvalidParameterValue, match="raise root_gb"):
            iscsi_deploy.check_image_size(make_node(), size)


def test_callback_is_taken():
    node = make_node()
    info = iscsi_deploy.get_deploy_info(node, callback(node, error="", disks=[{"name": "sda"}]))
    assert (info.address, info.error) == ("192.0.2.7", "")


def test_error_needs_neither_address_nor_iqn():
    node = make_node()
    info = iscsi_deploy.get_deploy_info(node, callback(node, address="", iqn="", error="no disk"))
    assert info.error == "no disk"


@pytest.mark.parametrize("name", ["address", "key", "iqn"])
def test_missing_parameter_is_named(name):
    node = make_node()
    with pytest.raises(exception.MissingParameterValue, match=name):
        iscsi_deploy.get_deploy_info(node, callback(node, **{name: ...}))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"address": "node-0.example.com"}, "address"),
        ({"address": "192.0.2.7:3260"}, "address"),
        ({"address": 3221225991}, "address"),
        ({"iqn": "iqn.2008-10.org.openstack:another"}, "iqn"),
        ({"key": "0" * 64}, "key"),
        ({"key": ""}, "key"),
        ({"key": None}, "key"),
        ({"error": {"code": 1}}, "error"),
        ({"disk": "sda"}, "disk"),
    ],
)
def test_malformed_parameter_is_named_and_the_key_is_not_told(changes, named):
    node = make_node()
    with pytest.raises(exception.InvalidParameterValue, match=named) as caught:
        iscsi_deploy.get_deploy_info(node, callback(node, **changes))
    assert iscsi_deploy.get_secrets(node).deploy_key not in str(caught.value)


def test_no_key_fits_when_no_deploy_is_under_way():
    node = make_node()
    given = callback(node)
    node.del_driver_internal_info(iscsi_deploy.NONCE)
    with pytest.raises(exception.InvalidParameterValue, match="key"):
        iscsi_deploy.get_deploy_info(node, given)


def test_key_of_another_node_does_not_fit():
    node, other = make_node(), make_node()
    other.uuid = UUID[::-1]
    with pytest.raises(exception.InvalidParameterValue, match="key"):
        iscsi_deploy.get_deploy_info(other, callback(node))
