"""The vocabulary of the door to an iLO."""

import enum
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self


class PowerState(enum.StrEnum):
    """A server's power, as its iLO reports it."""

    ON = "on"
    OFF = "off"


class Device(enum.StrEnum):
    """A virtual media drive, by its RIBCL name."""

    FLOPPY = "FLOPPY"
    CDROM = "CDROM"


class BootDevice(enum.StrEnum):
    """What a server boots from, by its RIBCL name.

    ``OTHER`` stands for all that have no name here. It is only read.
    """

    NORMAL = "NORMAL"
    CDROM = "CDROM"
    FLOPPY = "FLOPPY"
    HDD = "HDD"
    NETWORK = "NETWORK"
    OTHER = "OTHER"


class BootMode(enum.StrEnum):
    """BIOS or UEFI, by the name that RIBCL uses."""

    LEGACY = "LEGACY"
    UEFI = "UEFI"


class Privilege(enum.StrEnum):
    """What an iLO's user may do, by HPE's names; ``HOST_BIOS`` came with iLO 5."""

    VIRTUAL_MEDIA = "virtual media"
    POWER = "virtual power and reset"
    ILO_SETTINGS = "configure iLO settings"
    HOST_BIOS = "host BIOS"


class TlsVersion(enum.StrEnum):
    """The oldest TLS that an iLO may speak, where it does not speak today's."""

    TLS_1_0 = "1.0"
    TLS_1_1 = "1.1"
    TLS_1_2 = "1.2"


@dataclass(frozen=True)
class Access:
    """How to reach one iLO.

    :ivar address: host name, IPv4 or IPv6 address without brackets.
    :ivar verify_ca: verify the certificate against the system's CAs (``True``), against this
        CA file or directory (a path), or not at all (``False``).
    :ivar min_tls_version: accept TLS from this version on, with the key exchanges, ciphers and
        signatures of its time; ``None``: what OpenSSL takes for secure.
    :ivar timeout: seconds for one exchange with the iLO, connecting included.
    :ivar power_timeout: seconds until a power change must be visible.
    :ivar change_timeout: seconds until any other change must be visible.
    :ivar busy_timeout: seconds for which refusals (a server in POST) are retried.
    """

    address: str
    username: str
    password: str = field(repr=False)
    port: int = 443
    verify_ca: bool | str = True
    min_tls_version: TlsVersion | None = None
    timeout: float = 60.0
    power_timeout: float = 120.0
    change_timeout: float = 30.0
    busy_timeout: float = 600.0


@dataclass(frozen=True)
class Product:
    """What answers at the address: ``ProLiant DL380p Gen8``, ``iLO 4``, ``2.55``, licence."""

    model: str
    processor: str
    firmware: str
    license_type: str


@dataclass(frozen=True)
class MediaStatus:
    """One virtual media drive, as the iLO reports it.

    :ivar connected: the server sees the drive now.
    :ivar boot_once: the medium is there at the next start of the server, for one boot.
    """

    inserted: bool
    connected: bool
    boot_once: bool
    url: str = field(repr=False, default="")


@dataclass(frozen=True)
class SecureBoot:
    """Whether a server enforces Secure Boot: ``current``, and ``pending`` from its next start."""

    current: bool
    pending: bool


class Bmc(Protocol):
    """One iLO. Every method has a deadline and raises ``BmcError``'s subclasses.

    Methods that change something are idempotent, retry refusals during POST for
    ``Access.busy_timeout`` seconds, and return once a read-back shows the change.

    It is a context manager, since iLOs that speak Redfish have few sessions: the first method
    logs in, and the end of the ``with`` logs out. It belongs to one thread.
    """

    def __enter__(self) -> Self:
        """Begin to use it: return it as it is."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Log out."""

    def close(self) -> None:
        """Log out; the next method logs in again. Whether the iLO takes it is only logged."""

    def product(self) -> Product:
        """Tell what answers: model, management processor, firmware, licence."""

    def get_privileges(self) -> dict[Privilege, bool]:
        """Tell what the user may do; empty where the iLO keeps it to itself.

        It knows nothing of the users of directories.
        """

    def get_power_state(self) -> PowerState:
        """Read the server's power."""

    def power_on(self) -> None:
        """Power the server on; nothing happens when it is on."""

    def power_off(self) -> None:
        """Power the server off hard, by holding its button; nothing happens when it is off."""

    def reset(self) -> None:
        """Reset a running server; power on one that is off."""

    def check_virtual_media(self) -> None:
        """Raise ``BmcFeatureMissing`` unless the licence includes scripted virtual media."""

    def get_media_status(self, device: Device) -> MediaStatus:
        """Read a drive."""

    def insert_media(self, device: Device, url: str) -> None:
        """Put an image into a drive, to be connected at the next start, for one boot.

        An image already in the drive is ejected first. Over Redfish it is connected at once, and
        a floppy until it is ejected.
        """

    def eject_media(self, device: Device) -> None:
        """Empty a drive; an empty one is left alone."""

    def get_one_time_boot(self) -> BootDevice:
        """Read what the next start boots from; ``NORMAL`` when nothing is set."""

    def set_one_time_boot(self, device: BootDevice) -> None:
        """Choose what the next start, and only that one, boots from."""

    def get_persistent_boot(self) -> list[BootDevice]:
        """Read the boot order, the first tried first, each kind of device once."""

    def set_persistent_boot(self, device: BootDevice) -> None:
        """Move a device to the front of the boot order."""

    def get_boot_mode(self) -> BootMode:
        """Read the boot mode; a server that knows none (Gen8) boots LEGACY."""

    def get_supported_boot_modes(self) -> list[BootMode]:
        """Tell the boot modes to choose from; a server that knows none boots LEGACY."""

    def get_pending_boot_mode(self) -> BootMode:
        """Read the boot mode of the next start."""

    def set_pending_boot_mode(self, mode: BootMode) -> None:
        """Choose the boot mode of the next start and those after it."""

    def get_secure_boot(self) -> SecureBoot:
        """Read the state of Secure Boot; ``BmcFeatureMissing`` when the server has none."""

    def set_secure_boot(self, *, enabled: bool) -> None:
        """Switch Secure Boot on or off from the next start on.

        ``BmcFeatureMissing`` when the server has none, or runs in LEGACY mode.
        """
