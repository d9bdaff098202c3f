"""Static network data, as it goes onto the floppy."""

import copy
import re

import pytest

from deploy_ramdisk.network import render_network_conf
from ironic_ilo.exception import InvalidInput

# As Neutron's ports give it (ironic.common.neutron.get_neutron_port_data), and a tagged VLAN.
DATA = {
    "links": [
        {"id": "unused", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:99"},
        {
            "id": "vlan100",
            "type": "vlan",
            "vlan_id": 100,
            "vlan_link": "port",
            "vlan_mac_address": "FA-16-3E-00-00-02",
            "mtu": None,
        },
        {"id": "port", "type": "vif", "ethernet_mac_address": "52:54:00:AB:CD:EF", "mtu": 9000},
    ],
    "networks": [
        {
            "id": "net6",
            "network_id": "n6",
            "type": "ipv6",
            "link": "vlan100",
            "ip_address": "2001:db8::a",
            "netmask": "ffff:ffff:ffff:ffff::",
            "routes": [{"network": "::0", "netmask": "::0", "gateway": "fe80::1"}],
            "services": [{"type": "dns", "address": "2001:db8::53"}],
        },
        {
            "id": "net4",
            "network_id": "n4",
            "type": "ipv4",
            "link": "port",
            "ip_address": "192.0.2.10",
            "netmask": "255.255.255.0",
            "routes": [
                {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.0.2.1"},
                {"network": "198.51.100.0", "netmask": "255.255.255.128", "gateway": "192.0.2.2"},
            ],
        },
    ],
    "services": [
        {"type": "dns", "address": "192.0.2.53"},
        {"type": "dns", "address": "192.0.2.53"},
    ],
}


def changed(path: str, value: object) -> dict:
    """DATA with one thing in it replaced, or removed when the value is ``...``."""
    data = copy.deepcopy(DATA)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = data
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return data


def test_links_come_first_then_addresses_routes_and_name_servers():
    assert render_network_conf(DATA).splitlines() == [
        "link 0 52:54:00:ab:cd:ef 9000",
        "vlan 1 0 100 fa:16:3e:00:00:02 -",
        "address 1 2001:db8::a/64",
        "route 1 default fe80::1",
        "address 0 192.0.2.10/24",
        "route 0 default 192.0.2.1",
        "route 0 198.51.100.0/25 192.0.2.2",
        "dns 192.0.2.53",
        "dns 2001:db8::53",
    ]


@pytest.mark.parametrize(
    "data", [None, {}, {"links": [], "networks": [], "services": []}, {"links": DATA["links"]}]
)
def test_without_networks_the_ramdisk_is_left_to_dhcp(data):
    assert render_network_conf(data) == ""


@pytest.mark.parametrize(
    ("network", "lines"),
    [
        ({"type": "ipv4_dhcp"}, ["dhcp 0"]),
        ({"type": "ipv6_slaac"}, ["autoconf 0"]),
        ({"type": "ipv4", "ip_address": "192.0.2.9/31"}, ["address 0 192.0.2.9/31"]),
        (
            {"type": "ipv4", "ip_address": "192.0.2.9", "netmask": "24", "gateway": "192.0.2.1"},
            ["address 0 192.0.2.9/24", "route 0 default 192.0.2.1"],
        ),
    ],
)
def test_kinds_of_networks(network, lines):
    data = {"links": DATA["links"], "networks": [{"link": "port", **network}]}
    assert render_network_conf(data).splitlines()[1:] == lines


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("links", {}, "network_data.links is not a list"),
        ("links", "eth0", "network_data.links is not a list: 'eth0'"),
        ("links.1", 7, "network_data.links[1] is not an object: 7"),
        ("links.2.id", ..., "network_data.links[2].id is missing"),
        ("links.2.type", "bond", "network_data.links[2].type is not one that"),
        ("links.2.ethernet_mac_address", "52:54:00:ab:cd", "is not a MAC address"),
        ("links.2.ethernet_mac_address", "52:54:00:ab:cd:ef\nlink 1", "is not a MAC address"),
        ("links.2.mtu", 0, "links[2].mtu is not in 68 to 9216: 0"),
        ("links.2.mtu", "1500", "links[2].mtu is not in 68 to 9216: '1500'"),
        ("links.1.vlan_id", 4095, "links[1].vlan_id is not in 1 to 4094: 4095"),
        ("links.1.vlan_id", True, "links[1].vlan_id is not in 1 to 4094: True"),
        ("links.1.vlan_id", ..., "links[1].vlan_id is not in 1 to 4094."),
        ("links.1.vlan_link", "nowhere", "links[1].vlan_link names no link: 'nowhere'"),
        ("links.1.vlan_link", "vlan100", "links[1].vlan_link is itself a VLAN"),
        ("networks.0.link", ..., "networks[0].link is missing"),
        ("networks.0.link", "nowhere", "networks[0].link names no link: 'nowhere'"),
        ("networks.0.type", "ipv6_dhcp", "networks[0].type is not one that"),
        ("networks.1.ip_address", "192.0.2", "networks[1].ip_address (with netmask"),
        ("networks.1.ip_address", 3221225994, "networks[1].ip_address is not a string"),
        ("networks.1.netmask", "255.0.255.0", "is not an IP address"),
        ("networks.1.netmask", ..., "networks[1].netmask is missing"),
        ("networks.0.netmask", "ffff::ffff", "is not an IP address"),
        ("networks.0.ip_address", "fe80::1%eth0\ndns 1.1.1.1/64", "is not an IP address"),
        ("networks.0.routes.0.gateway", "router", "routes[0].gateway is not an IP address"),
        ("networks.0.routes.0.gateway", "fe80::1%x y", "routes[0].gateway is not an IP address"),
        ("networks.1.routes", "default", "networks[1].routes is not a list"),
        ("services.0.address", "ns.example.org", "services[0].address is not an IP address"),
    ],
)
def test_malformed_data_is_refused_with_its_place(path, value, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        render_network_conf(changed(path, value))


def test_data_that_is_no_object_is_refused():
    with pytest.raises(InvalidInput, match="network_data is not an object"):
        render_network_conf([1])
