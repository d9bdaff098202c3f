"""HPE's own ilorest 7.4, unmodified, against emulated iLOs: one process for each command."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.third_party.conftest import (
    ADDRESS,
    PLAIN_PASSWORD,
    SECONDS_TO_START,
    USERNAME,
    Emulated,
)

pytestmark = pytest.mark.functional

EARLY, LATER, ILO4 = "ilo5-early", ("ilo5", "ilo6", "ilo7"), "ilo4-gen9"
ISO, FLOPPY = "http://127.0.20.21/x.iso", "http://127.0.20.21/f.img"
TARGET = "Boot/BootSourceOverrideTarget"
ONCE = (f"{TARGET}=Pxe", "Boot/BootSourceOverrideEnabled=Once")
REDIRECT = Path(__file__).parent / "at_port_443"
# Its return codes, and Python's for what it did not foresee.
INVALID, WRONG_LOGIN, NOT_COMMITTED, NO_LICENSE, REFUSED, FAILED = 28, 32, 45, 59, 63, 255
# The password stands in its configuration file, whose values it takes to the end of the line.
CONFIG = """[redfish]
username = {username}
password = {password}
"""


class Ilorest:
    """The program, with a configuration and a cache of its own, whose session is in the cache."""

    def __init__(self, emulated: Emulated, directory: Path, password: str) -> None:
        self._port = emulated.port
        self._directory = directory
        config = directory / "redfish.conf"
        config.touch(0o600)
        config.write_text(CONFIG.format(username=USERNAME, password=password))
        program = Path(sys.executable).with_name("ilorest")
        self._command = [program, "--nologo", "--config", config, "--cache-dir", directory]

    def __call__(self, *arguments: str, returns: int = 0) -> str:
        """Run a command; what it prints is returned."""
        redirect = {"PYTHONPATH": str(REDIRECT), "EMULATED_ILO_PORT": str(self._port)}
        done = subprocess.run(
            [*self._command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._directory,  # where it writes its logs
            env={**os.environ, **redirect},
            text=True,
            check=False,
            timeout=SECONDS_TO_START,
        )
        assert done.returncode == returns, done.stdout
        return done.stdout

    def change(self, kind: str, *changes: str, returns: int = 0) -> str:
        """Write properties of the resource of a kind."""
        return self("set", *changes, f"--selector={kind}.", "--commit", returns=returns)


def on(*generations: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("redfish", generations, indirect=True)


def sessions(redfish: Emulated) -> int:
    listed = redfish.redfish("GET", "/SessionService/Sessions")
    return int(listed["Members@odata.count"])


@pytest.fixture
def ilorest(redfish: Emulated, tmp_path: Path) -> Iterator[Ilorest]:
    """Log in, and out, after which no session is left."""
    program = Ilorest(redfish, tmp_path, PLAIN_PASSWORD)
    program("login", ADDRESS)
    assert sessions(redfish) == 1
    yield program
    program("logout")
    assert sessions(redfish) == 0


@on(*LATER)
def test_what_it_is(redfish: Emulated, ilorest: Ilorest):
    system = redfish.redfish("GET", "/Systems/1")
    told = ilorest("serverinfo", "--system")
    assert system["Model"] in told
    assert f"Bios Version: {system['BiosVersion']}" in told
    assert "1 MAC: 52:54:00:" in told


@on(*LATER)
def test_power(redfish: Emulated, ilorest: Ilorest):
    ilorest("reboot", "On")
    server = redfish.ask()
    assert server["power"] == "on"
    ilorest("reboot")
    assert redfish.ask()["starts"] == server["starts"] + 1
    ilorest("reboot", "ForceOff")
    assert redfish.ask()["power"] == "off"


@on(EARLY, *LATER)
def test_virtual_media(redfish: Emulated, ilorest: Ilorest):
    ilorest("virtualmedia", "1", FLOPPY)
    ilorest("virtualmedia", "2", ISO, "--bootnextreset", "--reboot=On")
    assert redfish.ask()["booted_from"] == "cdrom"
    [*_, boot] = redfish.ask()["boots"]
    assert (boot["floppy_url"], boot["cdrom_url"]) == (FLOPPY, ISO)
    told = ilorest("virtualmedia")
    assert f"Image Inserted: {FLOPPY}" in told
    assert f"Image Inserted: {ISO}" in told
    ilorest("virtualmedia", "1", "--remove")
    assert not redfish.drive(1)["Inserted"]
    redfish.reset()
    assert redfish.ask()["booted_from"] == "hdd"
    assert not redfish.drive(2)["Inserted"]


@on(EARLY, "ilo5", "ilo6")
def test_the_one_time_boot_device(redfish: Emulated, ilorest: Ilorest):
    ilorest("bootorder", "--onetimeboot=Pxe", "--commit")
    _starts_once_from_the_network(redfish)


@on("ilo7")
def test_the_one_time_boot_device_as_a_property(redfish: Emulated, ilorest: Ilorest):
    ilorest.change("ComputerSystem", *ONCE)
    _starts_once_from_the_network(redfish)


def _starts_once_from_the_network(redfish: Emulated) -> None:
    for device in ("network", "hdd"):
        redfish.reset()
        assert redfish.ask()["booted_from"] == device


@on("ilo5", "ilo6")
def test_the_boot_order(redfish: Emulated, ilorest: Ilorest):
    for first, device in (("NIC*", "network"), ("HD*", "hdd")):
        ilorest("bootorder", first, "--commit")
        redfish.reset()
        assert redfish.ask()["booted_from"] == device


@on("ilo5")
def test_the_boot_mode(redfish: Emulated, ilorest: Ilorest):
    for setting, mode in (("LegacyBios", "legacy"), ("Uefi", "uefi")):
        ilorest.change("Bios", f"BootMode={setting}")
        assert redfish.ask()["pending_boot_mode"] == mode
        redfish.reset()
        assert redfish.ask()["boot_mode"] == mode


@on("ilo6", "ilo7")
def test_the_registry_knows_the_boot_modes(redfish: Emulated, ilorest: Ilorest):
    told = ilorest.change("Bios", "BootMode=LegacyBios", returns=INVALID)
    assert "'LegacyBios' is not a valid setting for 'BootMode'" in told


@on("ilo5")
def test_refusals(redfish: Emulated, ilorest: Ilorest):
    redfish.redfish("PATCH", "/Managers/1/VirtualMedia/2", {"Image": ISO})
    told = ilorest("virtualmedia", "2", ISO, returns=REFUSED)
    assert "MaxVirtualMediaConnectionEstablished" in told
    told = ilorest.change("ComputerSystem", f"{TARGET}=Tape", returns=INVALID)
    assert "'Tape' is not a valid setting for 'BootSourceOverrideTarget'" in told
    redfish.ask("PUT", "/faults", {"no_license": True})
    assert "License Key Required" in ilorest("virtualmedia", "1", FLOPPY, returns=NO_LICENSE)


@on("ilo5")
def test_in_post(redfish: Emulated, ilorest: Ilorest):
    redfish.ask("PUT", "/faults", {"post_s": 600})
    redfish.reset()
    ilorest("select", "ComputerSystem.", "--refresh")  # else it goes by the ETag of its login
    told = ilorest.change("ComputerSystem", *ONCE, returns=NOT_COMMITTED)
    assert "UnableToModifyDuringSystemPOST" in told


@on("ilo5")
def test_a_wrong_password(redfish: Emulated, tmp_path: Path):
    Ilorest(redfish, tmp_path, "wrong")("login", ADDRESS, returns=WRONG_LOGIN)
    assert sessions(redfish) == 0


@on("ilo5")
def test_at_another_port_it_ends_no_session(redfish: Emulated, tmp_path: Path):
    ilorest = Ilorest(redfish, tmp_path, PLAIN_PASSWORD)
    ilorest("login", f"{ADDRESS}:{redfish.port}")
    ilorest("logout")
    assert sessions(redfish) == 1


@on(ILO4)
def test_ilo4_is_none_of_its_own(redfish: Emulated, tmp_path: Path):
    ilorest = Ilorest(redfish, tmp_path, PLAIN_PASSWORD)
    for api in ((), ("--redfish",)):
        ilorest(*api, "login", ADDRESS, returns=FAILED)
    assert sessions(redfish) == 0
