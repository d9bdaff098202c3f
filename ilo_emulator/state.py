"""The state of an iLO and the rules by which it changes: no input, no output, no clock.

Rules: HPE iLO 4 Scripting and Command Line Guide, SET_VM_STATUS and SET_ONE_TIME_BOOT; HPE's iLO
RESTful API documents, VirtualMedia and ComputerSystem.Boot.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from ilo_emulator.firmware import Firmware, FirmwarePlan


class Device(enum.StrEnum):
    """A virtual media drive, by its RIBCL name."""

    FLOPPY = "FLOPPY"
    CDROM = "CDROM"


class BootOption(enum.StrEnum):
    """What a drive does at the server's next start."""

    NO_BOOT = "NO_BOOT"
    BOOT_ONCE = "BOOT_ONCE"
    BOOT_ALWAYS = "BOOT_ALWAYS"


class BootDevice(enum.StrEnum):
    """What a server can boot from, by its RIBCL name."""

    CDROM = "CDROM"
    FLOPPY = "FLOPPY"
    USB = "USB"
    HDD = "HDD"
    NETWORK = "NETWORK"


class Refusal(Exception):
    """The iLO declines a command; the text is what it tells the client."""


class NoMedium(Refusal):
    """The drive is empty."""


class DriveOccupied(Refusal):
    """The drive holds an image already."""


class InvalidValue(Refusal):
    """A value that this server does not know."""


class LicenseMissing(Refusal):
    """Scripted virtual media need a licence."""


class PostInProgress(Refusal):
    """Boot settings cannot change while the server is in POST."""


class NotInLegacyMode(Refusal):
    """The command needs the server to be in UEFI mode."""


class ServerIsOff(Refusal):
    """The command needs a running server."""


class MachineFailed(Refusal):
    """The machine behind the iLO did not do what the iLO asked of it."""


@dataclass
class Drive:
    """One virtual media drive.

    :ivar url: where the image is streamed from; ``None`` when the drive is empty.
    :ivar connected: the server sees the drive now.
    :ivar lasting: the server sees it at each start until it is ejected, whatever its boot option:
        so it is with what was inserted over REST, which knows of no boot options.
    :ivar started: a BOOT_ONCE medium has had its start.
    """

    url: str | None = field(default=None, repr=False)
    connected: bool = False
    lasting: bool = False
    boot_option: BootOption = BootOption.NO_BOOT
    write_protect: bool = False
    started: bool = False

    def start(self) -> None:
        """Connect for this start of the server, or do not, as the boot option says."""
        self.connected = self.lasting or self.boots
        self.started = self.boot_option is BootOption.BOOT_ONCE

    @property
    def boots(self) -> bool:
        """Whether the server boots from it before it looks at its own boot order."""
        return self.boot_option is not BootOption.NO_BOOT


@dataclass(frozen=True)
class BootPlan:
    """What one start of the server has before it.

    :ivar order: the devices to try, the first that is there wins; absent ones are left out.
    :ivar media: the URLs of the connected drives.
    """

    order: tuple[BootDevice, ...]
    media: dict[Device, str] = field(repr=False)
    firmware: FirmwarePlan = field(default_factory=FirmwarePlan)


class IloState:
    """Drives and boot settings of one server. A method that refuses changes nothing."""

    def __init__(self, boot_order: Sequence[BootDevice], firmware: Firmware) -> None:
        self.firmware = firmware
        self.drives = {device: Drive() for device in Device}
        self.boot_order = tuple(boot_order)
        self.one_time_boot: BootDevice | None = None
        self.lasting_boot: BootDevice | None = None
        self.uefi_target = ""

    def insert(self, device: Device, url: str) -> None:
        """Put an image into an empty drive. The server does not see it yet."""
        if not url.startswith(("http://", "https://")):
            raise InvalidValue("The image URL is not http or https.")
        if self.drives[device].url is not None:
            raise DriveOccupied("An image is already present in the Virtual Media drive.")
        self.drives[device] = Drive(url=url)

    def attach(self, device: Device) -> None:
        """Show a drive to the server now and at each start, to boot from in its order."""
        drive = self._loaded(device)
        drive.connected = drive.lasting = True

    def eject(self, device: Device) -> None:
        """Empty a drive; the server loses sight of it at once."""
        self._loaded(device)
        self.drives[device] = Drive()

    def set_boot_option(self, device: Device, option: BootOption) -> None:
        """Choose what a drive does at the next start; the present connection stays as it is."""
        drive = self._loaded(device)
        drive.boot_option = option
        drive.started = False

    def connect(self, device: Device) -> None:
        """Show a drive to the server now and at each start."""
        self.set_boot_option(device, BootOption.BOOT_ALWAYS)
        self.drives[device].connected = True

    def disconnect(self, device: Device) -> None:
        """Take a drive from the server's sight now; the image stays in it."""
        self.set_boot_option(device, BootOption.NO_BOOT)
        self.drives[device].connected = self.drives[device].lasting = False

    def set_write_protect(self, device: Device, *, protected: bool) -> None:
        """Set the drive's write protection."""
        self._loaded(device).write_protect = protected

    def set_one_time_boot(self, device: BootDevice | None) -> None:
        """Choose what the next start, and only that one, boots from; ``None`` takes it back."""
        self.one_time_boot = device
        self.uefi_target = ""

    def set_lasting_boot(self, device: BootDevice | None) -> None:
        """Choose what each start boots from, before the boot order; ``None`` takes it back."""
        self.lasting_boot = device

    def set_boot_order(self, first: Sequence[BootDevice]) -> None:
        """Move devices, in the order given, to the front of the persistent boot order."""
        if not first:
            raise InvalidValue("No boot device was given.")
        self.boot_order = tuple(dict.fromkeys([*first, *self.boot_order]))

    def start(self) -> BootPlan:
        """Start the server: apply what is pending, use up what is for once, tell the order."""
        for device, drive in self.drives.items():
            if drive.started:  # a BOOT_ONCE medium goes at the start after its own
                self.drives[device] = Drive()
            else:
                drive.start()
        overrides = (self.one_time_boot, self.lasting_boot)
        chosen = [device for device in overrides if device is not None]
        self.one_time_boot = None
        if self.lasting_boot is None:
            self.uefi_target = ""
        # A CD-ROM before a floppy: drivers use the floppy to carry parameters, not to boot.
        media = [BootDevice(each) for each in (Device.CDROM, Device.FLOPPY)]
        booting = [each for each in media if self.drives[Device(each.value)].boots]
        tried = dict.fromkeys([*chosen, *booting, *self.boot_order])
        order = tuple(filter(self._is_present, tried))
        return BootPlan(order, self.connected_media(), self.firmware.start())

    def connected_media(self) -> dict[Device, str]:
        """Tell the URLs of the drives that the server sees now."""
        return {
            device: drive.url
            for device, drive in self.drives.items()
            if drive.connected and drive.url is not None
        }

    def _is_present(self, device: BootDevice) -> bool:
        if device in (BootDevice.CDROM, BootDevice.FLOPPY):
            return self.drives[Device(device.value)].connected
        return device is not BootDevice.USB

    def _loaded(self, device: Device) -> Drive:
        drive = self.drives[device]
        if drive.url is None:
            raise NoMedium("No image present in the Virtual Media drive.")
        return drive
