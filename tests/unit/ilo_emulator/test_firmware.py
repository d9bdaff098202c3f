"""Firmware settings, and what QEMU's flash holds of them."""

from pathlib import Path

import pytest

from ilo_emulator import ovmf
from ilo_emulator.firmware import BootMode, Firmware, FirmwarePlan, Keys
from ilo_emulator.state import MachineFailed


def test_settings_apply_at_the_next_start():
    firmware = Firmware()
    firmware.pending_boot_mode = BootMode.UEFI
    firmware.secure_boot_enable = True
    assert firmware.current == FirmwarePlan(BootMode.LEGACY, secure_boot=False)
    assert firmware.start() == FirmwarePlan(BootMode.UEFI, secure_boot=True)
    firmware.keys = Keys.NONE
    assert firmware.start() == FirmwarePlan(BootMode.UEFI, False, Keys.NONE)
    firmware.keys = Keys.FACTORY
    firmware.pending_boot_mode = BootMode.LEGACY
    assert firmware.start() == FirmwarePlan(BootMode.LEGACY, secure_boot=False)
    # The wish outlasts a time in the other mode.
    firmware.pending_boot_mode = BootMode.UEFI
    assert firmware.start().secure_boot


def enforced(flash: ovmf.FlashImages) -> int:
    name = "SecureBootEnable\0".encode("utf-16-le")
    store = flash.variables.read_bytes()
    assert store.count(name) == 1
    return store[store.index(name) + len(name)]


def test_one_store_of_variables_with_and_without_secure_boot(tmp_path: Path):
    for secure_boot in (True, False, True):
        plan = FirmwarePlan(BootMode.UEFI, secure_boot=secure_boot)
        flash = ovmf.prepare_flash(tmp_path, plan)
        assert flash.code.exists()
        assert enforced(flash) == secure_boot
    store = flash.variables
    # What the firmware has written there stays.
    store.write_bytes(store.read_bytes()[:-4] + b"mark")
    ovmf.prepare_flash(tmp_path, plan)
    assert store.read_bytes().endswith(b"mark")
    bare = ovmf.prepare_flash(tmp_path, FirmwarePlan(BootMode.UEFI, keys=Keys.NONE))
    assert bare.variables != store


def test_ovmf_that_is_missing_or_strange(tmp_path: Path, monkeypatch):
    plan = FirmwarePlan(BootMode.UEFI)
    (tmp_path / "variables-factory.fd").write_bytes(b"no variable store")
    with pytest.raises(MachineFailed, match="no variable SecureBootEnable"):
        ovmf.prepare_flash(tmp_path, plan)
    (tmp_path / "variables-factory.fd").unlink()
    monkeypatch.setattr(ovmf, "_TEMPLATES", {Keys.FACTORY: tmp_path / "absent.fd"})
    with pytest.raises(MachineFailed, match="install ovmf"):
        ovmf.prepare_flash(tmp_path, plan)
