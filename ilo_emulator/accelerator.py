"""Finding out whether KVM really works here.

``/dev/kvm`` that opens is no proof: under some hypervisors the guest hangs at its first
instruction, and under others QEMU ends when the processor is one of today's. So a guest of a few
bytes must end within a deadline, on the processor that machines get.
"""

import asyncio
import contextlib
import json
import logging
import tempfile
from pathlib import Path

from ilo_emulator.config import Accel

LOG = logging.getLogger(__name__)

PROCESSORS = {Accel.TCG: "Nehalem,+rdrand", Accel.KVM: "max"}
"""QEMU's ``-cpu``; emulated, the oldest that distributions run on, and a source of entropy."""

_PROBE_SECONDS = 5.0
_KVM = Path("/dev/kvm")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SECTOR = 512
_FLOPPY_SIZE = 1440 * 1024
# mov al, 0x2a; out 0xf4, al; hlt: QEMU's isa-debug-exit ends with (0x2a << 1) | 1.
_GUEST = bytes.fromhex("b02a e6f4 f4")
_GUEST_EXIT_CODE = 0x55


async def choose(wanted: Accel, state_dir: Path) -> Accel:
    """Choose KVM or TCG; the answer of a probe is kept in ``state_dir`` until the next boot.

    KVM that was asked for by name is taken unseen.
    """
    if wanted is not Accel.AUTO:
        return wanted
    cache, boot = state_dir / "accelerator.json", _BOOT_ID.read_text(encoding="ascii").strip()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(cache.read_text(encoding="utf-8"))
        if known["boot"] == boot:
            return Accel(known["accel"])
    accel = Accel.KVM if await _kvm_works() else Accel.TCG
    cache.write_text(json.dumps({"boot": boot, "accel": accel}), encoding="utf-8")
    return accel


async def _kvm_works() -> bool:
    if not _KVM.exists():
        LOG.info("there is no %s: machines are emulated", _KVM)
        return False
    works = await runs_guest("kvm", PROCESSORS[Accel.KVM])
    LOG.info("KVM %s", "works" if works else "does not work here: machines are emulated")
    return works


async def runs_guest(accel: str, processor: str) -> bool:
    """Tell whether a guest of a few bytes ends within the deadline under an accelerator."""
    with tempfile.NamedTemporaryFile(prefix="ilo-emulator-", suffix=".img") as image:
        image.write(_GUEST.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa")
        image.truncate(_FLOPPY_SIZE)
        image.flush()
        return await _exit_code(accel, processor, image.name) == _GUEST_EXIT_CODE


async def _exit_code(accel: str, processor: str, image: str) -> int | None:
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "KILL", "--", "qemu-system-x86_64"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-m", "32"),
        *("-accel", accel, "-cpu", processor),
        *("-drive", f"if=floppy,format=raw,read-only=on,file={image}"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=1"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return await asyncio.wait_for(process.wait(), _PROBE_SECONDS)
    except TimeoutError:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
