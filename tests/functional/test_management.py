"""Power and boot device through Ironic's API, for nodes of both hardware types."""

import pytest

pytestmark = pytest.mark.functional


def boot_device(cloud, node):
    return cloud.ask("GET", f"nodes/{node.uuid}/management/boot_device")


def set_boot_device(cloud, node, device, *, persistent):
    body = {"boot_device": device, "persistent": persistent}
    return cloud.call("PUT", f"nodes/{node.uuid}/management/boot_device", body)


def test_boot_device(cloud, node):
    supported = cloud.ask("GET", f"nodes/{node.uuid}/management/boot_device/supported")
    assert set(supported["supported_boot_devices"]) == {"cdrom", "disk", "pxe"}

    assert set_boot_device(cloud, node, "disk", persistent=True).ok
    assert boot_device(cloud, node) == {"boot_device": "disk", "persistent": True}
    assert set_boot_device(cloud, node, "pxe", persistent=False).ok
    assert boot_device(cloud, node) == {"boot_device": "pxe", "persistent": False}

    # Once means once.
    node.power("power on")
    assert node.emulated()["booted_from"] == "network"
    assert boot_device(cloud, node) == {"boot_device": "disk", "persistent": True}


def test_unknown_boot_device_is_refused(cloud, node):
    reply = set_boot_device(cloud, node, "floppy", persistent=False)
    assert reply.status_code == 400
    assert "cdrom" in reply.text


def test_boot_mode_is_read(cloud, node):
    assert cloud.control.server(node.server.name)["power"] == "off"
    node.provision("manage")
    node.wait("manageable")
    # Ironic reads it when a node becomes manageable.
    assert node.show()["boot_mode"] == "bios"


def test_nmi_of_a_gen8_is_refused_in_words(cloud, node):
    node.power("power on")
    reply = cloud.call("PUT", f"nodes/{node.uuid}/management/inject_nmi")
    assert reply.status_code == 400
    assert "does not support inject_nmi" in reply.text
    assert "Check the server's generation" in reply.text


def test_pass_deploy_info_is_listed_with_its_description(cloud, node):
    methods = cloud.ask("GET", f"nodes/{node.uuid}/vendor_passthru/methods")
    assert methods["pass_deploy_info"]["http_methods"] == ["POST"]
    assert "deploy key" in methods["pass_deploy_info"]["description"]


def test_power_of_a_node_of_type_ilo5(cloud, node):
    node.set("driver", "ilo5")
    for target in ("power on", "rebooting", "power off"):
        node.power(target)
        assert node.emulated()["power"] == ("off" if target == "power off" else "on")
    assert node.emulated()["media"]["CDROM"]["url"] is None


def test_power_while_the_ilo_is_slow(cloud, node):
    cloud.control.set_faults(node.server.name, slow_s=1)
    node.power("power on")
    assert node.emulated()["power"] == "on"


def test_power_when_the_ilo_is_silent_ends_at_the_deadline(cloud, node):
    cloud.control.set_faults(node.server.name, silent=True)
    cloud.call("PUT", f"nodes/{node.uuid}/states/power", {"target": "power on"})
    shown = node.wait("available")
    assert node.server.address in shown["last_error"]
