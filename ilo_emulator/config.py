"""The emulator's configuration file.

Every check is made before anything starts, and every error names the place in the file.
"""

import ipaddress
import re
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from ilo_emulator.firmware import BootMode
from ilo_emulator.profile import PROFILES, Profile

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_PORTS = range(65536)
_SECTOR_SIZES = (512, 4096)
_TLS_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
}
# The machine's own SATA ports are the fewest.
_MOST_DISKS = 6
_SERIAL = re.compile(r"[A-Za-z0-9_-]{1,20}")
_NAMESPACE = UUID("c3f1e5a2-9f0b-4b0e-8f27-6c1f0d3a7e55")


class ConfigError(Exception):
    """The configuration cannot be used; the text says where and why."""


class Accel(StrEnum):
    """How QEMU runs the guest: ``auto`` is KVM where it really works, else emulation."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


class DiskInterface(StrEnum):
    """The controller through which the guest sees a disk; UEFI does not boot from megasas."""

    AHCI = "ahci"
    VIRTIO = "virtio"
    MEGASAS = "megasas"
    NVME = "nvme"


class Nic(StrEnum):
    """The network card that the guest sees."""

    E1000E = "e1000e"
    E1000 = "e1000"
    VIRTIO = "virtio"


@dataclass(frozen=True)
class Endpoint:
    """An address and a TCP port; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class DiskConfig:
    """One local disk.

    :ivar path: a qcow2 file, created when absent; it survives power cycles.
    :ivar sector_size: bytes of a logical block: 512 or 4096.
    :ivar serial: the serial number, ``None`` for the one that QEMU gives.
    """

    path: Path
    size_gib: int
    interface: DiskInterface
    sector_size: int
    serial: str | None


@dataclass(frozen=True)
class QemuConfig:
    """The machine behind an iLO.

    :ivar disks: the first is the one that is tried first when the server boots from disk.
    :ivar iscsi_portal: where the guest's port 3260 is reached from outside.
    :ivar agent_portal: where its port 9999 is, which ironic-python-agent listens on.
    """

    disks: tuple[DiskConfig, ...]
    memory_mib: int
    cpus: int
    nic: Nic
    mac: str
    iscsi_portal: Endpoint | None
    agent_portal: Endpoint | None
    accel: Accel


@dataclass(frozen=True)
class ServerConfig:
    """One emulated server. ``qemu`` is ``None`` for a paper machine.

    :ivar boot_mode: the boot mode, and with ``secure_boot`` the state of Secure Boot, that it is
        delivered with.
    :ivar newest_tls: the newest TLS that the iLO speaks.
    """

    name: str
    listen: Endpoint
    username: str
    password: str = field(repr=False)
    profile: Profile
    boot_mode: BootMode
    secure_boot: bool
    serial_number: str
    uuid: UUID
    qemu: QemuConfig | None
    newest_tls: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED


@dataclass(frozen=True)
class Config:
    """The whole file. ``state_dir`` takes everything that the emulator writes."""

    state_dir: Path
    control: Endpoint
    ready_file: Path | None
    servers: tuple[ServerConfig, ...]


def load(path: Path) -> Config:
    """Read a configuration file; relative paths in it are relative to the file.

    :raises ConfigError: it cannot be read, or something in it is missing, unknown or wrong.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    top = _Table(document, "the file", path.resolve().parent)
    emulator, servers = top.table("emulator"), top.tables("server")
    top.end()
    config = Config(
        state_dir=emulator.path("state_dir"),
        control=emulator.endpoint("control", "127.0.0.1:0"),
        ready_file=emulator.path("ready_file") if "ready_file" in emulator.left else None,
        servers=tuple(_server(table) for table in servers),
    )
    emulator.end()
    _check_together(config)
    return config


def _server(table: "_Table") -> ServerConfig:
    name = table.matching("name", _NAME, "letters, digits and inner dashes")
    table.place = f"server {name!r}"
    generation, boot_mode = _generation(table)
    server = ServerConfig(
        name=name,
        listen=Endpoint(table.address("address"), table.integer("port", 443, _PORTS)),
        username=table.text("username", "Administrator"),
        password=_password(table),
        profile=generation,
        boot_mode=boot_mode,
        secure_boot=_secure_boot(table, boot_mode),
        serial_number=table.text("serial_number", f"CZ{uuid5(_NAMESPACE, name).hex[:8].upper()}"),
        uuid=table.uuid("uuid", uuid5(_NAMESPACE, f"system {name}")),
        qemu=_machine(table),
        newest_tls=_newest_tls(table),
    )
    table.end()
    return server


def _newest_tls(table: "_Table") -> ssl.TLSVersion:
    if "newest_tls" not in table.left:
        return ssl.TLSVersion.MAXIMUM_SUPPORTED
    return _TLS_VERSIONS[table.choice("newest_tls", "", _TLS_VERSIONS)]


def _generation(table: "_Table") -> tuple[Profile, BootMode]:
    """Choose the generation and the boot mode, of which each has a default that suits the other.

    Without a generation it is the first that knows the boot mode.
    """
    known = [each for each in PROFILES.values() if each.name == table.left.get("generation")]
    default = (known or list(PROFILES.values()))[0].boot_modes[0].lower()
    boot_mode = BootMode[table.choice("boot_mode", default, ("legacy", "uefi")).upper()]
    able = [each.name for each in PROFILES.values() if boot_mode in each.boot_modes]
    return PROFILES[table.choice("generation", able[0], able)], boot_mode


def _secure_boot(table: "_Table", boot_mode: BootMode) -> bool:
    wanted = table.boolean("secure_boot", default=False)
    if wanted and boot_mode is not BootMode.UEFI:
        raise table.error("secure_boot", "needs boot_mode to be uefi")
    return wanted


def _password(table: "_Table") -> str:
    if "password_file" not in table.left:
        return table.text("password")
    path = table.path("password_file")
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, ValueError) as error:
        raise table.error("password_file", f"cannot be read: {error}") from error


def _machine(table: "_Table") -> QemuConfig | None:
    if table.choice("machine", "paper", ("paper", "qemu")) == "paper":
        return None
    qemu = table.table("qemu")
    config = QemuConfig(
        disks=_disks(qemu),
        memory_mib=qemu.integer("memory_mib", 1024, range(64, 1 << 20)),
        cpus=qemu.integer("cpus", 2, range(1, 65)),
        nic=Nic(qemu.choice("nic", "e1000e", Nic)),
        mac=qemu.matching("mac", _MAC, "six hex pairs with colons"),
        iscsi_portal=_portal(qemu, "iscsi_portal"),
        agent_portal=_portal(qemu, "agent_portal"),
        accel=Accel(qemu.choice("accel", "auto", Accel)),
    )
    qemu.end()
    return config


def _portal(qemu: "_Table", key: str) -> Endpoint | None:
    return qemu.endpoint(key) if key in qemu.left else None


def _disks(qemu: "_Table") -> tuple[DiskConfig, ...]:
    path = qemu.path("disk")
    disks = [_disk(qemu, path, "disk_size_gib", "disk_interface")]
    for number, table in enumerate(qemu.tables("extra_disks", optional=True), 1):
        extra = path.with_name(f"{path.stem}-{number}{path.suffix}")
        disks.append(_disk(table, extra, "size_gib", "interface"))
        table.end()
    if len(disks) > _MOST_DISKS:
        raise qemu.error("extra_disks", f"can be {_MOST_DISKS - 1} at most")
    return tuple(disks)


def _disk(table: "_Table", path: Path, size: str, interface: str) -> DiskConfig:
    sector_size = table.integer("sector_size", _SECTOR_SIZES[0], range(1 << 16))
    if sector_size not in _SECTOR_SIZES:
        raise table.error("sector_size", "must be 512 or 4096")
    able = list(DiskInterface)
    if sector_size != _SECTOR_SIZES[0]:
        able.remove(DiskInterface.AHCI)  # QEMU's SATA disks have sectors of 512 bytes only
    return DiskConfig(
        path=path,
        size_gib=table.integer(size, 8, range(1, 65537)),
        interface=DiskInterface(table.choice(interface, able[0], able)),
        sector_size=sector_size,
        serial=table.matching("serial", _SERIAL, "1 to 20 letters, digits, dashes")
        if "serial" in table.left
        else None,
    )


def _check_together(config: Config) -> None:
    if not ipaddress.ip_address(config.control.host).is_loopback:
        # It shows signed URLs and controls machines, without asking who calls.
        raise ConfigError("emulator: control must be a loopback address")
    alike: dict[str, list[str]] = {
        "name": [server.name for server in config.servers],
        "address and port": [str(each.listen) for each in config.servers if each.listen.port],
        "disk": [
            str(disk.path) for each in config.servers if each.qemu for disk in each.qemu.disks
        ],
    }
    for what, values in alike.items():
        if len(set(values)) != len(values):
            raise ConfigError(f"two servers have the same {what}")


class _Table:
    """A TOML table whose keys are taken one by one, so that what is left over is unknown."""

    def __init__(self, values: object, place: str, base: Path) -> None:
        if not isinstance(values, Mapping):
            raise ConfigError(f"{place} must be a table")
        self.left: dict[str, Any] = dict(values)
        self.place = place
        self._base = base

    def error(self, key: str, problem: str) -> ConfigError:
        return ConfigError(f"{self.place}: {key} {problem}")

    def end(self) -> None:
        if self.left:
            raise ConfigError(f"{self.place}: unknown: {', '.join(sorted(self.left))}")

    def table(self, key: str) -> "_Table":
        return _Table(self._take(key, None), f"{self.place}: {key}", self._base)

    def tables(self, key: str, *, optional: bool = False) -> list["_Table"]:
        values = self._take(key, [] if optional else None)
        if not isinstance(values, list) or not (values or optional):
            raise self.error(key, f"must be given as [[{key}]]")
        return [_Table(value, f"{key} {n}", self._base) for n, value in enumerate(values, 1)]

    def boolean(self, key: str, *, default: bool) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, default)
        if not isinstance(value, str) or not value or "\0" in value:
            raise self.error(key, "must be a text that is not empty")
        return value

    def integer(self, key: str, default: int, allowed: range) -> int:
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
            raise self.error(key, f"must be a number from {allowed[0]} to {allowed[-1]}")
        return value

    def choice(self, key: str, default: str, allowed: Any) -> str:
        value = self.text(key, default)
        if value not in tuple(allowed):
            raise self.error(key, f"must be one of {', '.join(allowed)}")
        return value

    def matching(self, key: str, pattern: re.Pattern[str], meaning: str) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise self.error(key, f"must be {meaning}")
        return value

    def path(self, key: str) -> Path:
        return self._base / Path(self.text(key)).expanduser()

    def address(self, key: str) -> str:
        try:
            return str(ipaddress.ip_address(self.text(key)))
        except ValueError as error:
            raise self.error(key, "must be an IP address") from error

    def uuid(self, key: str, default: UUID) -> UUID:
        try:
            return UUID(self.text(key, str(default)))
        except ValueError as error:
            raise self.error(key, "must be a UUID") from error

    def endpoint(self, key: str, default: str | None = None) -> Endpoint:
        host, _, port = self.text(key, default).rpartition(":")
        try:
            address, number = ipaddress.ip_address(host.strip("[]")), int(port)
        except ValueError as error:
            raise self.error(key, "must be an IP address, a colon and a port") from error
        if number not in _PORTS:
            raise self.error(key, f"must have a port from 0 to {_PORTS[-1]}")
        return Endpoint(str(address), number)

    def _take(self, key: str, default: object) -> Any:
        value = self.left.pop(key, default)
        if value is None:
            raise self.error(key, "is missing")
        return value
