"""The package as Ironic and oslo.config see it."""

from importlib.metadata import entry_points

import pytest
from ironic.drivers import base
from ironic.drivers.hardware_type import AbstractHardwareType
from oslo_config import cfg

from ironic_ilo import conf, upgrade_check

INTERFACES = {
    "boot": ("ilo-virtual-media", base.BootInterface),
    "deploy": ("ilo-iscsi", base.DeployInterface),
    "inspect": ("ilo", base.InspectInterface),
    "management": ("ilo", base.ManagementInterface),
    "power": ("ilo", base.PowerInterface),
    "vendor": ("ilo", base.VendorInterface),
}


def load(group, name):
    (found,) = entry_points(group=group, name=name)
    return found.load()


@pytest.mark.parametrize("kind", INTERFACES)
def test_interface_loads_and_describes_itself(kind):
    name, parent = INTERFACES[kind]
    interface = load(f"ironic.hardware.interfaces.{kind}", name)()
    assert isinstance(interface, parent)
    for text in interface.get_properties().values():
        assert text.endswith(("Required.", "Optional.", "Required for deploying."))


@pytest.mark.parametrize("name", ["ilo", "ilo5"])
def test_hardware_type_supports_our_interfaces(name):
    hardware = load("ironic.hardware.types", name)()
    assert isinstance(hardware, AbstractHardwareType)
    for kind, (interface, _parent) in INTERFACES.items():
        ours = load(f"ironic.hardware.interfaces.{kind}", interface)
        assert getattr(hardware, f"supported_{kind}_interfaces")[0] is ours


def test_hardware_type_supports_interfaces_of_ironic_over_virtual_media():
    assert upgrade_check.supported_interfaces("deploy") == {
        "ilo-iscsi",
        "direct",
        "ramdisk",
        "custom-agent",
    }
    assert upgrade_check.supported_interfaces("rescue") == {"no-rescue", "agent"}
    assert upgrade_check.supported_interfaces("boot") == {"ilo-virtual-media"}


def test_deploy_steps_come_in_order():
    deploy = load("ironic.hardware.interfaces.deploy", "ilo-iscsi")()
    steps = sorted(deploy.get_deploy_steps(None), key=lambda step: -step["priority"])
    assert [step["step"] for step in steps] == [
        "deploy",
        "write_image",
        "prepare_instance_boot",
        "switch_to_tenant_network",
        "boot_instance",
    ]


def test_pass_deploy_info_is_a_synchronous_post():
    route = load("ironic.hardware.interfaces.vendor", "ilo")().vendor_routes["pass_deploy_info"]
    assert route["http_methods"] == ["POST"]
    assert route["async"] is False
    assert "key" in route["description"]


def test_every_option_has_help_and_every_number_a_unit():
    list_opts = load("oslo.config.opts", "ironic_ilo")
    ((group, options),) = list_opts()
    assert group.name == "ilo"
    for option in options:
        assert option.help
        assert option.help.endswith(".")
        if isinstance(option, cfg.IntOpt) and not isinstance(option, cfg.PortOpt):
            units = ("in seconds", "in minutes", "in MiB", "How many")
            assert any(unit in option.help for unit in units)
            assert option.type.min is not None


def test_options_register_twice():
    settings = cfg.ConfigOpts()
    conf.register_opts(settings)
    conf.register_opts(settings)
    settings([])
    assert settings.ilo.deploy_helper_images_ttl == 10
    assert settings.ilo.swift_ilo_container == "ironic_ilo_container"


def test_secret_options_are_marked():
    assert {option.name for option in conf.OPTS if option.secret} == {"signing_key"}
