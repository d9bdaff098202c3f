"""A machine behind an iLO that speaks Redfish is deployed to and boots, as one behind an iLO 4."""

from contextlib import closing
from pathlib import Path

import pytest

from lab.emulator import Control
from lab.node import Node, connected, enrol
from lab.services import running_services
from lab.settings import UEFI, Ports, Settings, cache_directory, with_free_ports
from lab.sources import offer
from lab.tiny_instance import wait_for_report

pytestmark = pytest.mark.e2e

# Several times what it takes here: CI's cores are shared.
DEADLINE = 900


@pytest.mark.timeout(3 * DEADLINE)
def test_ilo5_in_uefi_mode_deploys_and_reboots(tmp_path, deploy_iso, tiny_instance) -> None:
    settings = with_free_ports(
        Settings(
            tmp_path / "lab",
            ports=Ports.any_free(),
            first_address="127.0.74.10",
            generation="ilo5",
            boot_mode=UEFI,
        )
    )
    with (
        running_services(settings, file_paths=[cache_directory()]) as services,
        connected(services) as connection,
        closing(Control(services.control_url)) as control,
    ):
        (server,) = services.servers.values()
        sources = offer(services, deploy_iso, tiny_instance)
        node = Node(connection, enrol(services, server, sources))
        node.assign(sources)
        node.deploy(timeout=DEADLINE)
        console = Path(control.server(server.name)["console_log"])
        first, end = wait_for_report(console, after=0, timeout=DEADLINE)
        assert (first.firmware, first.esp) == ("uefi", "sda1")
        node.reboot()
        again, _end = wait_for_report(console, after=end, timeout=DEADLINE)
        assert again == first
        node.undeploy()
        described = control.server(server.name)
        assert described["power"] == "off"
        assert not any(drive["inserted"] for drive in described["media"].values())
