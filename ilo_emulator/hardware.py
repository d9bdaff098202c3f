"""What a server is made of, whichever protocol asks."""

from dataclasses import dataclass

from ilo_emulator.config import ServerConfig

_PAPER_MEMORY_MIB = 16 * 1024
_PAPER_DISK_GIB = 279
_PAPER_CPUS = 8


@dataclass(frozen=True)
class Hardware:
    """The parts of a server; those of a paper machine are made up.

    :ivar disks_gib: the size of each disk.
    """

    cpus: int
    memory_mib: int
    disks_gib: tuple[int, ...]
    mac: str


def of(server: ServerConfig) -> Hardware:
    """Tell what a server is made of."""
    qemu = server.qemu
    if qemu is None:
        return Hardware(_PAPER_CPUS, _PAPER_MEMORY_MIB, (_PAPER_DISK_GIB,), _paper_mac(server))
    disks = tuple(disk.size_gib for disk in qemu.disks)
    return Hardware(qemu.cpus, qemu.memory_mib, disks, qemu.mac)


def _paper_mac(server: ServerConfig) -> str:
    """Make up an address of its own for each server."""
    return "52:54:00:" + server.uuid.bytes[-3:].hex(":")
