"""What is accepted of a ramdisk's callback."""

import pytest
from ironic.common import exception
from ironic.conf import CONF

from ironic_ilo import callback
from tests.unit.nodes import UUID, make_node


@pytest.fixture(autouse=True)
def _configured():
    CONF.set_override("signing_key", "k" * 32, group="ilo")
    yield
    CONF.clear_override("signing_key", group="ilo")


def sent(node, **changes):
    secrets = callback.get_secrets(node)
    given = {"address": "192.0.2.7", "key": secrets.deploy_key, "iqn": secrets.target_iqn}
    return {name: value for name, value in (given | changes).items() if value is not ...}


def test_callback_is_taken():
    node = make_node()
    info = callback.get_deploy_info(node, sent(node, error="", disks=[{"name": "sda"}]))
    assert (info.address, info.error) == ("192.0.2.7", "")


def test_error_needs_neither_address_nor_iqn():
    node = make_node()
    info = callback.get_deploy_info(node, sent(node, address="", iqn="", error="no disk"))
    assert info.error == "no disk"


@pytest.mark.parametrize("name", ["address", "key", "iqn"])
def test_missing_parameter_is_named(name):
    node = make_node()
    with pytest.raises(exception.MissingParameterValue, match=name):
        callback.get_deploy_info(node, sent(node, **{name: ...}))


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
        callback.get_deploy_info(node, sent(node, **changes))
    assert callback.get_secrets(node).deploy_key not in str(caught.value)


def test_no_key_fits_when_no_deploy_is_under_way():
    node = make_node()
    given = sent(node)
    node.del_driver_internal_info(callback.NONCE)
    with pytest.raises(exception.InvalidParameterValue, match="key"):
        callback.get_deploy_info(node, given)


def test_key_of_another_node_does_not_fit():
    node, other = make_node(), make_node()
    other.uuid = UUID[::-1]
    with pytest.raises(exception.InvalidParameterValue, match="key"):
        callback.get_deploy_info(other, sent(node))
