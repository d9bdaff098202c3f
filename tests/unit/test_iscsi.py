import pytest

from ironic_ilo.exception import InvalidInput
from ironic_ilo.iscsi import IscsiTarget

SECRET = "0123456789abcdef"
GOOD = {
    "portal": "192.0.2.1:3260",
    "iqn": "iqn.2008-10.org.openstack:6f1c-0a",
    "initiator_iqn": "iqn.2008-10.org.openstack:conductor-0",
    "chap_username": "deploy-1",
    "chap_secret": SECRET,
}


@pytest.mark.parametrize("portal", ["node-1.example:1", "[2001:db8::1]:65535", "10.0.2.15:3260"])
def test_portals(portal: str) -> None:
    assert IscsiTarget(**GOOD | {"portal": portal}).portal == portal


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("portal", "192.0.2.1"),
        ("portal", "192.0.2.1:0"),
        ("portal", "192.0.2.1:65536"),
        ("portal", "2001:db8::1:3260"),
        ("portal", "192.0.2.1:3260,file.lun=2"),
        ("portal", "192.0.2.1:3260\n"),
        ("iqn", ""),
        ("iqn", "iqn.2008-10.org.openstack:a,lun=0"),
        ("iqn", "iqn.2008-10.org.openstack:UPPER"),
        ("iqn", "iqn.2008-10.org.openstack:a b"),
        ("iqn", "iqn.2008-10.org.openstack:" + "a" * 223),
        ("initiator_iqn", "iqn.2008-10.org.openstack:a\n"),
        ("chap_username", "a,b"),
        ("chap_username", ""),
        ("lun", 256),
        ("lun", -1),
    ],
)
def test_what_could_become_an_option_of_qemu_is_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidInput):
        IscsiTarget(**GOOD | {field: value})


@pytest.mark.parametrize("secret", ["short", "x" * 256, "0123456789ab\n", "0123456789a b"])
def test_a_bad_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        IscsiTarget(**GOOD | {"chap_secret": secret})

    assert secret not in str(caught.value)


def test_the_secret_is_in_no_repr() -> None:
    target = IscsiTarget(**GOOD)

    assert SECRET not in f"{target!r} {target}"
