"""Server generations, as data.

Facts: HPE iLO 4 Scripting and Command Line Guide; python-hpilo's test captures; HPE's iLO RESTful
API documents for iLO 4, 5, 6 and 7 and its client ilorest, and the samples that proliantutils is
tested with. How many sessions an iLO bears is not documented.
"""

import enum
from dataclasses import dataclass, replace

from ilo_emulator.firmware import BootMode
from ilo_emulator.state import BootDevice

# BIOS firmware tries removable media first; UEFI firmware appends what is plugged later.
_BIOS_ORDER = (
    BootDevice.CDROM,
    BootDevice.FLOPPY,
    BootDevice.USB,
    BootDevice.HDD,
    BootDevice.NETWORK,
)
_UEFI_ORDER = (
    BootDevice.HDD,
    BootDevice.NETWORK,
    BootDevice.CDROM,
    BootDevice.FLOPPY,
    BootDevice.USB,
)
#: Of iLO 4 and early iLO 5.
RESET_TYPES = ("On", "ForceOff", "ForceRestart", "Nmi", "PushPowerButton")
_LATER_RESETS = ("On", "ForceOff", "GracefulShutdown", *RESET_TYPES[2:])
_OEM_INSERT = ("Image", "Certificate", "Intent", "Signature", "WriteProtected")
_INSERT = ("Image", "Inserted", "WriteProtected")


class Ribcl(enum.Enum):
    """Whether an iLO speaks RIBCL: it does, it says that it does not, or it knows of none."""

    ENABLED = enum.auto()
    DISABLED = enum.auto()
    ABSENT = enum.auto()


class Rest(enum.Enum):
    """What an iLO answers on ``/rest/v1``: all of it, where it has moved to, or nothing."""

    SERVED = enum.auto()
    MOVED = enum.auto()
    ABSENT = enum.auto()


@dataclass(frozen=True)
class Registries:
    """The registries that messages are named by.

    :ivar legacy: messages come in the form of HPE's first REST API, too.
    """

    base: str
    ilo: str
    legacy: bool = False


@dataclass(frozen=True)
class Redfish:
    """How an iLO speaks Redfish.

    :ivar oem: under which name HPE's extensions stand: ``Hp`` or ``Hpe``.
    :ivar manager_type: as the service root names it, for example ``iLO 5``.
    :ivar server_header: as its web server names itself.
    :ivar needs_slash: paths without a slash at the end are redirected (308).
    :ivar standard_settings: BIOS settings and Secure Boot are the standard's, not HPE's own.
    :ivar own_boot_order: it has HPE's own resource of the boot order.
    :ivar lists_targets: it lists the targets of a boot override.
    :ivar virtual_media_type: the schema of virtual media.
    :ivar insert: the parameters of the standard's action to insert virtual media; empty for an iLO
        without the standard's actions.
    :ivar oem_insert: the parameters of HPE's own action.
    :ivar expands: it expands links where a query asks for it.
    :ivar sessions: how many there can be at a time.
    """

    oem: str
    manager_type: str
    server_header: str
    registries: Registries
    needs_slash: bool
    standard_settings: bool
    reset_types: tuple[str, ...]
    virtual_media_type: str
    insert: tuple[str, ...]
    oem_insert: tuple[str, ...]
    own_boot_order: bool = True
    lists_targets: bool = True
    expands: bool = True
    sessions: int = 32


@dataclass(frozen=True)
class Profile:
    """What distinguishes one generation of servers, and its management processor, from others.

    :ivar manufacturer: as SMBIOS names it.
    :ivar management_processor: as GET_FW_VERSION names it, for example ``iLO4``.
    :ivar processor_title: as ``/xmldata`` names it.
    :ivar firmware_date: as GET_FW_VERSION prints it, for example ``Aug 16 2017``.
    :ivar ribcl_version: the VERSION attribute of every RIBCL document.
    :ivar licensed: the licence type that includes scripted virtual media.
    :ivar unlicensed: the licence type of a server without one.
    :ivar boot_modes: those that it can boot in; it is delivered in the first.
    :ivar ribcl: whether it speaks RIBCL.
    :ivar rest: what it answers on ``/rest/v1``.
    :ivar redfish: how it answers on ``/redfish/v1``, ``None``: it does not.
    :ivar boot_order: the persistent boot order that it is delivered with.
    """

    name: str
    model: str
    manufacturer: str
    management_processor: str
    processor_title: str
    firmware_version: str
    firmware_date: str
    rom_version: str
    licensed: str
    unlicensed: str
    boot_modes: tuple[BootMode, ...]
    boot_order: tuple[BootDevice, ...]
    ribcl: Ribcl = Ribcl.ENABLED
    ribcl_version: str = "2.23"
    rest: Rest = Rest.ABSENT
    redfish: Redfish | None = None

    @property
    def has_boot_modes(self) -> bool:
        """Whether there is a boot mode to ask for: servers that know no UEFI have none."""
        return BootMode.UEFI in self.boot_modes


_GEN8 = Profile(
    name="ilo4-gen8",
    model="ProLiant DL380p Gen8",
    manufacturer="HP",
    management_processor="iLO4",
    processor_title="Integrated Lights-Out 4 (iLO 4)",
    firmware_version="2.55",
    firmware_date="Aug 16 2017",
    rom_version="P70 08/02/2014",
    licensed="iLO 4 Advanced",
    unlicensed="iLO 4 Standard",
    boot_modes=(BootMode.LEGACY,),
    boot_order=_BIOS_ORDER,
)
_GEN9 = replace(
    _GEN8,
    name="ilo4-gen9",
    model="ProLiant DL380 Gen9",
    firmware_version="2.70",
    firmware_date="May 07 2019",
    rom_version="P89 v2.76 (10/21/2019)",
    boot_modes=(BootMode.LEGACY, BootMode.UEFI),
    rest=Rest.SERVED,
    redfish=Redfish(
        oem="Hp",
        manager_type="iLO 4",
        server_header="HP-iLO-Server/1.30",
        registries=Registries("Base.0.10", "iLO.0.10", legacy=True),
        needs_slash=False,
        standard_settings=False,
        own_boot_order=False,
        expands=False,
        reset_types=RESET_TYPES,
        virtual_media_type="VirtualMedia.1.0.0.VirtualMedia",
        insert=(),
        oem_insert=("Image",),
    ),
)
_EARLY_REDFISH = Redfish(
    oem="Hpe",
    manager_type="iLO 5",
    server_header="HPE-iLO-Server/1.30",
    registries=Registries("Base.1.0", "iLO.2.0"),
    needs_slash=True,
    standard_settings=True,
    reset_types=RESET_TYPES,
    virtual_media_type="VirtualMedia.v1_0_0.VirtualMedia",
    insert=(),
    oem_insert=("Image",),
)
_REDFISH = replace(
    _EARLY_REDFISH,
    registries=Registries("Base.1.4", "iLO.2.8"),
    needs_slash=False,
    reset_types=_LATER_RESETS,
    virtual_media_type="VirtualMedia.v1_2_0.VirtualMedia",
    insert=_INSERT,
    oem_insert=_OEM_INSERT,
)
_ILO5_EARLY = Profile(
    name="ilo5-early",
    model="ProLiant DL380 Gen10",
    manufacturer="HPE",
    management_processor="iLO5",
    processor_title="Integrated Lights-Out 5 (iLO 5)",
    firmware_version="1.15",
    firmware_date="Jun 05 2017",
    rom_version="U30 v1.00 (03/11/2017)",
    licensed="iLO Advanced",
    unlicensed="iLO Standard",
    boot_modes=(BootMode.UEFI, BootMode.LEGACY),
    boot_order=_UEFI_ORDER,
    rest=Rest.MOVED,
    redfish=_EARLY_REDFISH,
)
_ILO5 = replace(
    _ILO5_EARLY,
    name="ilo5",
    firmware_version="2.30",
    firmware_date="Aug 24 2020",
    rom_version="U30 v2.36 (07/16/2020)",
    redfish=_REDFISH,
)
_ILO6_REDFISH = replace(
    _REDFISH,
    manager_type="iLO 6",
    registries=Registries("Base.1.12", "iLO.2.15"),
    virtual_media_type="VirtualMedia.v1_3_0.VirtualMedia",
    insert=(*_INSERT, "TransferProtocolType"),
)
_ILO6 = replace(
    _ILO5,
    name="ilo6",
    model="ProLiant DL380 Gen11",
    management_processor="iLO6",
    processor_title="Integrated Lights-Out 6 (iLO 6)",
    firmware_version="1.11",
    firmware_date="Dec 12 2022",
    rom_version="U54 v1.20 (12/12/2022)",
    boot_modes=(BootMode.UEFI,),
    ribcl=Ribcl.DISABLED,
    redfish=_ILO6_REDFISH,
)
_ILO7 = replace(
    _ILO6,
    name="ilo7",
    model="HPE ProLiant Compute DL380 Gen12",
    management_processor="iLO7",
    processor_title="Integrated Lights-Out 7 (iLO 7)",
    firmware_version="1.13",
    firmware_date="Mar 31 2025",
    rom_version="U68 v1.30 (03/14/2025)",
    ribcl=Ribcl.ABSENT,
    redfish=replace(
        _ILO6_REDFISH,
        manager_type="iLO 7",
        registries=Registries("Base.1.18", "iLO.2.31"),
        own_boot_order=False,
        lists_targets=False,
    ),
)

PROFILES = {profile.name: profile for profile in (_GEN8, _GEN9, _ILO5_EARLY, _ILO5, _ILO6, _ILO7)}
