"""The settings of a server's firmware: boot mode and Secure Boot, current and pending.

No input, no output, no clock. A setting is pending until the server's next start (HPE iLO 4 REST
API, "Systems/1/SecureBoot" and "bios/Settings").
"""

import enum
from dataclasses import dataclass


class BootMode(enum.StrEnum):
    """BIOS or UEFI, by its RIBCL name."""

    LEGACY = "LEGACY"
    UEFI = "UEFI"


class Keys(enum.Enum):
    """The keys of Secure Boot: those of the factory, or none, which keeps it off."""

    FACTORY = enum.auto()
    NONE = enum.auto()


@dataclass(frozen=True)
class FirmwarePlan:
    """What one start of the server runs.

    :ivar secure_boot: whether only what the keys have signed boots.
    """

    boot_mode: BootMode = BootMode.LEGACY
    secure_boot: bool = False
    keys: Keys = Keys.FACTORY


class Firmware:
    """The firmware settings of one server.

    :ivar current: what the server has started with.
    :ivar pending_boot_mode: the boot mode of the next start.
    :ivar secure_boot_enable: whether Secure Boot is wanted from the next start on.
    :ivar keys: the keys from the next start on.
    :ivar post_message: a text that the server shows while it starts.
    """

    def __init__(
        self, boot_mode: BootMode = BootMode.LEGACY, *, secure_boot: bool = False
    ) -> None:
        self.current = FirmwarePlan(boot_mode, secure_boot)
        self.pending_boot_mode = boot_mode
        self.secure_boot_enable = secure_boot
        self.keys = Keys.FACTORY
        self.post_message = ""

    def start(self) -> FirmwarePlan:
        """Apply what is pending."""
        able = self.pending_boot_mode is BootMode.UEFI and self.keys is Keys.FACTORY
        self.current = FirmwarePlan(
            self.pending_boot_mode, able and self.secure_boot_enable, self.keys
        )
        return self.current
