"""Ironic's own hardware type ``redfish``, unmodified, on emulated iLOs with servers of paper."""

import base64
import gzip
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.emulator import EmulatedServer
from tests import isos
from tests.functional.cloud import Artifacts, Cloud, Node, running_cloud
from tests.functional.conductor import wait_until
from tests.functional.conftest import OPTIONS
from tests.functional.third_party.conftest import ADDRESS, PLAIN_PASSWORD, USERNAME, Emulated
from tests.web_server import web_server

pytestmark = pytest.mark.functional

# Apart from another run of these tests on the same machine.
FIRST_ADDRESS = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.230"
# The emulated servers, with the boot mode that they are delivered in.
BOOT_MODES = {"ilo5": "uefi", "ilo5-legacy": "legacy", "ilo6": "uefi", "ilo7": "uefi"}
# Whose power, sensors and so on are used; the others are deployed and torn down.
LOOKED_AFTER = {"ilo5", "ilo6"}
# Whose instance is to have Secure Boot.
SECURED = {"ilo6"}
# As Ironic names them.
IRONIC_MODES = {"uefi": "uefi", "legacy": "bios"}
# Besides those of our own types.
HARDWARE_TYPES: dict[str, object] = {
    "enabled_hardware_types": "ilo,ilo5,redfish",
    "enabled_boot_interfaces": "ilo-virtual-media,redfish-virtual-media",
    "enabled_inspect_interfaces": "ilo,redfish",
    "enabled_management_interfaces": "ilo,redfish",
    "enabled_power_interfaces": "ilo,redfish",
    "enabled_vendor_interfaces": "ilo,redfish",
}
# Sensors of deployed nodes go to the log.
SENSORS: dict[str, dict[str, object]] = {
    "sensor_data": {"send_sensor_data": True, "interval": 8, "enable_for_conductor": False},
    "oslo_messaging_notifications": {"driver": "log", "transport_url": "fake://"},
}
CONFIGDRIVE = b"what the instance is told"


@dataclass(frozen=True)
class Published:
    """A web server of files, as Ironic's ``[deploy]http_root`` and ``http_url`` want one."""

    root: Path
    url: str


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    root = tmp_path_factory.mktemp("published")
    with web_server(root, "127.0.20.22") as url:
        yield Published(root, url)


@pytest.fixture(scope="module")
def boot_iso(artifacts: Artifacts) -> Path:
    return isos.make_iso(artifacts.directory / "boot.iso", isos.BIOS, isos.UEFI)


@pytest.fixture(scope="module")
def redfish_cloud(
    published: Published, artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    """Run an Ironic that has its own hardware type beside ours."""
    options = {
        **OPTIONS,
        "DEFAULT": HARDWARE_TYPES,
        "deploy": {"http_root": published.root, "http_url": published.url},
        **SENSORS,
    }
    directory = tmp_path_factory.mktemp("cloud")
    with running_cloud(
        directory, artifacts, first_address=FIRST_ADDRESS, options=options
    ) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def exercises(
    redfish_cloud: Cloud,
    emulator: dict[str, Emulated],
    published: Published,
    boot_iso: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mapping[str, Future[None]]]:
    """Exercise the servers, all at a time.

    For each call Ironic's type hashes the password, which takes a third of a second of a core; in
    between it waits, and that is time for the others.
    """
    password_file = tmp_path_factory.mktemp("secret") / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(PLAIN_PASSWORD)
    with ThreadPoolExecutor(len(BOOT_MODES)) as pool:
        yield {
            name: pool.submit(
                exercise,
                beside(redfish_cloud, emulator[name], password_file),
                BOOT_MODES[name],
                published,
                boot_iso,
            )
            for name in BOOT_MODES
        }
    for name in BOOT_MODES:
        emulator[name].clean_up()


def beside(cloud: Cloud, server: Emulated, password_file: Path) -> Cloud:
    """Put a server in the place of a cloud's own."""
    described = EmulatedServer(
        name=server.name,
        address=ADDRESS,
        port=server.port,
        username=USERNAME,
        password_file=str(password_file),
        certificate=server.certificate,
        mac="",
        iscsi_portal="",
    )
    services = replace(
        cloud.services, control_url=server.control, servers={server.name: described}
    )
    return replace(cloud, services=services, session=requests.Session())


@pytest.mark.parametrize("name", BOOT_MODES)
def test_from_enrolment_to_tear_down(exercises: Mapping[str, Future[None]], name: str) -> None:
    exercises[name].result()


def exercise(cloud: Cloud, boot_mode: str, published: Published, boot_iso: Path) -> None:
    """Enrol a server, and do with it what Ironic can."""
    node = enrol(cloud)
    inspect(node, boot_mode)
    deploy(node, boot_mode, published, boot_iso)
    if node.server.name in LOOKED_AFTER:
        boot_again(node)
        look_after(node)
    tear_down(node)
    node.delete()


def enrol(cloud: Cloud) -> Node:
    [server] = cloud.services.servers.values()
    driver_info = {
        "redfish_address": f"https://{server.address}:{server.port}",
        "redfish_system_id": "/redfish/v1/Systems/1",
        "redfish_username": server.username,
        "redfish_password": server.read_password(),
        "redfish_verify_ca": server.certificate,
    }
    asked = {
        "driver": "redfish",
        "driver_info": driver_info,
        "boot_interface": "redfish-virtual-media",
        "deploy_interface": "ramdisk",
    }
    made = cloud.ask("POST", "nodes", asked)
    taken = {kind: made[f"{kind}_interface"] for kind in ("power", "management", "inspect")}
    assert set(taken.values()) == {"redfish"}
    return Node(cloud, server, made["uuid"])


def inspect(node: Node, boot_mode: str) -> None:
    node.provision("manage")
    node.wait("manageable")
    node.provision("inspect")
    properties = node.wait("manageable")["properties"]
    assert properties == {
        "vendor": "HPE",
        "cpu_arch": "x86_64",
        "memory_mb": 16384,
        "local_gb": 278,
        "capabilities": f"boot_mode:{IRONIC_MODES[boot_mode]}",
    }
    inventory = node.cloud.ask("GET", f"nodes/{node.uuid}/inventory")["inventory"]
    assert inventory["cpu"]["count"] == 8
    assert inventory["system_vendor"]["product_name"] == node.read_redfish("Systems/1")["Model"]
    [port] = node.cloud.ask("GET", f"nodes/{node.uuid}/ports")["ports"]
    card = node.read_redfish("Systems/1/EthernetInterfaces/1")
    assert port["address"] == card["MACAddress"].lower()
    node.provision("provide")
    node.wait("available")


def deploy(node: Node, boot_mode: str, published: Published, boot_iso: Path) -> None:
    secure = node.server.name in SECURED
    capabilities = {"secure_boot": "true"} if secure else {}
    node.set("instance_info", {"boot_iso": boot_iso.as_uri(), "capabilities": capabilities})
    configdrive = base64.b64encode(gzip.compress(CONFIGDRIVE)).decode()
    asked = {"target": "active", "configdrive": configdrive}
    # Other tests may have started it, too.
    starts = node.emulated()["starts"]
    node.cloud.ask("PUT", f"nodes/{node.uuid}/states/provision", asked)
    active = node.wait("active")
    assert (active["power_state"], active["boot_mode"], active["secure_boot"]) == (
        "power on",
        IRONIC_MODES[boot_mode],
        secure,
    )
    place = f"{published.url}/redfish"
    assert node.drives() == {
        "CDROM": f"{place}/boot-{node.uuid}.iso",
        "FLOPPY": f"{place}/configdrive-{node.uuid}",
    }
    assert {name: read(url) for name, url in node.drives().items()} == {
        "CDROM": boot_iso.read_bytes(),
        "FLOPPY": CONFIGDRIVE,
    }
    [boot] = node.emulated()["boots"][starts:]
    assert (boot["device"], boot["boot_mode"], boot["secure_boot"]) == (
        "cdrom",
        boot_mode,
        secure,
    )


def read(url: str | None) -> bytes:
    assert url is not None
    reply = requests.get(url, timeout=60)
    assert reply.ok, reply.status_code
    return reply.content


def boot_again(node: Node) -> None:
    """A ramdisk is booted each time, as Ironic asks for; what is asked for once, once."""
    assert boot_override(node) == ("Continuous", "Cd")
    node.power("soft power off")
    assert node.emulated()["power"] == "off"
    place = f"nodes/{node.uuid}/management/boot_device"
    wanted = {"boot_device": "cdrom", "persistent": False}
    node.cloud.ask("PUT", place, wanted)
    assert node.cloud.ask("GET", place) == wanted
    assert boot_override(node) == ("Once", "Cd")
    node.power("power on")
    assert boot_override(node) == ("Disabled", "None")
    assert [boot["device"] for boot in node.emulated()["boots"][-2:]] == ["cdrom"] * 2


def boot_override(node: Node) -> tuple[str, str]:
    boot = node.read_redfish("Systems/1")["Boot"]
    return boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"]


def look_after(node: Node) -> None:
    nmis = node.emulated()["nmis"]
    node.cloud.ask("PUT", f"nodes/{node.uuid}/management/inject_nmi")
    assert node.emulated()["nmis"] == nmis + 1
    wait_until(lambda: bool(sensors(node)))
    assert {kind: len(each) for kind, each in sensors(node)[0].items() if kind != "Extra"} == {
        "Fan": 2,
        "Temperature": 1,
        "Power": 1,
        "Drive": 1,
    }
    # An iLO does not let the boot override change the boot mode, which is a setting of the BIOS.
    node.cloud.ask("PUT", f"nodes/{node.uuid}/states/boot_mode", {"target": "bios"})
    wait_until(lambda: node.show()["reservation"] is None)
    complaint = node.show()["last_error"]
    assert "PropertyNotWritableOrUnknown" in complaint
    assert "BootSourceOverrideMode" in complaint


def sensors(node: Node) -> list[dict[str, Any]]:
    """Read from Ironic's log what sensors it has sent to whoever listens."""
    found = []
    for line in (node.cloud.directory / "logs/ironic.log").read_text().splitlines():
        if " oslo.messaging.notification.hardware.redfish.metrics " in line:
            message = json.loads(line[line.index("{") :])["payload"]
            if message["node_uuid"] == node.uuid:
                found.append(message["payload"])
    return found


def tear_down(node: Node) -> None:
    urls = list(node.drives().values())
    node.provision("deleted")
    available = node.wait("available")
    assert (available["power_state"], node.emulated()["power"]) == ("power off", "off")
    assert node.drives() == {"FLOPPY": None, "CDROM": None}
    for url in urls:
        assert url is not None
        assert requests.get(url, timeout=60).status_code == requests.codes.not_found
    assert node.read_redfish("Systems/1/SecureBoot")["SecureBootEnable"] is False
    # Ironic keeps a session with each iLO, and leaves it behind when it stops.
    assert node.count_sessions() == 1
