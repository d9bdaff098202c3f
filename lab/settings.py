"""Where a lab lives and listens."""

import ipaddress
import os
import socket
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ironic_ilo.exception import InvalidInput

CHECKOUT = Path(__file__).resolve().parents[1]
LOOPBACK = "127.0.0.1"
ILO_PORT = 8443
ISCSI_PORT = 3260
AGENT_PORT = 9999

STANDALONE = "standalone"
OPENSTACK = "openstack"
# Boot modes, as the emulator's configuration names them.
LEGACY = "legacy"
UEFI = "uefi"
# The ports that each choice of services listens on.
_PORTS_USED = {
    STANDALONE: ("api", "image_server", "control"),
    OPENSTACK: ("api", "control", "keystone", "glance", "swift", "memcached"),
}


@dataclass(frozen=True)
class Ports:
    """TCP ports on 127.0.0.1; 0 is any free one."""

    api: int = 6385
    image_server: int = 8088
    control: int = 8090
    keystone: int = 5000
    glance: int = 9292
    swift: int = 8080
    memcached: int = 11211

    @classmethod
    def any_free(cls) -> "Ports":
        """Leave the choice of all of them to the system."""
        return cls(**{field.name: 0 for field in fields(cls)})

    @staticmethod
    def option(name: str) -> str:
        """Name the option of the command line that sets one."""
        return f"--{name.replace('_', '-')}-port"


@dataclass(frozen=True)
class Disk:
    """A local disk of emulated servers; what is ``None`` is left to the emulator.

    :ivar interface: ``ahci``, ``virtio``, ``megasas`` or ``nvme``.
    """

    size_gib: int
    sector_size: int = 512
    interface: str | None = None
    serial: str | None = None


@dataclass(frozen=True)
class Settings:
    """One lab.

    :ivar directory: takes all of its files; belongs to one running lab.
    :ivar nodes: how many servers there are.
    :ivar first_address: loopback address of the first server's iLO; the next ones follow it.
    :ivar machine: ``qemu``, or ``paper`` for servers that boot nothing.
    :ivar services: ``standalone``, where Ironic asks nobody for a password and the image server
        publishes images; or ``openstack``, with Keystone, Glance and Swift.
    :ivar generation: of the servers, by the emulator's name; ``None``: one with that boot mode.
    :ivar boot_mode: that the servers are delivered with: ``legacy`` or ``uefi``.
    :ivar secure_boot: whether they are delivered with Secure Boot on, which needs ``uefi``.
    :ivar extra_disks: of each server, besides the one that it boots from.
    :ivar agent: whether ironic-python-agent runs on them: it needs memory, and is called.
    """

    directory: Path
    ports: Ports = Ports()
    nodes: int = 1
    first_address: str = "127.0.1.10"
    machine: str = "qemu"
    services: str = STANDALONE
    generation: str | None = None
    boot_mode: str = LEGACY
    secure_boot: bool = False
    extra_disks: tuple[Disk, ...] = ()
    agent: bool = False

    @property
    def api_url(self) -> str:
        """Ironic's API, as the conductor's host sees it."""
        return f"http://{LOOPBACK}:{self.ports.api}"

    @property
    def image_server_url(self) -> str:
        """The image server, as the emulated iLOs see it."""
        return f"http://{LOOPBACK}:{self.ports.image_server}"

    def as_dict(self) -> dict[str, Any]:
        """Give a form for JSON."""
        return asdict(self) | {"directory": str(self.directory)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Settings":
        """Undo :meth:`as_dict`."""
        made = {
            "directory": Path(values["directory"]),
            "ports": Ports(**values["ports"]),
            "extra_disks": tuple(Disk(**disk) for disk in values["extra_disks"]),
        }
        return cls(**values | made)

    def node_names(self) -> list[str]:
        """Name the servers: ``node-0`` and so on."""
        return [f"node-{number}" for number in range(self.nodes)]

    def node_address(self, number: int) -> str:
        """Give the loopback address of a server's iLO, and of its iSCSI portal."""
        return str(ipaddress.ip_address(self.first_address) + number)


def default_directory() -> Path:
    """``.lab`` in the checkout."""
    return CHECKOUT / ".lab"


def cache_directory() -> Path:
    """``$XDG_CACHE_HOME/ironic-ilo``, or the same in ``~/.cache``: what labs share."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(home, "ironic-ilo")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def with_free_ports(settings: Settings) -> Settings:
    """Choose a port wherever 0 is given, and check that the others that are used are free.

    The services cannot be handed a socket, so a port may be taken again before they listen.

    :raises InvalidInput: a port is in use.
    """
    with ExitStack() as probes:
        chosen = {
            name: _bind(probes, getattr(settings.ports, name), Ports.option(name))
            for name in _PORTS_USED[settings.services]
        }
    return replace(settings, ports=replace(settings.ports, **chosen))


def _bind(probes: ExitStack, port: int, option: str) -> int:
    probe = probes.enter_context(socket.socket())
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((LOOPBACK, port))
    except OSError as error:
        raise InvalidInput(
            f"Port {port} of {LOOPBACK} cannot be used: {error.strerror}",
            hint=f"Stop what listens there, or choose another with {option} (0: any).",
        ) from error
    return int(probe.getsockname()[1])
