"""The persistent boot order as RIBCL tells it: by kind in BIOS mode, by entry in UEFI mode."""

from ilo_emulator.firmware import BootMode
from ilo_emulator.ribcl.reply import tag
from ilo_emulator.state import BootDevice, Device, IloState, InvalidValue

# The wording by which clients know the devices.
_UEFI_ENTRIES = {
    BootDevice.CDROM: ("Boot0011", "iLO Virtual USB 2 : HP iLO Virtual USB CD/DVD ROM"),
    BootDevice.FLOPPY: ("Boot0010", "iLO Virtual USB 1 : HP iLO Virtual USB Key"),
    BootDevice.HDD: ("Boot0002", "Embedded RAID 1 : Smart Array P440ar - RAID 0 Logical Drive"),
    BootDevice.NETWORK: ("Boot000A", "Embedded LOM 1 Port 1 : HP Ethernet 1Gb NIC (IPv4)"),
}


def entries(state: IloState) -> list[str]:
    """Write the DEVICE elements; virtual media have an entry of UEFI only while connected."""
    if state.firmware.current.boot_mode is BootMode.LEGACY:
        return [tag("DEVICE", value=device) for device in state.boot_order]
    return [
        tag("DEVICE", value=_UEFI_ENTRIES[each][0], DESCRIPTION=_UEFI_ENTRIES[each][1])
        for each in state.boot_order
        if _has_entry(state, each)
    ]


def device(state: IloState, name: str) -> BootDevice:
    """Read a boot device, by its kind or by its entry.

    :raises InvalidValue: there is none of that name.
    """
    if name.upper() in BootDevice.__members__:
        return BootDevice(name.upper())
    for each, (entry, _description) in _UEFI_ENTRIES.items():
        if entry.upper() == name.upper() and state.firmware.current.boot_mode is BootMode.UEFI:
            return each
    raise InvalidValue(f"The boot device {name!r} is not known.")


def _has_entry(state: IloState, device: BootDevice) -> bool:
    if device in (BootDevice.CDROM, BootDevice.FLOPPY):
        return state.drives[Device(device.value)].connected
    return device in _UEFI_ENTRIES
