"""Inspection through Ironic's API: properties, capabilities and ports."""

import pytest

pytestmark = pytest.mark.functional


def make_manageable(node):
    node.provision("manage")
    node.wait("manageable")


def ports(cloud, node):
    return {port["address"] for port in cloud.ask("GET", f"nodes/{node.uuid}/ports")["ports"]}


def test_inspection(cloud, node):
    make_manageable(node)
    old = ports(cloud, node)
    node.set("properties/capabilities", "rack:b7")
    node.power("power on")
    node.provision("inspect")
    shown = node.wait("manageable")

    properties = shown["properties"]
    capabilities = dict(each.split(":") for each in properties.pop("capabilities").split(","))
    assert properties == {
        "cpus": 8,
        "cpu_arch": "x86_64",
        "memory_mb": 16384,
        "local_gb": 278,
    }
    assert capabilities == {
        "rack": "b7",
        "server_model": "ProLiant DL380p Gen8",
        "ilo_firmware_version": "2.55 Aug 16 2017",
        "rom_firmware_version": "P70 08/02/2014",
        "boot_mode_bios": "true",
        "boot_mode_uefi": "false",
    }
    new = ports(cloud, node)
    assert old < new
    assert len(new - old) == 1

    # Again: the same, and no more ports.
    node.provision("inspect")
    again = node.wait("manageable")["properties"]
    assert {name: again[name] for name in properties} == properties
    assert ports(cloud, node) == new
    assert node.emulated()["power"] == "on"


def test_a_server_that_is_off(cloud, node):
    make_manageable(node)
    node.provision("inspect")
    shown = node.wait("inspect failed")
    assert "does not tell memory_mb" in shown["last_error"]
    assert "power the node on" in shown["last_error"]
    assert "cpus" not in shown["properties"]
