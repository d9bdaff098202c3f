"""The door to an iLO against a real ``ilo-emulator`` with a machine of paper."""

import contextlib
import dataclasses
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironic_ilo.bmc import (
    Access,
    Bmc,
    BootDevice,
    BootMode,
    Device,
    Inventory,
    MediaStatus,
    PowerState,
    Product,
    SecureBoot,
    SensorKind,
    connect,
)
from ironic_ilo.exception import (
    BmcBusy,
    BmcFeatureMissing,
    BmcLoginFailed,
    BmcUnreachable,
)

pytestmark = pytest.mark.functional

ADDRESS = "127.0.22.10"
ISO = "http://127.0.22.1:8088/v1/signature/deploy.iso"
FLOPPY = "http://127.0.22.1:8088/v1/signature/image-1.img"
# Every character that XML would escape, with which RIBCL differs.
PASSWORD = "p&<w>'0rd;"
SECONDS_TO_START = 60
CONFIG = f"""
[emulator]
state_dir = "{{directory}}"
control = "127.0.0.1:0"
ready_file = "{{directory}}/ready.json"

[[server]]
name = "node-0"
address = "{ADDRESS}"
port = 0
username = "Administrator"
password = "{PASSWORD}"
generation = "ilo4-gen8"
machine = "paper"
serial_number = "CZ1234ABCD"

[[server]]
name = "gen9"
address = "{ADDRESS}"
port = 0
password = "{PASSWORD}"
generation = "ilo4-gen9"
"""


@dataclasses.dataclass(frozen=True)
class Emulated:
    """One emulated iLO: how to reach it, and how to look behind it."""

    name: str
    access: Access
    control: str

    def connect(self, **changes: Any) -> Bmc:
        return connect(dataclasses.replace(self.access, **changes))

    def state(self) -> Any:
        return self._call("GET", "")

    @contextlib.contextmanager
    def fault(self, **faults: Any) -> Iterator[None]:
        self._call("PUT", "/faults", json.dumps(faults).encode())
        try:
            yield
        finally:
            self._call("DELETE", "/faults")

    def _call(self, method: str, path: str, data: bytes | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.control}/servers/{self.name}{path}",
            data,
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            content = response.read()
        return json.loads(content) if content else None


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Run ``ilo-emulator``; the value is what it wrote into its ready file."""
    directory = tmp_path_factory.mktemp("emulator")
    config = directory / "lab.toml"
    config.write_text(CONFIG.format(directory=directory))
    command = [sys.executable, "-m", "ilo_emulator.cli", "--config", str(config)]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield _wait_for(directory / "ready.json", process)
        finally:
            process.terminate()
            process.wait(SECONDS_TO_START)


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> Any:
    deadline = time.monotonic() + SECONDS_TO_START
    while not path.exists():
        assert process.poll() is None, "the emulator has ended"
        assert time.monotonic() < deadline, "the emulator is not ready in time"
        time.sleep(0.1)
    return json.loads(path.read_text())


def _reach(emulator: dict[str, Any], name: str) -> Emulated:
    server = emulator["servers"][name]
    port = int(server["url"].rpartition(":")[2])
    access = Access(
        ADDRESS, "Administrator", PASSWORD, port, verify_ca=server["certificate"], timeout=30.0
    )
    return Emulated(name, access, emulator["control"])


@pytest.fixture
def gen9(emulator: dict[str, Any]) -> Iterator[Emulated]:
    """The emulated Gen9, off and in legacy mode before and after."""
    gen9 = _reach(emulator, "gen9")
    yield gen9
    bmc = gen9.connect()
    bmc.set_pending_boot_mode(BootMode.LEGACY)
    bmc.reset()
    bmc.power_off()


@pytest.fixture
def emulated(emulator: dict[str, Any]) -> Iterator[Emulated]:
    """The emulated iLO, off and with empty drives before and after."""
    emulated = _reach(emulator, "node-0")
    yield emulated
    bmc = emulated.connect()
    bmc.power_off()
    for device in Device:
        bmc.eject_media(device)
    bmc.set_one_time_boot(BootDevice.NORMAL)


def test_product_and_licence(emulated: Emulated):
    bmc = emulated.connect()
    product = bmc.product()
    assert isinstance(product, Product)
    assert product.model == "ProLiant DL380p Gen8"
    assert product.processor == "iLO 4"
    assert "Advanced" in product.license_type
    bmc.check_virtual_media()


def test_power(emulated: Emulated):
    bmc = emulated.connect()
    assert bmc.get_power_state() is PowerState.OFF
    starts = emulated.state()["starts"]
    bmc.reset()
    assert (bmc.get_power_state(), emulated.state()["starts"]) == (PowerState.ON, starts + 1)
    bmc.power_on()
    assert emulated.state()["starts"] == starts + 1
    bmc.reset()
    assert emulated.state()["starts"] == starts + 2
    bmc.power_off()
    bmc.power_off()
    assert bmc.get_power_state() is PowerState.OFF


def test_a_boot_from_virtual_media_and_the_next_one(emulated: Emulated):
    bmc = emulated.connect()
    bmc.insert_media(Device.FLOPPY, FLOPPY)
    bmc.insert_media(Device.CDROM, "http://127.0.22.1:8088/v1/old.iso")
    bmc.insert_media(Device.CDROM, ISO)
    bmc.set_one_time_boot(BootDevice.CDROM)
    assert bmc.get_media_status(Device.CDROM) == MediaStatus(True, False, True, ISO)
    assert bmc.get_one_time_boot() is BootDevice.CDROM

    bmc.power_on()
    boot = emulated.state()["boots"][-1]
    assert boot["device"] == "cdrom"
    assert (boot["cdrom_url"], boot["floppy_url"]) == (ISO, FLOPPY)
    assert bmc.get_media_status(Device.FLOPPY).connected
    assert bmc.get_one_time_boot() is BootDevice.NORMAL

    bmc.reset()
    assert emulated.state()["booted_from"] != "cdrom"
    assert not bmc.get_media_status(Device.CDROM).inserted
    bmc.eject_media(Device.CDROM)


def test_a_url_with_a_query_is_read_back(emulated: Emulated):
    bmc = emulated.connect()
    url = f"{ISO}?temp_url_sig=0123&temp_url_expires=1795350000"
    bmc.insert_media(Device.CDROM, url)
    assert bmc.get_media_status(Device.CDROM).url == url
    assert emulated.state()["media"]["CDROM"]["url"] == url


def test_eject(emulated: Emulated):
    bmc = emulated.connect()
    bmc.insert_media(Device.CDROM, ISO)
    bmc.eject_media(Device.CDROM)
    assert bmc.get_media_status(Device.CDROM) == MediaStatus(False, False, False, "")
    bmc.eject_media(Device.CDROM)


def test_boot_order_and_mode(emulated: Emulated):
    bmc = emulated.connect()
    order = bmc.get_persistent_boot()
    bmc.set_persistent_boot(BootDevice.NETWORK)
    rest = [device for device in order if device is not BootDevice.NETWORK]
    assert bmc.get_persistent_boot() == [BootDevice.NETWORK, *rest]
    bmc.set_persistent_boot(order[0])
    assert bmc.get_boot_mode() is BootMode.LEGACY


def test_boot_modes_and_secure_boot_of_a_gen9(gen9: Emulated):
    bmc = gen9.connect()
    assert bmc.get_supported_boot_modes() == [BootMode.LEGACY, BootMode.UEFI]
    assert bmc.get_secure_boot() == SecureBoot(current=False, pending=False)
    with pytest.raises(BmcFeatureMissing, match="Put the server into UEFI mode"):
        bmc.set_secure_boot(enabled=True)
    with gen9.fault(post_refusals=2):
        bmc.set_pending_boot_mode(BootMode.UEFI)
    assert (bmc.get_boot_mode(), bmc.get_pending_boot_mode()) == (BootMode.LEGACY, BootMode.UEFI)
    bmc.power_on()
    assert bmc.get_boot_mode() is BootMode.UEFI
    assert bmc.get_persistent_boot() == [BootDevice.HDD, BootDevice.NETWORK]
    bmc.set_persistent_boot(BootDevice.NETWORK)
    assert bmc.get_persistent_boot()[0] is BootDevice.NETWORK
    with gen9.fault(post_refusals=2):
        bmc.set_secure_boot(enabled=True)
    assert bmc.get_secure_boot() == SecureBoot(current=False, pending=True)
    bmc.reset()
    assert bmc.get_secure_boot() == SecureBoot(current=True, pending=True)
    bmc.set_secure_boot(enabled=False)


def test_what_a_gen8_has_not(emulated: Emulated):
    bmc = emulated.connect()
    assert bmc.get_supported_boot_modes() == [BootMode.LEGACY]
    assert bmc.get_pending_boot_mode() is BootMode.LEGACY
    for refused in (
        lambda: bmc.set_pending_boot_mode(BootMode.UEFI),
        bmc.get_secure_boot,
        lambda: bmc.set_secure_boot(enabled=True),
    ):
        with pytest.raises(BmcFeatureMissing, match="Check the server's generation"):
            refused()


def test_inventory_and_sensors(emulated: Emulated):
    bmc = emulated.connect()
    assert bmc.get_health().inventory.memory_mib is None
    bmc.power_on()
    health = bmc.get_health()
    assert health.inventory == Inventory(
        cpus=8,
        cpu_arch="x86_64",
        memory_mib=16384,
        disks_gib=(279,),
        macs=health.inventory.macs,
        rom_version="P70 08/02/2014",
        ilo_version="2.55 Aug 16 2017",
    )
    assert len(health.inventory.macs) == 1
    assert {sensor.kind for sensor in health.sensors} == set(SensorKind)


def test_nmi(gen9: Emulated, emulated: Emulated):
    bmc = gen9.connect()
    bmc.power_on()
    bmc.inject_nmi()
    assert gen9.state()["nmis"] == 1
    emulated.connect().power_on()
    with pytest.raises(BmcFeatureMissing, match="Check the server's generation"):
        emulated.connect().inject_nmi()
    assert emulated.state()["nmis"] == 0


def test_rest_of_an_ilo_that_fails(gen9: Emulated):
    with gen9.fault(silent=True), pytest.raises(BmcUnreachable, match="within 1 s"):
        gen9.connect(timeout=1.0).get_secure_boot()
    with pytest.raises(BmcLoginFailed):
        gen9.connect(password="wrong-Pa$$w0rd").get_secure_boot()


def test_refusals_during_post_are_sat_out(emulated: Emulated):
    bmc = emulated.connect()
    with emulated.fault(post_refusals=2):
        bmc.set_one_time_boot(BootDevice.CDROM)
        assert bmc.get_one_time_boot() is BootDevice.CDROM


def test_refusals_that_do_not_end(emulated: Emulated):
    with emulated.fault(post_refusals=1000), pytest.raises(BmcBusy, match="POST"):
        emulated.connect(busy_timeout=1.0).set_one_time_boot(BootDevice.CDROM)


def test_a_missing_licence(emulated: Emulated):
    bmc = emulated.connect()
    with emulated.fault(no_license=True):
        with pytest.raises(BmcFeatureMissing, match="Standard"):
            bmc.check_virtual_media()
        with pytest.raises(BmcFeatureMissing, match="licen"):
            bmc.insert_media(Device.CDROM, ISO)


@pytest.mark.parametrize("fault", [{"silent": True}, {"refuse": True}, {"drop": True}])
def test_an_ilo_that_fails(emulated: Emulated, fault):
    with emulated.fault(**fault):
        started = time.monotonic()
        with pytest.raises(BmcUnreachable, match=rf"^iLO {ADDRESS}:\d+: could not read"):
            emulated.connect(timeout=2.0).get_power_state()
        assert time.monotonic() - started < 10
    assert emulated.connect().get_power_state() is PowerState.OFF


def test_a_slow_ilo(emulated: Emulated):
    with emulated.fault(slow_s=2):
        assert emulated.connect().get_power_state() is PowerState.OFF
        with pytest.raises(BmcUnreachable, match="within 1 s"):
            emulated.connect(timeout=1.0).get_power_state()


def test_a_wrong_password(emulated: Emulated):
    with pytest.raises(BmcLoginFailed):
        emulated.connect(password="wrong-Pa$$w0rd").power_on()


def test_a_certificate_that_is_not_known(emulated: Emulated):
    with pytest.raises(BmcUnreachable, match="ilo_verify_ca"):
        emulated.connect(verify_ca=True).get_power_state()
