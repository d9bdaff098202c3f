"""Our ISOs boot where the firmware enforces Secure Boot: UEFI (OVMF) with Microsoft's keys."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy_ramdisk import cpio
from ironic_ilo.images import create_iso_image
from tests.e2e.test_deploy_ramdisk import assert_writes_reach_the_disk
from tests.ramdisk_machine import SECONDS_TO_BOOT, boot, start_conductor

pytestmark = pytest.mark.e2e

OVMF = Path("/usr/share/OVMF")
# Words that mean something in GRUB's language, and one with a blank.
HOSTILE = ";reboot $root ${prefix} $(halt) `halt` { } && | # a=b=c;d"
INIT = b"""#!/bin/busybox sh
/bin/busybox echo "the ramdisk runs"
/bin/busybox sleep 3600
"""


def secure_boot(directory: Path) -> tuple[str, ...]:
    """QEMU's options for a firmware that enforces Secure Boot, with variables of its own."""
    variables = directory / "variables.fd"
    shutil.copyfile(OVMF / "OVMF_VARS_4M.ms.fd", variables)
    code, flash = OVMF / "OVMF_CODE_4M.secboot.fd", "if=pflash,format=raw"
    return (
        *("-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"),
        *("-drive", f"{flash},unit=0,readonly=on,file={code}"),
        *("-drive", f"{flash},unit=1,file={variables}"),
    )


@contextmanager
def boot_iso(directory: Path, iso: Path) -> Iterator[Path]:
    """Boot an ISO under Secure Boot; yield the log of the serial console."""
    console = directory / "console"
    command = ["qemu-system-x86_64", "-nodefaults", "-machine", "q35", "-accel", "tcg"]
    command += ["-cpu", "max", "-smp", "2", "-m", "512", "-display", "none", "-vga", "std"]
    command += ["-serial", f"file:{console}", *secure_boot(directory), "-device", "qemu-xhci"]
    command += ["-drive", f"if=none,id=cd,format=raw,readonly=on,file={iso}"]
    command += ["-device", "usb-bot,id=cd-usb", "-device", "scsi-cd,drive=cd,bus=cd-usb.0"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            yield console
        finally:
            process.kill()


def wait_until_said(console: Path, text: str) -> str:
    deadline = time.monotonic() + SECONDS_TO_BOOT
    said = ""
    while text not in said:
        assert time.monotonic() < deadline, f"{text!r} is not in:\n{said}"
        time.sleep(0.1)
        said = console.read_text(errors="replace") if console.exists() else ""
    return said


def make_iso(directory: Path, kernel: Path) -> Path:
    iso, ramdisk = directory / "boot.iso", directory / "ramdisk"
    busybox = cpio.file(Path("/bin/busybox").read_bytes(), 0o755)
    files = {"bin/busybox": busybox, "init": cpio.file(INIT, 0o755)}
    console = cpio.character_device(5, 1, 0o600)
    ramdisk.write_bytes(cpio.pack(files | {"dev/console": console}))
    params = f'{HOSTILE} quoted="a b" console=ttyS0,115200'
    create_iso_image(iso, kernel=kernel, ramdisk=ramdisk, kernel_params=params)
    return iso


def test_deploy_iso_offers_the_disk_under_secure_boot(tmp_path, deploy_iso):
    """The kernel is locked down then: it takes modules that Debian has signed, and no others."""
    with (
        start_conductor() as conductor,
        boot(
            tmp_path,
            deploy_iso,
            f"http://10.0.2.2:{conductor.port}",
            firmware=secure_boot(tmp_path),
        ) as machine,
    ):
        (call,) = conductor.wait_for_calls(1)
        assert call.body["error"] == ""
        machine.wait_until_said("UEFI mode with Secure Boot")
        machine.wait_until_said("waiting for the conductor")
        assert_writes_reach_the_disk(machine)


def test_boot_iso_hands_kernel_parameters_over_under_secure_boot(tmp_path, tiny_instance):
    with boot_iso(tmp_path, make_iso(tmp_path, tiny_instance.kernel)) as console:
        said = wait_until_said(console, "the ramdisk runs")
    expected = f'Command line: BOOT_IMAGE=/vmlinuz {HOSTILE} "quoted=a b" console=ttyS0,115200'
    assert expected in said
    assert "Kernel is locked down from EFI Secure Boot" in said


def test_secure_boot_refuses_a_kernel_that_was_changed(tmp_path, tiny_instance):
    """GRUB asks shim, and its prompt is closed then."""
    content = bytearray(tiny_instance.kernel.read_bytes())
    content[len(content) // 2] ^= 1
    changed = tmp_path / "vmlinuz"
    changed.write_bytes(content)
    with boot_iso(tmp_path, make_iso(tmp_path, changed)) as console:
        said = wait_until_said(console, "Enter username:")
    assert "bad shim signature" in said
    assert "Linux version" not in said
