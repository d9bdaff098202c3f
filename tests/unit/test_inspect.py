"""What an inspection needs, and what it says when that is missing."""

import dataclasses
from contextlib import nullcontext
from unittest import mock

import pytest
from ironic.common import exception
from ironic.conductor.task_manager import TaskManager
from ironic.drivers.modules import inspect_utils

from ironic_ilo import bmc
from ironic_ilo.bmc import Bmc, BootMode, Inventory, Product, SecureBoot
from ironic_ilo.exception import BmcFeatureMissing
from ironic_ilo.inspect import IloInspect
from tests.unit.nodes import make_node

WHOLE = Inventory(
    cpus=32,
    cpu_arch="x86_64",
    memory_mib=65536,
    disks_gib=(558, 279),
    macs=("40:a8:f0:1e:86:74", "40:a8:f0:1e:86:75"),
    rom_version="P89 v2.76, (10:21)",
    ilo_version="2.70 May 07 2019",
)


@pytest.fixture
def server():
    """Give a Gen9 that tells everything."""
    ilo = mock.create_autospec(Bmc, instance=True)
    ilo.get_inventory.return_value = WHOLE
    ilo.product.return_value = Product("ProLiant DL380 Gen9", "iLO 4", "2.70", "iLO 4 Advanced")
    ilo.get_supported_boot_modes.return_value = [BootMode.LEGACY, BootMode.UEFI]
    ilo.get_secure_boot.return_value = SecureBoot(current=False, pending=False)
    with mock.patch.object(bmc, "connect", autospec=True, return_value=nullcontext(ilo)):
        yield ilo


@pytest.fixture
def task():
    """Give a node without ports, that nothing is known of."""
    node = make_node()
    node.driver_info = {
        "ilo_address": "192.0.2.9",
        "ilo_username": "Administrator",
        "ilo_password": "secret",
    }
    made = mock.create_autospec(TaskManager, instance=True)
    made.node, made.shared, made.ports, made.context = node, False, [], mock.Mock()
    return made


def inspect(task):
    """Inspect, and tell the MAC addresses that ports are made for."""
    with (
        mock.patch.object(type(task.node), "save", autospec=True),
        mock.patch.object(inspect_utils, "create_ports_if_not_exist", autospec=True) as create,
    ):
        assert IloInspect().inspect_hardware(task) == "manageable"
    return create.call_args.args[1]


def lacking(server, **facts):
    inventory = dataclasses.replace(WHOLE, **facts)
    server.get_inventory.return_value = inventory


def test_everything(server, task):
    assert inspect(task) == WHOLE.macs
    capabilities = task.node.properties.pop("capabilities")
    assert task.node.properties == {
        "cpus": 32,
        "cpu_arch": "x86_64",
        "memory_mb": 65536,
        "local_gb": 278,
    }
    assert dict(each.split(":") for each in capabilities.split(",")) == {
        "server_model": "ProLiant DL380 Gen9",
        "ilo_firmware_version": "2.70 May 07 2019",
        "rom_firmware_version": "P89 v2.76  (10 21)",
        "boot_mode_bios": "true",
        "boot_mode_uefi": "true",
        "secure_boot": "true",
    }


def test_gen8_has_neither_uefi_nor_secure_boot(server, task):
    server.get_supported_boot_modes.return_value = [BootMode.LEGACY]
    server.get_secure_boot.side_effect = BmcFeatureMissing("none")
    inspect(task)
    assert "boot_mode_bios:true,boot_mode_uefi:false" in task.node.properties["capabilities"]
    assert "secure_boot" not in task.node.properties["capabilities"]


def test_the_operators_capabilities_stay(server, task):
    task.node.properties = {"capabilities": "rack:b7,server_model:old,boot_mode:uefi", "a": "b"}
    inspect(task)
    assert task.node.properties["a"] == "b"
    capabilities = task.node.properties["capabilities"].split(",")
    assert {"rack:b7", "boot_mode:uefi", "server_model:ProLiant DL380 Gen9"} <= set(capabilities)
    assert "server_model:old" not in capabilities


def test_malformed_capabilities_are_refused_before_the_ilo_is_asked(server, task):
    task.node.properties = {"capabilities": "rack"}
    with pytest.raises(exception.InvalidParameterValue, match="rack"):
        inspect(task)
    assert server.mock_calls == []


@pytest.mark.parametrize(
    ("facts", "missing", "remedy"),
    [
        ({"cpus": None}, "does not tell cpus. ", "power the node on"),
        ({"memory_mib": None}, "does not tell memory_mb. ", "power the node on"),
        ({"disks_gib": ()}, "does not tell local_gb. ", "set local_gb"),
        ({"macs": ()}, "does not tell ports. ", "baremetal port create"),
        ({"cpus": None, "macs": ()}, "does not tell cpus, ports. ", "finish its POST"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(server, task, facts, missing, remedy):
    lacking(server, **facts)
    before = dict(task.node.properties)
    with pytest.raises(exception.HardwareInspectionFailure) as caught:
        inspect(task)
    assert task.node.uuid in str(caught.value)
    assert missing in str(caught.value)
    assert remedy in str(caught.value)
    assert task.node.properties == before


def test_what_the_operator_knows_better_is_kept(server, task):
    lacking(server, disks_gib=(), macs=())
    task.node.properties = {"local_gb": 930, "cpus": 1}
    task.ports = [mock.Mock()]
    assert inspect(task) == ()
    assert task.node.properties["local_gb"] == 930
    assert task.node.properties["cpus"] == 32
