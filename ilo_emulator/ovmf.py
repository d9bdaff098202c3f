"""UEFI firmware for QEMU: Debian's OVMF, and each server's store of variables.

One build serves with and without Secure Boot: whether the firmware enforces it stands in the
variable ``SecureBootEnable``, which guests cannot write (SMM keeps them off the store). Under TCG
a start takes as much CPU time as with the build without SMM, 5 to 6 s until GRUB speaks, and 2.5 s
longer (measured).
"""

import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from ilo_emulator.firmware import FirmwarePlan, Keys
from ilo_emulator.state import MachineFailed

_OVMF = Path("/usr/share/OVMF")
_CODE = _OVMF / "OVMF_CODE_4M.secboot.fd"
_TEMPLATES = {Keys.FACTORY: _OVMF / "OVMF_VARS_4M.ms.fd", Keys.NONE: _OVMF / "OVMF_VARS_4M.fd"}
# The end of an AUTHENTICATED_VARIABLE_HEADER of EDK II (sizes of name and data, vendor), and the
# name: the data, one byte, follows.
_NAME = "SecureBootEnable\0".encode("utf-16-le")
_VENDOR = UUID("f0a30bc7-af08-4556-99c4-001009c93a44")
_SECURE_BOOT_ENABLE = struct.pack("<II", len(_NAME), 1) + _VENDOR.bytes_le + _NAME


@dataclass(frozen=True)
class FlashImages:
    """What a machine has in its flash: the firmware, which is never written, and its variables."""

    code: Path
    variables: Path


def prepare_flash(directory: Path, plan: FirmwarePlan) -> FlashImages:
    """Get a server's flash ready for a start; its variables survive power cycles.

    Servers without keys have a store of their own, for without keys nothing can be enforced.

    :param directory: the server's own.
    :raises MachineFailed: OVMF is not installed, or is another than expected.
    """
    variables = directory / f"variables-{plan.keys.name.lower()}.fd"
    try:
        if not variables.exists():
            shutil.copyfile(_TEMPLATES[plan.keys], variables)
        if plan.keys is Keys.FACTORY:
            _set_secure_boot(variables, enabled=plan.secure_boot)
    except FileNotFoundError as error:
        raise MachineFailed(f"{error.filename} was not found: install ovmf") from error
    return FlashImages(_CODE, variables)


def _set_secure_boot(variables: Path, *, enabled: bool) -> None:
    store = bytearray(variables.read_bytes())
    position = store.find(_SECURE_BOOT_ENABLE)
    if position < 0:
        raise MachineFailed(f"there is no variable SecureBootEnable in {variables}")
    while position >= 0:  # superseded copies may stand beside the valid one
        store[position + len(_SECURE_BOOT_ENABLE)] = enabled
        position = store.find(_SECURE_BOOT_ENABLE, position + 1)
    variables.write_bytes(store)
