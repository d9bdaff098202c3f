"""python-hpilo and proliantutils, unmodified, against an ``ilo-emulator`` with a machine of paper.

They are written against real iLOs: what they accept and how they fail is the measure.
"""

import http.server
import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hpilo
import pytest
from proliantutils import exception as proliant_exception
from proliantutils.ilo.ribcl import RIBCLOperations
from proliantutils.ilo.ris import RISOperations

pytestmark = pytest.mark.functional

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

[[server]]
name = "gen9"
address = "{ADDRESS}"
port = 0
password = "{PLAIN_PASSWORD}"
generation = "ilo4-gen9"
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

    def wait_for_power(self, power: str) -> None:
        deadline = time.monotonic() + SECONDS_TO_OBEY
        while self.ask()["power"] != power:
            assert time.monotonic() < deadline, f"the power is not {power} in time"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Emulated]]:
    directory = tmp_path_factory.mktemp("emulator")
    (directory / "lab.toml").write_text(CONFIG)
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
    gen9 = emulator["gen9"]
    yield gen9
    gen9.ask("DELETE", "/faults")
    gen9.ribcl().hold_pwr_btn()
    gen9.ribcl().set_pending_boot_mode("LEGACY")
    gen9.restart()
    gen9.ribcl().hold_pwr_btn()


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
    with http.server.ThreadingHTTPServer(("127.0.20.21", 0), _ImageServer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.20.21:{server.server_port}"
        server.shutdown()
        thread.join(SECONDS_TO_OBEY)


class TestHpilo:
    """python-hpilo 4.4.3."""

    def test_tells_what_it_is(self, emulated: Emulated):
        ilo = emulated.hpilo()
        assert ilo.get_product_name() == "ProLiant DL380p Gen8"
        assert ilo.get_fw_version() == {
            "firmware_version": "2.55",
            "firmware_date": "Aug 16 2017",
            "management_processor": "iLO4",
            "license_type": "iLO 4 Advanced",
        }
        assert [each["license_type"] for each in ilo.get_all_licenses()] == ["iLO 4 Advanced"]
        assert ilo.get_server_name() == "node-0"
        with pytest.warns(hpilo.IloWarning, match="No Asset Tag"):
            assert ilo.get_asset_tag() == {"asset_tag": None}

    def test_the_light(self, emulated: Emulated):
        ilo = emulated.hpilo()
        for light in ("ON", "OFF"):
            ilo.uid_control(light == "ON")
            assert ilo.get_uid_status() == light

    def test_discovery_without_a_login(self, emulated: Emulated):
        found = emulated.hpilo(password="wrong").xmldata()
        assert found["hsi"]["spn"] == "ProLiant DL380p Gen8"
        assert found["hsi"]["sbsn"] == "CZ1234ABCD"
        assert found["mp"]["pn"] == "Integrated Lights-Out 4 (iLO 4)"
        assert emulated.hpilo(password="wrong").xmldata("cpqkey")["lname"] == "iLO 4 Advanced"

    def test_inventory(self, emulated: Emulated):
        health = emulated.hpilo().get_embedded_health()
        assert health["nic_information"]["Embedded"]["mac_address"] == "52:54:00:42:43:44"
        assert health["health_at_a_glance"]["fans"]["status"] == "OK"
        system = emulated.hpilo().get_host_data()[1]
        assert system["Product Name"] == "ProLiant DL380p Gen8"
        assert system["cUUID"] == "30313436-3631-5A43-3332-303441424344"

    def test_power(self, emulated: Emulated):
        ilo = emulated.hpilo()
        assert ilo.get_host_power_status() == "OFF"
        ilo.set_host_power(True)
        assert ilo.get_host_power_status() == "ON"
        with pytest.warns(hpilo.IloWarning, match="already ON"):
            ilo.set_host_power(True)
        with pytest.warns(hpilo.IloWarning, match="Server being reset"):
            ilo.reset_server()
        ilo.hold_pwr_btn()
        assert ilo.get_host_power_status() == "OFF"
        with pytest.warns(hpilo.IloWarning, match="already OFF"):
            ilo.hold_pwr_btn()
        with pytest.raises(hpilo.IloError, match="powered off"):
            ilo.reset_server()

    def test_the_power_button(self, emulated: Emulated):
        ilo = emulated.hpilo()
        ilo.press_pwr_btn()
        emulated.wait_for_power("on")
        ilo.set_host_power(False)
        emulated.wait_for_power("off")
        with pytest.warns(hpilo.IloWarning, match="already OFF"):
            ilo.set_host_power(False)
        ilo.cold_boot_server()
        emulated.wait_for_power("on")
        ilo.warm_boot_server()
        assert emulated.ask()["power"] == "on"

    def test_boots_once_from_virtual_media(self, emulated: Emulated):
        ilo = emulated.hpilo()
        for device, url in (("CDROM", "http://h/x.iso"), ("FLOPPY", "http://h/f.img")):
            ilo.insert_virtual_media(device, url)
            ilo.set_vm_status(device, "boot_once", write_protect=True)
        assert ilo.get_vm_status("CDROM") == {
            "vm_applet": "DISCONNECTED",
            "device": "CDROM",
            "boot_option": "BOOT_ONCE",
            "write_protect": "YES",
            "image_inserted": "YES",
            "image_url": "http://h/x.iso",
        }
        ilo.set_one_time_boot("cdrom")
        assert ilo.get_one_time_boot() == "cdrom"
        ilo.set_host_power(True)
        server = emulated.ask()
        assert server["booted_from"] == "cdrom"
        assert server["boots"][-1]["floppy_url"] == "http://h/f.img"
        assert ilo.get_one_time_boot() == "normal"
        assert ilo.get_vm_status("FLOPPY")["vm_applet"] == "CONNECTED"
        with pytest.warns(hpilo.IloWarning):
            ilo.reset_server()
        assert emulated.ask()["booted_from"] == "hdd"
        assert ilo.get_vm_status("CDROM")["image_inserted"] == "NO"

    def test_an_url_with_an_ampersand(self, emulated: Emulated):
        emulated.hpilo().insert_virtual_media("CDROM", "http://h/x.iso?a=1&b=2")
        assert emulated.hpilo().get_vm_status("CDROM")["image_url"] == "http://h/x.iso?a=1&b=2"

    def test_connect_and_disconnect(self, emulated: Emulated):
        ilo = emulated.hpilo()
        ilo.insert_virtual_media("FLOPPY", "http://h/f.img")
        ilo.set_vm_status("FLOPPY", "connect")
        status = ilo.get_vm_status("FLOPPY")
        assert (status["vm_applet"], status["boot_option"]) == ("CONNECTED", "BOOT_ALWAYS")
        ilo.set_vm_status("FLOPPY", "disconnect")
        status = ilo.get_vm_status("FLOPPY")
        assert (status["vm_applet"], status["boot_option"]) == ("DISCONNECTED", "NO_BOOT")
        ilo.eject_virtual_media("FLOPPY")
        assert ilo.get_vm_status("FLOPPY")["image_inserted"] == "NO"

    def test_boot_order(self, emulated: Emulated):
        ilo = emulated.hpilo()
        assert ilo.get_persistent_boot() == BOOT_ORDER
        ilo.set_persistent_boot("network,hdd")
        assert ilo.get_persistent_boot() == ["network", "hdd", "cdrom", "floppy", "usb"]

    def test_an_empty_drive(self, emulated: Emulated):
        ilo = emulated.hpilo()
        for refused in (
            lambda: ilo.eject_virtual_media("CDROM"),
            lambda: ilo.set_vm_status("CDROM", "boot_once"),
        ):
            with pytest.raises(hpilo.IloError, match="No image present") as raised:
                refused()
            assert raised.value.errorcode == 0x39

    def test_wrong_logins(self, emulated: Emulated):
        with pytest.raises(hpilo.IloLoginFailed):
            emulated.hpilo(password="wrong").get_product_name()
        with pytest.raises(hpilo.IloUserNotFound):
            emulated.hpilo("nobody").get_product_name()

    def test_no_licence(self, emulated: Emulated):
        emulated.ask("PUT", "/faults", {"no_license": True})
        with pytest.raises(hpilo.IloLicenseKeyError):
            emulated.hpilo().insert_virtual_media("CDROM", "http://h/x.iso")
        assert emulated.hpilo().get_fw_version()["license_type"] == "iLO 4 Standard"

    def test_what_a_gen8_does_not_know(self, emulated: Emulated):
        with pytest.raises(hpilo.IloFeatureNotSupported):
            emulated.hpilo().get_current_boot_mode()
        with pytest.raises(hpilo.IloError, match="syntax error"):
            emulated.hpilo().get_all_users()

    def test_several_commands_at_once(self, emulated: Emulated):
        ilo = emulated.hpilo()
        ilo.delayed = True
        ilo.get_product_name()
        ilo.get_vm_status("CDROM")
        ilo.get_host_power_status()
        name, drive, power = ilo.call_delayed()
        assert (name, drive["device"], power) == ("ProLiant DL380p Gen8", "CDROM", "OFF")


class TestProliantutils:
    """The RIBCL class of proliantutils 2.16.3, which verifies the certificate."""

    def test_tells_what_it_is(self, emulated: Emulated):
        client = emulated.proliant()
        assert client.get_product_name() == "ProLiant DL380p Gen8"
        assert client.get_all_licenses()["LICENSE_TYPE"] == "iLO 4 Advanced"

    def test_inventory(self, emulated: Emulated):
        client = emulated.proliant()
        client.init_model_based_tags(client.get_product_name())
        # An iLO 4 may know the memory of a running server only.
        assert client.get_essential_properties()["properties"]["memory_mb"] == 0
        client.set_host_power("ON")
        assert client.get_essential_properties() == {
            "properties": {
                "memory_mb": 16384,
                "cpus": 8,
                "cpu_arch": "x86_64",
                "local_gb": 278,
            },
            "macs": {"Port 1": "52:54:00:42:43:44"},
        }
        assert client.get_ilo_firmware_version_as_major_minor() == "2.55"

    def test_power(self, emulated: Emulated):
        client = emulated.proliant()
        assert client.get_host_power_status() == "OFF"
        client.set_host_power("ON")
        assert client.get_host_power_status() == "ON"
        assert client.reset_server() == "Server being reset."
        client.hold_pwr_btn()
        assert client.get_host_power_status() == "OFF"
        assert client.hold_pwr_btn() == "Host power is already OFF."
        client.press_pwr_btn()
        emulated.wait_for_power("on")

    def test_boots_from_virtual_media_as_ironic_did(self, emulated: Emulated, images: str):
        client = emulated.proliant()
        for device, name in (("FLOPPY", "f.img"), ("CDROM", "x.iso")):
            client.insert_virtual_media(f"{images}/{name}", device)
            client.set_vm_status(device, "CONNECT", "YES")
        client.set_one_time_boot("CDROM")
        assert client.get_one_time_boot() == "CDROM"
        client.set_host_power("ON")
        assert emulated.ask()["booted_from"] == "cdrom"
        assert emulated.ask()["boots"][-1]["floppy_url"] == f"{images}/f.img"
        assert client.get_one_time_boot() == "Normal"
        status = client.get_vm_status("CDROM")
        assert (status["VM_APPLET"], status["WRITE_PROTECT"]) == ("CONNECTED", "YES")
        for device in ("FLOPPY", "CDROM", "CDROM"):
            client.eject_virtual_media(device)
            assert client.get_vm_status(device)["IMAGE_INSERTED"] == "NO"

    def test_boots_once(self, emulated: Emulated, images: str):
        client = emulated.proliant()
        client.insert_virtual_media(f"{images}/x.iso", "CDROM")
        client.set_vm_status("CDROM", "BOOT_ONCE", "YES")
        client.set_host_power("ON")
        assert emulated.ask()["booted_from"] == "cdrom"
        client.reset_server()
        assert emulated.ask()["booted_from"] == "hdd"
        assert client.get_vm_status("CDROM")["IMAGE_INSERTED"] == "NO"

    def test_a_second_insert(self, emulated: Emulated, images: str):
        client = emulated.proliant()
        client.insert_virtual_media(f"{images}/x.iso", "CDROM")
        with pytest.raises(proliant_exception.IloError, match="already present"):
            client.insert_virtual_media(f"{images}/y.iso", "CDROM")

    def test_an_image_that_is_not_there(self, emulated: Emulated, images: str):
        with pytest.raises(proliant_exception.ImageRefValidationFailed):
            emulated.proliant().insert_virtual_media(f"{images}/absent.iso", "CDROM")

    def test_boot_order(self, emulated: Emulated):
        client = emulated.proliant()
        assert client.get_persistent_boot_device() == "CDROM"
        client.update_persistent_boot(["HDD"])
        assert client.get_persistent_boot_device() == "HDD"

    def test_wrong_logins(self, emulated: Emulated):
        for wrong in (emulated.proliant(password="x"), emulated.proliant(username="nobody")):
            with pytest.raises(proliant_exception.IloLoginFailError):
                wrong.get_product_name()

    def test_no_licence(self, emulated: Emulated, images: str):
        emulated.ask("PUT", "/faults", {"no_license": True})
        with pytest.raises(proliant_exception.IloError, match="license"):
            emulated.proliant().insert_virtual_media(f"{images}/x.iso", "CDROM")

    def test_in_post(self, emulated: Emulated):
        emulated.ask("PUT", "/faults", {"post_refusals": 1})
        with pytest.raises(proliant_exception.IloError, match="POST"):
            emulated.proliant().set_one_time_boot("CDROM")
        emulated.proliant().set_one_time_boot("CDROM")

    def test_boot_modes_are_not_supported(self, emulated: Emulated):
        client = emulated.proliant()
        for ask in (client.get_current_boot_mode, client.get_supported_boot_mode):
            with pytest.raises(
                proliant_exception.IloCommandNotSupportedError, match="ProLiant DL380p Gen8"
            ):
                ask()


class TestGen9:
    """Boot modes and Secure Boot, which a Gen9 has: over RIBCL, and over REST."""

    def test_boot_modes_over_ribcl(self, gen9: Emulated):
        client, ilo = gen9.ribcl(), gen9.hpilo(password=PLAIN_PASSWORD)
        assert client.get_product_name() == "ProLiant DL380 Gen9"
        assert client.get_supported_boot_mode() == "legacy bios and uefi"
        client.set_pending_boot_mode("UEFI")
        assert (ilo.get_current_boot_mode(), ilo.get_pending_boot_mode()) == ("LEGACY", "UEFI")
        gen9.restart()
        assert (client.get_current_boot_mode(), gen9.ask()["boot_mode"]) == ("UEFI", "uefi")
        assert "Boot0002" in dict(ilo.get_persistent_boot())
        assert client.get_persistent_boot_device() == "HDD"
        client.update_persistent_boot(["NETWORK"])
        assert client.get_persistent_boot_device() == "NETWORK"
        ilo.set_pending_boot_mode("legacy")
        assert client.get_pending_boot_mode() == "LEGACY"
        with pytest.raises(hpilo.IloError, match="not known"):
            ilo.set_pending_boot_mode("both")

    def test_boot_modes_over_rest(self, gen9: Emulated):
        client = gen9.ris()
        assert client.get_product_name() == "ProLiant DL380 Gen9"
        assert client.get_host_power_status() == "OFF"
        assert client.get_supported_boot_mode() == "legacy bios and uefi"
        assert client.get_current_boot_mode() == "LEGACY"
        client.set_pending_boot_mode("uefi")
        assert (client.get_current_boot_mode(), client.get_pending_boot_mode()) == (
            "LEGACY",
            "UEFI",
        )
        gen9.restart()
        assert client.get_current_boot_mode() == "UEFI"
        client.set_pending_boot_mode("legacy")
        assert gen9.ask()["pending_boot_mode"] == "legacy"

    def test_secure_boot(self, gen9: Emulated):
        client = gen9.ris()
        with pytest.raises(proliant_exception.IloCommandNotSupportedInBiosError):
            client.set_secure_boot_mode(True)
        client.set_pending_boot_mode("uefi")
        gen9.restart()
        client.set_secure_boot_mode(True)
        assert client.get_secure_boot_mode() is False
        gen9.restart()
        assert client.get_secure_boot_mode() is True
        client.clear_secure_boot_keys()
        gen9.restart()
        assert client.get_secure_boot_mode() is False
        client.reset_secure_boot_keys()
        gen9.restart()
        assert client.get_secure_boot_mode() is True
        client.set_secure_boot_mode(False)
        gen9.restart()
        assert client.get_secure_boot_mode() is False

    def test_rest_in_post_and_with_a_wrong_password(self, gen9: Emulated):
        with pytest.raises(proliant_exception.IloError, match="NoValidSession"):
            gen9.ris("wrong").get_secure_boot_mode()
        gen9.ask("PUT", "/faults", {"post_refusals": 1})
        with pytest.raises(proliant_exception.IloError, match="UnableToModifyDuringSystemPOST"):
            gen9.ris().set_pending_boot_mode("uefi")

    def test_a_gen8_has_no_rest(self, emulated: Emulated):
        with pytest.raises(proliant_exception.IloError):
            emulated.ris().get_secure_boot_mode()
