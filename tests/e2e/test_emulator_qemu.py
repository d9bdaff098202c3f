"""A QEMU machine behind the emulated iLO boots what virtual media hold.

The guest is a boot sector of a few bytes: it says a line on the serial port and the screen, and
then waits, resets the machine, or powers it off.
"""

import asyncio
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hpilo
import pytest
from aiohttp import web
from proliantutils.ilo.ris import RISOperations

from ilo_emulator.accelerator import PROCESSORS, runs_guest
from ilo_emulator.config import Accel
from tests.processes import find_children

pytestmark = pytest.mark.e2e

ADDRESS = "127.0.20.30"
PORTAL = 20330
IMAGES = "127.0.20.31"
LINE = "the guest speaks"
DEADLINE = 120
SECTOR = 2048
XORRISO = ["xorriso", "-as", "mkisofs", "-quiet", "-o"]
SHIM = "/usr/lib/shim/shimx64.efi.signed"
GRUB = "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"
CONFIG = f"""
[emulator]
state_dir = "state"
ready_file = "ready.json"

[[server]]
name = "node-0"
address = "{ADDRESS}"
port = 0
password = "secret"
generation = "ilo4-gen9"
machine = "qemu"

[server.qemu]
memory_mib = 128
cpus = 1
accel = "tcg"
disk = "disk.qcow2"
disk_size_gib = 1
mac = "52:54:00:12:34:56"
iscsi_portal = "{ADDRESS}:{PORTAL}"
extra_disks = [
    {{ size_gib = 1, sector_size = 4096, serial = "LARGE-1" }},
    {{ size_gib = 1, interface = "nvme" }},
    {{ size_gib = 1, interface = "megasas" }},
]
"""
# GRUB refuses what may break Secure Boot ("lockdown") where the firmware enforces it.
GRUB_CONFIG = f"""serial
terminal_output serial
echo "{LINE}: $grub_platform, lockdown: $lockdown."
halt
"""
WAIT = bytes.fromhex("f4 eb fd")  # hlt; jmp to it
RESET = bytes.fromhex("b0 fe e6 64") + WAIT  # the keyboard controller's reset line
POWER_OFF = bytes.fromhex("ba 04 06 b8 00 20 ef") + WAIT  # PM1a_CNT of q35: SLP_EN, S5


def boot_sector(then: bytes) -> bytes:
    """Assemble a guest: say LINE, then do something."""
    say = bytes.fromhex("ac 84 c0 74 0d ba f8 03 ee b4 0e bb 07 00 cd 10 eb ee") + then
    find = bytes.fromhex("fc 0e 1f e8 00 00 5e 81 c6")  # cld; ds = cs; si = here; si += …
    distance = struct.pack("<H", len(bytes.fromhex("5e 81 c6 00 00")) + len(say))
    message = f"{LINE}\r\n".encode() + b"\0"
    return find + distance + say + message


@dataclass(frozen=True)
class Emulator:
    """A running emulator with one server."""

    process: subprocess.Popen[bytes]
    directory: Path
    ready: dict[str, Any]

    @property
    def ilo(self) -> hpilo.Ilo:
        server = self.ready["servers"]["node-0"]
        port = int(server["url"].rpartition(":")[2])
        context = ssl.create_default_context(cafile=server["certificate"])
        return hpilo.Ilo(
            ADDRESS, "Administrator", "secret", timeout=60, port=port, ssl_context=context
        )

    def ask(self, path: str = "", method: str = "GET") -> Any:
        url = f"{self.ready['control']}/servers/node-0{path}"
        with urllib.request.urlopen(
            urllib.request.Request(url, method=method), timeout=60
        ) as reply:
            return json.load(reply)

    def lines(self) -> int:
        """Count how often a guest has spoken."""
        log = Path(self.ask()["console_log"])
        return log.read_bytes().count(LINE.encode()) if log.exists() else 0

    def says(self, text: str) -> bool:
        """Tell whether a guest has said this on its console."""
        log = Path(self.ask()["console_log"])
        return log.exists() and text.encode() in log.read_bytes()

    def children(self) -> list[int]:
        return find_children(self.process.pid)

    def boot_once(self, *media: tuple[str, str]) -> None:
        for device, url in media:
            self.ilo.insert_virtual_media(device, url)
            self.ilo.set_vm_status(device, "boot_once", write_protect=True)
        self.ilo.set_one_time_boot("cdrom")
        self.ilo.set_host_power(True)


def wait_until(what: str, true: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.2)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    (tmp_path / "lab.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "ilo_emulator.cli", "--config", str(tmp_path / "lab.toml")]
    ready = tmp_path / "ready.json"
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            wait_until("the emulator is ready", lambda: ready.exists() or process.poll())
            assert process.poll() is None, (tmp_path / "log").read_text()
            yield Emulator(process, tmp_path, json.loads(ready.read_text()))
        finally:
            process.terminate()
            process.wait(DEADLINE)
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve bootable ISOs and a floppy in ranges; the value is where."""
    directory = tmp_path_factory.mktemp("images")
    for name, then in (("wait", WAIT), ("reset", RESET), ("off", POWER_OFF)):
        _make_iso(directory, name, then)
    _make_uefi_iso(directory)
    (directory / "floppy.img").write_bytes(b"floppy".ljust(1440 * 1024, b"\0"))
    loop = asyncio.new_event_loop()
    runner = loop.run_until_complete(_serve(directory))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://{IMAGES}:{runner.addresses[0][1]}/signature"
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(DEADLINE)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(DEADLINE)
    loop.close()


def _make_iso(directory: Path, name: str, then: bytes) -> None:
    tree = directory / name
    tree.mkdir()
    (tree / "boot.bin").write_bytes(boot_sector(then).ljust(SECTOR, b"\0"))
    command = [*XORRISO, str(directory / f"{name}.iso")]
    command += ["-b", "boot.bin", "-no-emul-boot", "-boot-load-size", "4", str(tree)]
    subprocess.run(command, check=True, timeout=DEADLINE, capture_output=True)


def _make_uefi_iso(directory: Path) -> None:
    """Make an ISO that UEFI boots: Debian's signed shim and GRUB, and a script."""
    tree, esp = directory / "uefi", directory / "uefi/esp.img"
    for name, content in (("boot/grub/grub.cfg", GRUB_CONFIG), (".disk/info", "")):
        (tree / name).parent.mkdir(parents=True)
        (tree / name).write_text(content)
    commands = (
        ["mformat", "-C", "-i", str(esp), "-T", str(8 * 2048), "-h", "64", "-s", "32", "::"],
        ["mmd", "-i", str(esp), "::EFI", "::EFI/BOOT"],
        ["mcopy", "-i", str(esp), SHIM, "::EFI/BOOT/BOOTX64.EFI"],
        ["mcopy", "-i", str(esp), GRUB, "::EFI/BOOT/grubx64.efi"],
        [*XORRISO, str(directory / "uefi.iso"), "-e", "esp.img", "-no-emul-boot", str(tree)],
    )
    for command in commands:
        subprocess.run(command, check=True, timeout=DEADLINE, capture_output=True)


async def _serve(directory: Path) -> web.AppRunner:
    application = web.Application()
    application.router.add_static("/signature", directory)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, IMAGES, 0).start()
    return runner


def test_boots_once_from_the_cdrom_that_is_streamed(emulator: Emulator, images: str):
    emulator.boot_once(("CDROM", f"{images}/wait.iso"), ("FLOPPY", f"{images}/floppy.img"))
    wait_until("the guest speaks", lambda: emulator.lines() == 1)
    server = emulator.ask()
    assert server["booted_from"] == "cdrom"
    assert server["media"]["CDROM"]["bytes_fetched"] >= SECTOR
    assert server["bytes_fetched"] == sum(
        drive["bytes_fetched"] for drive in server["media"].values()
    )
    assert _has_several_colours(Path(emulator.ask("/screenshot", "POST")["path"]))
    for pid in emulator.children():
        assert "signature" not in Path(f"/proc/{pid}/cmdline").read_text()

    server = emulator.ask("/reset", "POST")
    assert (server["starts"], server["booted_from"]) == (2, "hdd")
    assert not any(drive["inserted"] for drive in server["media"].values())
    time.sleep(5)
    assert emulator.lines() == 1


def _has_several_colours(path: Path) -> bool:
    """Tell whether a PNG shows anything: decompressed, its rows are not all alike."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    position, pixels = 8, b""
    while position < len(content):
        (length,) = struct.unpack_from(">I", content, position)
        if content[position + 4 : position + 8] == b"IDAT":
            pixels += content[position + 8 : position + 8 + length]
        position += length + 12
    return len(set(zlib.decompress(pixels))) > 2


def test_a_guest_that_resets_starts_anew_without_the_medium(emulator: Emulator, images: str):
    emulator.boot_once(("CDROM", f"{images}/reset.iso"))
    wait_until("the second start", lambda: emulator.ask()["starts"] == 2)
    server = emulator.ask()
    assert [boot["device"] for boot in server["boots"]] == ["cdrom", "hdd"]
    assert (server["power"], server["media"]["CDROM"]["inserted"]) == ("on", False)
    assert emulator.lines() == 1


def test_a_guest_that_powers_off(emulator: Emulator, images: str):
    emulator.boot_once(("CDROM", f"{images}/off.iso"))
    wait_until("it is off", lambda: emulator.ask()["power"] == "off")
    assert emulator.lines() == 1
    assert emulator.ilo.get_vm_status("CDROM")["image_inserted"] == "YES"
    assert emulator.children() == []


def test_media_come_and_go_while_it_runs(emulator: Emulator, images: str):
    ilo = emulator.ilo
    ilo.set_host_power(True)
    for device, name in (("CDROM", "wait.iso"), ("FLOPPY", "floppy.img")):
        for _ in range(2):
            ilo.insert_virtual_media(device, f"{images}/{name}")
            ilo.set_vm_status(device, "connect")
            assert ilo.get_vm_status(device)["vm_applet"] == "CONNECTED"
            ilo.eject_virtual_media(device)
            assert ilo.get_vm_status(device)["vm_applet"] == "DISCONNECTED"
    assert ilo.get_host_power_status() == "ON"
    ilo.insert_virtual_media("CDROM", f"{images}/wait.iso")
    ilo.set_vm_status("CDROM", "connect")
    emulator.ask("/reset", "POST")
    wait_until("the guest speaks", lambda: emulator.lines() == 1)


def test_a_medium_that_cannot_be_read_is_left_out(emulator: Emulator, images: str):
    emulator.boot_once(("CDROM", f"{images}/expired.iso"))
    assert (emulator.ask()["power"], emulator.ask()["booted_from"]) == ("on", "hdd")
    assert "signature" not in (emulator.directory / "log").read_text()


def test_the_disk_survives_power_cycles(emulator: Emulator):
    raw = emulator.directory / "disk.raw"
    raw.write_bytes(boot_sector(WAIT).ljust(510, b"\0") + b"\x55\xaa")
    os.truncate(raw, 1 << 30)
    command = ["qemu-img", "convert", "-O", "qcow2", str(raw)]
    subprocess.run([*command, str(emulator.directory / "disk.qcow2")], check=True, timeout=60)
    for starts in (1, 2):
        emulator.ilo.set_host_power(True)
        wait_until("the guest speaks", lambda starts=starts: emulator.lines() == starts)
        emulator.ilo.hold_pwr_btn()


def test_a_machine_that_cannot_start_says_why(emulator: Emulator):
    with socket.create_server((ADDRESS, PORTAL)):
        with pytest.raises(hpilo.IloError, match=r"QEMU did not start: .*hostfwd"):
            emulator.ilo.set_host_power(True)
        assert emulator.ilo.get_host_power_status() == "OFF"
        assert emulator.children() == []
    emulator.ilo.set_host_power(True)
    assert emulator.ilo.get_host_power_status() == "ON"


def test_no_qemu_survives_its_emulator(emulator: Emulator):
    emulator.ilo.set_host_power(True)
    [machine] = emulator.children()
    emulator.process.send_signal(signal.SIGTERM)
    assert emulator.process.wait(DEADLINE) == 0
    assert not Path(f"/proc/{machine}").exists()
    assert not (emulator.directory / "ready.json").exists()


def test_qemu_dies_with_an_emulator_that_is_killed(emulator: Emulator):
    emulator.ilo.set_host_power(True)
    [machine] = emulator.children()
    emulator.process.kill()
    emulator.process.wait(DEADLINE)
    wait_until("QEMU is gone", lambda: not _runs(machine))


def test_uefi_with_and_without_secure_boot(emulator: Emulator, images: str):
    """And the variables of the firmware survive: the second start finds Secure Boot's keys."""
    ilo, port = emulator.ilo, int(emulator.ready["servers"]["node-0"]["url"].rpartition(":")[2])
    ilo.set_pending_boot_mode("UEFI")
    ilo.insert_virtual_media("CDROM", f"{images}/uefi.iso")
    ilo.set_vm_status("CDROM", "boot_always")
    ilo.set_host_power(True)
    wait_until("the guest has halted", lambda: emulator.ask()["power"] == "off")
    assert emulator.says(f"{LINE}: efi, lockdown: .")

    certificate = emulator.ready["servers"]["node-0"]["certificate"]
    rest = RISOperations(f"{ADDRESS}:{port}", "Administrator", "secret", cacert=certificate)
    rest.set_secure_boot_mode(True)
    ilo.set_host_power(True)
    assert rest.get_secure_boot_mode()
    wait_until("the guest has halted again", lambda: emulator.ask()["power"] == "off")
    assert emulator.says(f"{LINE}: efi, lockdown: y.")


def test_the_probe_of_an_accelerator():
    processor = PROCESSORS[Accel.TCG]
    assert asyncio.run(runs_guest("tcg", processor))
    assert not asyncio.run(runs_guest("imaginary", processor))
    assert not asyncio.run(runs_guest("tcg", "imaginary"))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
