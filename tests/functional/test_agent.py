"""Ironic's own deploy interfaces, cleaning and rescue over virtual media, up to the agent."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
import requests

from ilo_emulator.certificate import server_context
from ironic_ilo.ramdisk import SERVER_IN_USE
from tests.functional.paper_ramdisk import read_floppy
from tests.web_server import serving, web_server

pytestmark = pytest.mark.functional

RESCUE_PASSWORD = "canary-rescue"


class ObedientAgent(BaseHTTPRequestHandler):
    """Does at once whatever Ironic commands, as it says."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"command_status": "SUCCEEDED", "command_error": None}).encode()
        self.send_response(requests.codes.ok)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def agent(tmp_path) -> Iterator[dict[str, str]]:
    """Run an agent's API, and give what its heartbeats say of it."""
    tls = server_context(tmp_path, "127.0.0.1", ["agent"])
    certificate = (tmp_path / "certificate.pem").read_text()
    with serving(ObedientAgent, tls) as url:
        yield {"callback_url": url, "agent_verify_ca": certificate}


@pytest.fixture
def image_url(cloud) -> Iterator[str]:
    """Serve an image as a web server would."""
    with web_server(cloud.artifacts.directory) as url:
        yield f"{url}/{cloud.artifacts.raw.name}"


@pytest.fixture
def ramdisk_node(cloud, node):
    """Have a node boot an ISO of the user's."""
    node.set("deploy_interface", "ramdisk")
    node.set("instance_info", {"boot_iso": cloud.artifacts.kernel.as_uri()})
    return node


def ask(node, target, **more):
    reply = node.cloud.call(
        "PUT", f"nodes/{node.uuid}/states/provision", {"target": target} | more
    )
    assert reply.status_code == requests.codes.accepted, reply.text


def floppy_of(node):
    """Read the floppy that the agent gets, and check what every agent needs."""
    booted = node.emulated()
    assert (booted["power"], booted["booted_from"]) == ("on", "cdrom")
    assert booted["media"]["FLOPPY"]["connected"]
    parameters = read_floppy(booted["media"]["FLOPPY"]["url"]).parameters
    assert parameters["boot_method"] == "vmedia"
    assert parameters["ipa-api-url"].startswith("http://")
    assert len(parameters["ipa-agent-token"]) >= 32
    return parameters


def boots(node):
    return [boot["cdrom_url"] for boot in node.emulated()["boots"]]


def assert_media_gone(cloud, node):
    assert node.drives() == {"FLOPPY": None, "CDROM": None}
    assert not cloud.stored(f"image-{node.uuid}")


def heartbeat(node, token, agent):
    body = {"agent_version": "13.0.0", "agent_token": token, **agent}
    return node.cloud.call("POST", f"heartbeat/{node.uuid}", body)


def test_direct_deploy_boots_the_agent(cloud, node, image_url, agent):
    checksum = hashlib.sha256(cloud.artifacts.raw.read_bytes()).hexdigest()
    node.set("deploy_interface", "direct")
    node.set("instance_info", {"image_source": image_url, "image_checksum": checksum})
    assert cloud.ask("GET", f"nodes/{node.uuid}/validate")["deploy"]["result"]
    node.provision("active")
    shown = node.wait("wait call-back")

    parameters = floppy_of(node)
    assert parameters["ipa-agent-token"] not in str(shown)
    assert shown["driver_internal_info"][SERVER_IN_USE]
    # A server without a choice is told to the agent as what it is.
    assert shown["driver_internal_info"]["deploy_boot_mode"] == "bios"
    looked_up = cloud.ask("GET", f"lookup?node_uuid={node.uuid}")
    assert parameters["ipa-agent-token"] not in str(looked_up)
    refused = heartbeat(node, "wrong", agent)
    assert refused.status_code == 400
    assert "token" in refused.text

    node.provision("deleted")
    gone = node.wait("available")
    assert gone["power_state"] == "power off"
    assert node.emulated()["power"] == "off"
    assert SERVER_IN_USE not in gone["driver_internal_info"]
    assert_media_gone(cloud, node)


def test_a_new_agent_gets_a_new_token(cloud, node, image_url):
    checksum = hashlib.sha256(cloud.artifacts.raw.read_bytes()).hexdigest()
    node.set("deploy_interface", "direct")
    tokens = set()
    for _ in range(2):
        node.set("instance_info", {"image_source": image_url, "image_checksum": checksum})
        node.provision("active")
        node.wait("wait call-back")
        tokens.add(floppy_of(node)["ipa-agent-token"])
        node.provision("deleted")
        node.wait("available")
    assert len(tokens) == 2


def test_agent_cleans(cloud, node):
    node.set("deploy_interface", "direct")
    node.provision("manage")
    node.wait("manageable")
    step = {"interface": "deploy", "step": "erase_devices_metadata"}
    ask(node, "clean", clean_steps=[step])
    node.wait("clean wait")
    floppy_of(node)
    node.provision("abort")
    node.wait("clean failed")
    assert_media_gone(cloud, node)
    assert node.emulated()["power"] == "off"


def test_ramdisk_deploy_boots_the_users_iso(cloud, ramdisk_node):
    node = ramdisk_node
    node.provision("active")
    shown = node.wait("active")
    assert (shown["power_state"], shown["last_error"]) == ("power on", None)
    booted = node.emulated()
    assert (booted["booted_from"], booted["media"]["FLOPPY"]["url"]) == ("cdrom", None)
    first = boots(node)[-1]
    assert "/iso-" in first
    assert cloud.stored("iso-")

    # At each start that Ironic makes.
    before = len(boots(node))
    node.power("rebooting")
    node.power("power off")
    node.power("power on")
    again = boots(node)[before:]
    assert len(again) == 2
    assert all("/iso-" in url for url in again)

    node.provision("deleted")
    assert node.wait("available")["power_state"] == "power off"
    assert_media_gone(cloud, node)


def test_ramdisk_deploy_of_a_kernel_and_a_ramdisk(cloud, node):
    node.set("deploy_interface", "ramdisk")
    artifacts = cloud.artifacts
    kernel, ramdisk = artifacts.kernel.as_uri(), artifacts.ramdisk.as_uri()
    node.set("instance_info", {"kernel": kernel, "ramdisk": ramdisk})
    node.provision("active")
    name = node.wait("active")["driver_internal_info"]["ilo_boot_iso"]
    assert f"/{name}/" in boots(node)[-1]
    node.power("rebooting")
    assert f"/{name}/" in boots(node)[-1]
    node.provision("deleted")
    assert "ilo_boot_iso" not in node.wait("available")["driver_internal_info"]


def test_ramdisk_deploy_of_nothing_is_refused(cloud, ramdisk_node):
    starts = ramdisk_node.emulated()["starts"]
    ramdisk_node.set("instance_info", {})
    reply = ramdisk_node.try_provision("active")
    assert reply.status_code == 400
    assert "boot_iso" in reply.text
    assert ramdisk_node.emulated()["starts"] == starts


def test_rescue_and_back(cloud, ramdisk_node):
    node = ramdisk_node
    node.set("rescue_interface", "agent")
    node.provision("active")
    node.wait("active")
    refused = cloud.call(
        "PUT",
        f"nodes/{node.uuid}/states/provision",
        {"target": "rescue", "rescue_password": RESCUE_PASSWORD},
    )
    assert not refused.ok
    assert "rescue_iso" in refused.text

    node.set("driver_info/rescue_iso", cloud.artifacts.ramdisk.as_uri())
    ask(node, "rescue", rescue_password=RESCUE_PASSWORD)
    node.wait("rescue wait")
    floppy_of(node)
    digest = hashlib.sha256(cloud.artifacts.ramdisk.read_bytes()).hexdigest()
    assert f"/iso-{digest[:40]}/" in boots(node)[-1]

    node.provision("abort")
    node.wait("rescue failed")
    assert_media_gone(cloud, node)
    node.provision("unrescue")
    shown = node.wait("active")
    assert shown["power_state"] == "power on"
    digest = hashlib.sha256(cloud.artifacts.kernel.read_bytes()).hexdigest()
    assert f"/iso-{digest[:40]}/" in boots(node)[-1]
    assert node.drives()["FLOPPY"] is None


def test_a_rescued_server_stays_on_without_media(cloud, ramdisk_node, agent):
    node = ramdisk_node
    node.set("rescue_interface", "agent")
    node.set("driver_info/rescue_iso", cloud.artifacts.ramdisk.as_uri())
    node.provision("active")
    node.wait("active")
    ask(node, "rescue", rescue_password=RESCUE_PASSWORD)
    node.wait("rescue wait")
    token = floppy_of(node)["ipa-agent-token"]
    starts = node.emulated()["starts"]
    reply = heartbeat(node, token, agent)
    assert reply.ok, reply.text
    shown = node.wait("rescue")
    assert (shown["power_state"], node.emulated()["power"]) == ("power on", "on")
    assert node.emulated()["starts"] == starts
    assert SERVER_IN_USE not in shown["driver_internal_info"]
    assert_media_gone(cloud, node)

    node.provision("unrescue")
    assert node.wait("active")["power_state"] == "power on"
    digest = hashlib.sha256(cloud.artifacts.kernel.read_bytes()).hexdigest()
    assert f"/iso-{digest[:40]}/" in boots(node)[-1]


def test_an_instance_written_by_us_is_rescued(cloud, node, tgtd, disk):
    node.set("rescue_interface", "agent")
    node.set("driver_info/rescue_iso", cloud.artifacts.ramdisk.as_uri())
    ramdisk = node.boot_ramdisk()
    ramdisk.offer_disk(tgtd, disk)
    assert ramdisk.call_back().status_code == 200
    name = node.wait("active")["instance_info"]["boot_iso"]
    ask(node, "rescue", rescue_password=RESCUE_PASSWORD)
    node.wait("rescue wait")
    floppy_of(node)
    assert cloud.stored(name)
    node.provision("abort")
    node.wait("rescue failed")
    node.provision("unrescue")
    assert node.wait("active")["instance_info"]["boot_iso"] == name
    assert f"/{name}/" in boots(node)[-1]
