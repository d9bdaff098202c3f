"""Emulated iLOs of all generations, with machines of paper, for clients that are not ours.

They are written against real iLOs: what they accept and how they fail is the measure.
"""

import gc
import http.server
import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hpilo
import pytest
import requests
import sushy
from proliantutils.ilo.ribcl import RIBCLOperations
from proliantutils.ilo.ris import RISOperations
from proliantutils.redfish.redfish import RedfishOperations

from tests.web_server import serving

ADDRESS = "127.0.20.20"
USERNAME = "Administrator"
# What XML would escape, and one client does escape; python-hpilo's own parser of replies sees
# nothing of it.
PASSWORD = "p&\"<w>'0rd; \u00e9"
# The RIS class of proliantutils can only say ASCII.
PLAIN_PASSWORD = "p&<w>0rd;:"
BOOT_ORDER = ["cdrom", "floppy", "usb", "hdd", "network"]
SECONDS_TO_START = 60
SECONDS_TO_OBEY = 30
CONFIG = f"""
[emulator]
state_dir = "state"
ready_file = "ready.json"

[[server]]
name = "node-0"
address = "{ADDRESS}"
port = 0
username = "{USERNAME}"
password = '''{PASSWORD}'''
serial_number = "CZ1234ABCD"
uuid = "30313436-3631-5a43-3332-303441424344"
"""
# The other generations, each a server of that name, as it is delivered.
GENERATIONS = ("ilo4-gen9", "ilo5-early", "ilo5", "ilo6", "ilo7")
# And one that is delivered otherwise.
LEGACY = 'boot_mode = "legacy"\n'
SERVER = f"""
[[server]]
name = "%s"
address = "{ADDRESS}"
port = 0
password = "{PLAIN_PASSWORD}"
generation = "%s"
"""


@dataclass(frozen=True)
class Emulated:
    """An emulated iLO, and how to ask the emulator about it."""

    name: str
    port: int
    certificate: str
    control: str

    def hpilo(self, username: str = USERNAME, password: str = PASSWORD) -> hpilo.Ilo:
        # Its own TLS context verifies nothing and uses what Python has deprecated.
        context = ssl.create_default_context(cafile=self.certificate)
        return hpilo.Ilo(
            ADDRESS, username, password, timeout=30, port=self.port, ssl_context=context
        )

    def proliant(self, username: str = USERNAME, password: str = PASSWORD) -> RIBCLOperations:
        return RIBCLOperations(
            ADDRESS, username, password, port=self.port, cacert=self.certificate
        )

    def ris(self, password: str = PLAIN_PASSWORD) -> RISOperations:
        host = f"{ADDRESS}:{self.port}"
        return RISOperations(host, USERNAME, password, cacert=self.certificate)

    def proliant_redfish(self) -> RedfishOperations:
        host = f"{ADDRESS}:{self.port}"
        return RedfishOperations(host, USERNAME, PLAIN_PASSWORD, cacert=self.certificate)

    def sushy(self, password: str = PLAIN_PASSWORD) -> sushy.Sushy:
        """Connect; what is refused is asked for once more, and at once."""
        return sushy.Sushy(
            f"https://{ADDRESS}:{self.port}",
            USERNAME,
            password,
            verify=self.certificate,
            server_side_retries=1,
            server_side_retries_delay=0,
        )

    def redfish(self, method: str, path: str, body: object = None) -> Any:
        """Call the Redfish service without a session, and return the document."""
        reply = requests.request(
            method,
            f"https://{ADDRESS}:{self.port}/redfish/v1{path}/",
            json=body,
            auth=(USERNAME, PLAIN_PASSWORD),
            verify=self.certificate,
            timeout=SECONDS_TO_OBEY,
        )
        reply.raise_for_status()
        return reply.json()

    def act(self, resource: str, action: str, **parameters: Any) -> None:
        self.redfish("POST", f"{resource}/Actions/{action}", parameters)

    def drive(self, number: int = 2) -> Any:
        return self.redfish("GET", f"/Managers/1/VirtualMedia/{number}")

    def ask(self, method: str = "GET", path: str = "", body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.control}/servers/{self.name}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
        )
        with urllib.request.urlopen(request, timeout=SECONDS_TO_OBEY) as reply:
            return json.load(reply)

    def ribcl(self) -> RIBCLOperations:
        return self.proliant(password=PLAIN_PASSWORD)

    def restart(self) -> None:
        """Start the server anew, on which what is pending takes effect."""
        self.ribcl().hold_pwr_btn()
        self.ribcl().set_host_power("ON")
        self.wait_for_power("on")

    def reset(self) -> None:
        """Start the server anew, over Redfish."""
        reset_type = "ForceRestart" if self.ask()["power"] == "on" else "On"
        self.act("/Systems/1", "ComputerSystem.Reset", ResetType=reset_type)

    def clean_up(self) -> None:
        """Make a server that speaks Redfish as it was when it was new, and off."""
        gc.collect()  # sushy ends its session when it is collected, or opens one to do so
        self.ask("DELETE", "/faults")
        if self.ask()["power"] == "on":
            self.act("/Systems/1", "ComputerSystem.Reset", ResetType="ForceOff")
        for number in (1, 2):
            if self.drive(number)["Inserted"]:
                self.redfish("PATCH", f"/Managers/1/VirtualMedia/{number}", {"Image": None})
        off = {"Boot": {"BootSourceOverrideEnabled": "Disabled"}}
        self.redfish("PATCH", "/Systems/1", off)
        self.act("/Managers/1", "Manager.Reset")

    def wait_for_power(self, power: str) -> None:
        deadline = time.monotonic() + SECONDS_TO_OBEY
        while self.ask()["power"] != power:
            assert time.monotonic() < deadline, f"the power is not {power} in time"
            time.sleep(0.05)


@pytest.fixture(scope="package")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Emulated]]:
    directory = tmp_path_factory.mktemp("emulator")
    servers = [SERVER % (name, name) for name in GENERATIONS]
    servers.append(SERVER % ("ilo5-legacy", "ilo5") + LEGACY)
    (directory / "lab.toml").write_text("".join([CONFIG, *servers]))
    command = [sys.executable, "-m", "ilo_emulator.cli", "--config", str(directory / "lab.toml")]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            ready = _read_when_there(directory / "ready.json", process)
            yield {
                name: Emulated(name, _port(server), server["certificate"], ready["control"])
                for name, server in ready["servers"].items()
            }
        finally:
            process.terminate()
            assert process.wait(SECONDS_TO_START) == 0
    log_text = (directory / "log").read_text()
    assert PASSWORD not in log_text
    assert PLAIN_PASSWORD not in log_text
    assert "Traceback" not in log_text


def _port(server: dict[str, str]) -> int:
    return int(server["url"].rpartition(":")[2])


def _read_when_there(path: Path, process: subprocess.Popen[bytes]) -> Any:
    deadline = time.monotonic() + SECONDS_TO_START
    while not path.exists():
        assert process.poll() is None, "the emulator has ended"
        assert time.monotonic() < deadline, "the emulator is not ready in time"
        time.sleep(0.05)
    return json.loads(path.read_text())


@pytest.fixture
def gen9(emulator: dict[str, Emulated]) -> Iterator[Emulated]:
    """An emulated Gen9, off and in legacy mode before and after."""
    gen9 = emulator["ilo4-gen9"]
    yield gen9
    gen9.ask("DELETE", "/faults")
    gen9.ribcl().hold_pwr_btn()
    gen9.ribcl().set_pending_boot_mode("LEGACY")
    gen9.restart()
    gen9.ribcl().hold_pwr_btn()


@pytest.fixture
def redfish(emulator: dict[str, Emulated], request: pytest.FixtureRequest) -> Iterator[Emulated]:
    """An emulated iLO that speaks Redfish, of the generation that the test is for, and off."""
    running = emulator[request.param]
    yield running
    running.clean_up()


@pytest.fixture
def emulated(emulator: dict[str, Emulated]) -> Iterator[Emulated]:
    """The emulated iLO, off, with empty drives and no faults, before and after."""
    running = emulator["node-0"]
    yield running
    running.ask("DELETE", "/faults")
    client = running.proliant()
    client.hold_pwr_btn()
    for device in ("FLOPPY", "CDROM"):
        client.eject_virtual_media(device)
    client.set_one_time_boot("NORMAL")
    running.hpilo().set_persistent_boot(BOOT_ORDER)


class _ImageServer(http.server.BaseHTTPRequestHandler):
    """proliantutils asks for the head of an image, from its own machine, before it inserts it."""

    def do_HEAD(self) -> None:
        self.send_response(404 if "absent" in self.path else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def images() -> Iterator[str]:
    with serving(_ImageServer, address="127.0.20.21") as url:
        yield url
