"""Server generations, as data.

Facts: HPE iLO 4 Scripting and Command Line Guide; python-hpilo's test captures.
"""

from dataclasses import dataclass

from ilo_emulator.firmware import BootMode
from ilo_emulator.state import BootDevice

_BOOT_ORDER = (
    BootDevice.CDROM,
    BootDevice.FLOPPY,
    BootDevice.USB,
    BootDevice.HDD,
    BootDevice.NETWORK,
)


@dataclass(frozen=True)
class Profile:
    """What distinguishes one generation of servers, and its management processor, from others.

    :ivar management_processor: as GET_FW_VERSION names it, for example ``iLO4``.
    :ivar processor_title: as ``/xmldata`` names it.
    :ivar firmware_date: as GET_FW_VERSION prints it, for example ``Aug 16 2017``.
    :ivar ribcl_version: the VERSION attribute of every RIBCL document.
    :ivar licensed: the licence type that includes scripted virtual media.
    :ivar unlicensed: the licence type of a server without one.
    :ivar boot_modes: those that it can boot in; with one there is nothing to ask or to choose.
    :ivar rest: whether it answers on ``/rest/v1``.
    :ivar boot_order: the persistent boot order that it is delivered with.
    """

    name: str
    model: str
    management_processor: str
    processor_title: str
    firmware_version: str
    firmware_date: str
    rom_version: str
    ribcl_version: str
    licensed: str
    unlicensed: str
    boot_modes: tuple[BootMode, ...]
    rest: bool
    boot_order: tuple[BootDevice, ...] = _BOOT_ORDER

    @property
    def has_boot_modes(self) -> bool:
        """Whether there is a boot mode to ask for and to choose."""
        return len(self.boot_modes) > 1


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="ilo4-gen8",
            model="ProLiant DL380p Gen8",
            management_processor="iLO4",
            processor_title="Integrated Lights-Out 4 (iLO 4)",
            firmware_version="2.55",
            firmware_date="Aug 16 2017",
            rom_version="P70 08/02/2014",
            ribcl_version="2.23",
            licensed="iLO 4 Advanced",
            unlicensed="iLO 4 Standard",
            boot_modes=(BootMode.LEGACY,),
            rest=False,
        ),
        Profile(
            name="ilo4-gen9",
            model="ProLiant DL380 Gen9",
            management_processor="iLO4",
            processor_title="Integrated Lights-Out 4 (iLO 4)",
            firmware_version="2.70",
            firmware_date="May 07 2019",
            rom_version="P89 v2.76 (10/21/2019)",
            ribcl_version="2.23",
            licensed="iLO 4 Advanced",
            unlicensed="iLO 4 Standard",
            boot_modes=(BootMode.LEGACY, BootMode.UEFI),
            rest=True,
        ),
    )
}
