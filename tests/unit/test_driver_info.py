from types import SimpleNamespace

import pytest
from ironic.common import exception

from ironic_ilo import driver_info
from ironic_ilo.bmc import TlsVersion

GOOD = {
    "ilo_address": "192.0.2.5",
    "ilo_username": "Administrator",
    "ilo_password": "canary-password",
    "deploy_iso": "http://192.0.2.1/deploy.iso",
}


def node(**changes):
    info = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    return SimpleNamespace(uuid="1be26c0b-03f2-4d2e-ae87-c02d7f33c781", driver_info=info)


def test_defaults():
    access = driver_info.parse_access(node())
    assert (access.address, access.port, access.timeout) == ("192.0.2.5", 443, 60)
    assert access.verify_ca is True
    assert "canary-password" not in repr(access)


def test_node_overrides_configuration(tmp_path):
    authority = tmp_path / "ca.pem"
    authority.touch()
    access = driver_info.parse_access(
        node(client_port="8443", client_timeout=5, ilo_verify_ca=str(authority))
    )
    assert (access.port, access.timeout, access.verify_ca) == (8443, 5, str(authority))


@pytest.mark.parametrize("value", [False, "false", "no", "0"])
def test_verification_is_turned_off_only_in_words(value):
    assert driver_info.parse_access(node(ilo_verify_ca=value)).verify_ca is False


@pytest.mark.parametrize(
    ("value", "oldest"),
    [
        (..., None),
        (None, None),
        ("", None),
        ("1.0", TlsVersion.TLS_1_0),
        (1.1, TlsVersion.TLS_1_1),
        ("1.2", TlsVersion.TLS_1_2),
    ],
)
def test_old_tls_is_only_for_nodes_that_ask_for_it(value, oldest):
    assert driver_info.parse_access(node(ilo_min_tls_version=value)).min_tls_version is oldest


@pytest.mark.parametrize("address", ["2001:db8::1", "[2001:db8::1]"])
def test_ipv6_address_loses_its_brackets(address):
    assert driver_info.parse_access(node(ilo_address=address)).address == "2001:db8::1"


@pytest.mark.parametrize("name", ["ilo_address", "ilo_username", "ilo_password"])
@pytest.mark.parametrize("value", [..., "", None])
def test_missing_property_is_named(name, value):
    with pytest.raises(exception.MissingParameterValue, match=name):
        driver_info.parse_access(node(**{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ilo_address", "192.0.2"),
        ("ilo_address", "192.0.2.256"),
        ("ilo_address", "https://ilo.example.com"),
        ("ilo_address", "ilo example"),
        ("client_port", "0"),
        ("client_port", "65536"),
        ("client_port", "https"),
        ("client_timeout", "-1"),
        ("client_timeout", "soon"),
        ("ilo_verify_ca", "/nowhere/ca.pem"),
        ("ilo_min_tls_version", "1.3"),
        ("ilo_min_tls_version", "TLSv1"),
        ("ilo_min_tls_version", 1),
    ],
)
def test_malformed_property_is_named(name, value):
    with pytest.raises(exception.InvalidParameterValue, match=name) as caught:
        driver_info.parse_access(node(**{name: value}))
    assert "canary-password" not in str(caught.value)


def test_every_fault_is_named_at_once():
    with pytest.raises(exception.InvalidParameterValue, match=r"client_port.*client_timeout"):
        driver_info.parse_access(node(client_port="x", client_timeout="y"))


def test_deploy_iso_is_required():
    with pytest.raises(exception.MissingParameterValue, match="deploy_iso"):
        driver_info.parse_deploy_properties(node(deploy_iso=...))


@pytest.mark.parametrize(
    "href",
    [
        "4f8a2cd6-9b0e-4d5c-8a3e-2f6d1c7b9a10",
        "glance://4f8a2cd6-9b0e-4d5c-8a3e-2f6d1c7b9a10",
        "https://192.0.2.1/deploy.iso?x=y",
        "file:///srv/deploy.iso",
    ],
)
def test_deploy_iso_may_be_in_glance_or_anywhere(href):
    assert driver_info.parse_deploy_properties(node(deploy_iso=href)).deploy_iso == href


@pytest.mark.parametrize(
    "href",
    [
        "deploy.iso",
        "glance://deploy",
        "glance://",
        "4f8a2cd6-9b0e-4d5c",
        "ftp://192.0.2.1/deploy.iso",
        "http://192.0.2.1",
    ],
)
def test_malformed_deploy_iso(href):
    with pytest.raises(exception.InvalidParameterValue, match="deploy_iso"):
        driver_info.parse_deploy_properties(node(deploy_iso=href))


@pytest.mark.parametrize("portal", ["127.0.1.10:3260", "[2001:db8::1]:3260", "node-0:1"])
def test_iscsi_portal(portal):
    assert driver_info.parse_deploy_properties(node(iscsi_portal=portal)).iscsi_portal == portal


@pytest.mark.parametrize(
    "portal", ["127.0.1.10", "2001:db8::1:3260x", "node:0", "node:65536", "a,b=c:3260", ":3260"]
)
def test_malformed_iscsi_portal(portal):
    with pytest.raises(exception.InvalidParameterValue, match="iscsi_portal"):
        driver_info.parse_deploy_properties(node(iscsi_portal=portal))
