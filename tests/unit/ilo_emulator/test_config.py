"""The configuration file and its errors."""

import re
from pathlib import Path

import pytest

from ilo_emulator.config import Accel, ConfigError, DiskConfig, DiskInterface, Endpoint, Nic, load
from ilo_emulator.firmware import BootMode
from ilo_emulator.profile import PROFILES

EMULATOR = '[emulator]\nstate_dir = "state"\ncontrol = "127.0.0.1:8090"\n'
SERVER = '[[server]]\nname = "node-0"\naddress = "127.0.1.10"\npassword = "hunter2"\n'
QEMU = 'machine = "qemu"\n[server.qemu]\ndisk = "d.qcow2"\nmac = "52:54:00:12:34:56"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lab.toml"
    path.write_text(text)
    return path


def test_the_least(tmp_path: Path):
    config = load(written(tmp_path, EMULATOR + SERVER))
    [server] = config.servers
    assert config.state_dir == tmp_path / "state"
    assert config.control == Endpoint("127.0.0.1", 8090)
    assert config.ready_file is None
    assert (server.listen, server.username) == (Endpoint("127.0.1.10", 443), "Administrator")
    assert server.profile.name == "ilo4-gen8"
    assert server.qemu is None
    assert "hunter2" not in repr(config)


def test_the_same_name_gives_the_same_identity(tmp_path: Path):
    first, second = (load(written(tmp_path, EMULATOR + SERVER)).servers[0] for _ in range(2))
    other = load(written(tmp_path, EMULATOR + SERVER.replace("node-0", "node-1"))).servers[0]
    assert (first.uuid, first.serial_number) == (second.uuid, second.serial_number)
    assert first.uuid != other.uuid


def test_a_qemu_machine(tmp_path: Path):
    more = 'iscsi_portal = "127.0.1.10:3260"\nnic = "virtio"\naccel = "tcg"\ncpus = 1\n'
    qemu = load(written(tmp_path, EMULATOR + SERVER + QEMU + more)).servers[0].qemu
    assert qemu is not None
    assert qemu.iscsi_portal == Endpoint("127.0.1.10", 3260)
    assert (qemu.nic, qemu.accel, qemu.cpus) == (Nic.VIRTIO, Accel.TCG, 1)
    assert qemu.disks == (DiskConfig(tmp_path / "d.qcow2", 8, DiskInterface.AHCI, 512, None),)


def test_boot_modes_and_generations(tmp_path: Path):
    [server] = load(written(tmp_path, EMULATOR + SERVER)).servers
    assert (server.boot_mode, server.secure_boot) == (BootMode.LEGACY, False)
    uefi = EMULATOR + SERVER + 'boot_mode = "uefi"\nsecure_boot = true\n'
    [server] = load(written(tmp_path, uefi)).servers
    assert (server.boot_mode, server.secure_boot) == (BootMode.UEFI, True)
    assert server.profile.name == "ilo4-gen9"


@pytest.mark.parametrize("generation", PROFILES)
def test_each_generation_is_delivered_in_a_boot_mode_of_its_own(tmp_path: Path, generation: str):
    [server] = load(written(tmp_path, f'{EMULATOR}{SERVER}generation = "{generation}"')).servers
    later = not generation.startswith("ilo4")
    assert server.boot_mode is (BootMode.UEFI if later else BootMode.LEGACY)
    for mode in server.profile.boot_modes:
        text = f'{EMULATOR}{SERVER}generation = "{generation}"\nboot_mode = "{mode.lower()}"'
        assert load(written(tmp_path, text)).servers[0].boot_mode is mode


def test_extra_disks(tmp_path: Path):
    more = 'serial = "S"\nextra_disks = [{ size_gib = 2, sector_size = 4096, serial = "X" }, {}]'
    qemu = load(written(tmp_path, EMULATOR + SERVER + QEMU + more)).servers[0].qemu
    assert qemu is not None
    assert qemu.disks == (
        DiskConfig(tmp_path / "d.qcow2", 8, DiskInterface.AHCI, 512, "S"),
        DiskConfig(tmp_path / "d-1.qcow2", 2, DiskInterface.VIRTIO, 4096, "X"),
        DiskConfig(tmp_path / "d-2.qcow2", 8, DiskInterface.AHCI, 512, None),
    )


def test_the_password_from_a_file(tmp_path: Path):
    (tmp_path / "secret").write_text("p w\n")
    text = EMULATOR + SERVER.replace('password = "hunter2"', 'password_file = "secret"')
    assert load(written(tmp_path, text)).servers[0].password == "p w"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "emulator is missing"),
        ("[emulator", "cannot read"),
        (EMULATOR, "server is missing"),
        ("server = []\n" + EMULATOR, "[[server]]"),
        (EMULATOR + SERVER + "colour = 1", "server 'node-0': unknown: colour"),
        (EMULATOR + 'port = "x"\n' + SERVER, "emulator: unknown: port"),
        (EMULATOR.replace("127.0.0.1", "0.0.0.0") + SERVER, "loopback"),
        (EMULATOR.replace(":8090", "") + SERVER, "control must be an IP address"),
        (EMULATOR.replace("8090", "80900") + SERVER, "port from 0 to 65535"),
        (EMULATOR + SERVER.replace("node-0", "../x"), "server 1: name must be letters"),
        (EMULATOR + SERVER.replace("127.0.1.10", "host"), "address must be an IP address"),
        (EMULATOR + SERVER.replace('"hunter2"', "1"), "password must be a text"),
        (EMULATOR + SERVER.replace('password = "hunter2"', ""), "password is missing"),
        (EMULATOR + SERVER + 'password_file = "x"', "password_file cannot be read"),
        (EMULATOR + SERVER + 'newest_tls = "1.3"', "newest_tls must be one of 1.0, 1.1, 1.2"),
        (EMULATOR + SERVER + "port = 65536", "port must be a number from 0 to 65535"),
        (EMULATOR + SERVER + "port = true", "port must be a number"),
        (EMULATOR + SERVER + 'generation = "ilo9"', "generation must be one of ilo4-gen8"),
        (EMULATOR + SERVER + 'boot_mode = "both"', "boot_mode must be one of legacy, uefi"),
        (
            EMULATOR + SERVER + 'boot_mode = "uefi"\ngeneration = "ilo4-gen8"',
            "generation must be one of ilo4-gen9",
        ),
        (EMULATOR + SERVER + "secure_boot = true", "secure_boot needs boot_mode to be uefi"),
        (EMULATOR + SERVER + "secure_boot = 1", "secure_boot must be true or false"),
        (EMULATOR + SERVER + QEMU + "sector_size = 1024", "sector_size must be 512 or 4096"),
        (
            EMULATOR + SERVER + QEMU + 'sector_size = 4096\ndisk_interface = "ahci"',
            "disk_interface must be one of virtio, megasas, nvme",
        ),
        (EMULATOR + SERVER + QEMU + 'serial = "a b"', "serial must be 1 to 20 letters"),
        (EMULATOR + SERVER + QEMU + "extra_disks = 1", "extra_disks must be given as"),
        (EMULATOR + SERVER + QEMU + "extra_disks = [{a = 1}]", "extra_disks 1: unknown: a"),
        (
            EMULATOR + SERVER + QEMU + "extra_disks = [{}, {}, {}, {}, {}, {}]",
            "qemu: extra_disks can be 5 at most",
        ),
        (EMULATOR + SERVER + 'uuid = "x"', "uuid must be a UUID"),
        (EMULATOR + SERVER + 'machine = "xen"', "machine must be one of paper, qemu"),
        (EMULATOR + SERVER + 'machine = "qemu"', "qemu is missing"),
        (EMULATOR + SERVER + QEMU.replace("52:54", "52-54"), "mac must be six hex pairs"),
        (EMULATOR + SERVER + QEMU + 'nic = "tulip"', "nic must be one of e1000e"),
        (EMULATOR + SERVER + QEMU + "memory_mib = 1", "server 'node-0': qemu: memory_mib must"),
        (EMULATOR + SERVER + SERVER, "two servers have the same name"),
        (EMULATOR + SERVER + SERVER.replace("node-0", "n"), "the same address and port"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, complaint: str):
    with pytest.raises(ConfigError, match=re.escape(complaint)) as raised:
        load(written(tmp_path, text))
    assert "hunter2" not in str(raised.value)


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path / "absent.toml")
