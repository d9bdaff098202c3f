"""QEMU's command line, and the devices that come and go while it runs.

Measured with Debian's kernel under TCG, on two busy cores: reading an ISO through xHCI needs a
third less CPU than through EHCI; an iSCSI target writes 38 MiB/s on a Nehalem and 23 MiB/s on
TCG's ``max``, with any network card and disk interface; q35 and pc are alike.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilo_emulator.accelerator import PROCESSORS
from ilo_emulator.config import Accel, DiskConfig, DiskInterface, Nic, QemuConfig, ServerConfig
from ilo_emulator.media_proxy import MediaProxy
from ilo_emulator.ovmf import FlashImages
from ilo_emulator.state import BootDevice, Device

_GUEST_ISCSI_PORT = 3260
_GUEST_AGENT_PORT = 9999
_ACCELERATORS = {Accel.TCG: "tcg,thread=multi", Accel.KVM: "kvm"}
_DISK_DRIVERS: dict[DiskInterface, dict[str, Any]] = {
    DiskInterface.AHCI: {"driver": "ide-hd"},
    DiskInterface.VIRTIO: {"driver": "virtio-blk-pci"},
    DiskInterface.MEGASAS: {"driver": "scsi-hd", "bus": "raid.0"},
    DiskInterface.NVME: {"driver": "nvme"},
}
_NIC_MODELS = {Nic.E1000E: "e1000e", Nic.E1000: "e1000", Nic.VIRTIO: "virtio-net-pci"}
# Twice as much fetches two MiB more of a deploy ISO; with half of it, that boots a second later.
_READAHEAD = 128 * 1024
_HTTP_SECONDS = 60

_Properties = dict[str, Any]


@dataclass(frozen=True)
class UsbDrive:
    """A virtual media drive, which the guest sees as a USB device.

    :ivar medium: the block node that reads the image.
    :ivar bridge: the USB device.
    :ivar unit: the CD-ROM or disk behind it.
    """

    medium: _Properties
    bridge: _Properties
    unit: _Properties


def usb_drive(device: Device, proxy: MediaProxy, boot_index: int | None = None) -> UsbDrive:
    """Describe a virtual media drive.

    :param boot_index: its place in the boot order, ``None`` when it is not booted from.
    """
    name = device.lower()
    cdrom = device is Device.CDROM
    medium = {
        "driver": "http",
        "node-name": name,
        "url": proxy.url(device),
        "username": proxy.user,
        "password-secret": "media",
        "readahead": _READAHEAD,
        "timeout": _HTTP_SECONDS,
        "read-only": True,
    }
    unit: _Properties = {
        "driver": "scsi-cd" if cdrom else "scsi-hd",
        "id": name,
        "bus": f"{name}-usb.0",
        "drive": name,
        "vendor": "iLO",
        "product": "Virtual DVD-ROM" if cdrom else "Virtual Floppy",
        **({} if cdrom else {"removable": True}),
        **_boot_index(boot_index),
    }
    return UsbDrive(medium, {"driver": "usb-bot", "id": f"{name}-usb", "bus": "usb.0"}, unit)


@dataclass(frozen=True)
class Launch:
    """One start of a QEMU machine.

    :ivar order: what it tries to boot from, the first that works wins.
    :ivar media: the drives that it sees.
    :ivar flash: UEFI firmware, ``None`` for QEMU's own BIOS.
    :ivar qmp_fd: the descriptor of the control socket that it inherits.
    """

    server: ServerConfig
    qemu: QemuConfig
    accel: Accel
    order: Sequence[BootDevice]
    media: Sequence[Device]
    flash: FlashImages | None
    proxy: MediaProxy
    console_log: Path
    qmp_fd: int

    def command(self) -> list[str]:
        """Write the command line; there is no secret in it."""
        return ["qemu-system-x86_64", *self._machine(), *self._channels(), *self._devices()]

    def _machine(self) -> Iterator[str]:
        yield from ("-nodefaults", "-no-user-config", "-name", self.server.name)
        yield from ("-machine", self._board(), "-accel", _ACCELERATORS[self.accel])
        yield from ("-cpu", PROCESSORS[self.accel])
        yield from ("-smp", str(self.qemu.cpus), "-m", str(self.qemu.memory_mib))
        yield from ("-uuid", str(self.server.uuid), "-smbios", self._smbios())
        yield from ("-boot", "strict=on", "-rtc", "base=utc")
        # The emulator itself restarts a guest that resets: by then the boot devices differ.
        yield from ("-action", "reboot=shutdown,shutdown=pause")

    def _board(self) -> str:
        # Only in system management mode may flash be written: so the variables are the firmware's.
        return "q35,smm=on,pflash0=code,pflash1=variables" if self.flash else "q35"

    def _smbios(self) -> str:
        profile, serial = self.server.profile, self.server.serial_number
        values = {
            "manufacturer": profile.manufacturer,
            "product": profile.model,
            "serial": serial,
        }
        return ",".join(["type=1", *(f"{key}={_escaped(text)}" for key, text in values.items())])

    def _channels(self) -> Iterator[str]:
        log = _escaped(str(self.console_log))
        yield from ("-chardev", f"socket,id=qmp,fd={self.qmp_fd}")
        yield from ("-mon", "chardev=qmp,mode=control")
        yield from ("-chardev", f"file,id=console,path={log},append=on")
        yield from ("-serial", "chardev:console", "-display", "none", "-vga", "std")
        password = _escaped(str(self.proxy.password_file))
        yield from ("-object", f"secret,id=media,file={password}")
        yield from ("-netdev", self._network())

    def _network(self) -> str:
        portals = {
            _GUEST_ISCSI_PORT: self.qemu.iscsi_portal,
            _GUEST_AGENT_PORT: self.qemu.agent_portal,
        }
        forwards = (f",hostfwd=tcp:{at}-:{port}" for port, at in portals.items() if at)
        return f"user,id=network,ipv6=off{''.join(forwards)}"

    def _devices(self) -> Iterator[str]:
        nodes = [*self._flash_nodes(), *itertools.starmap(_disk_node, enumerate(self.qemu.disks))]
        devices = [*self._disk_devices(), self._network_card()]
        devices += [{"driver": "virtio-rng-pci"}, {"driver": "qemu-xhci", "id": "usb"}]
        for device in self.media:
            drive = usb_drive(device, self.proxy, self._boot_index(BootDevice(device.value)))
            nodes.append(drive.medium)
            devices += [drive.bridge, drive.unit]
        if self.flash:
            yield from ("-global", "driver=cfi.pflash01,property=secure,value=on")
        for node in nodes:
            yield from ("-blockdev", json.dumps(node))
        for properties in devices:
            yield from ("-device", json.dumps(properties))

    def _flash_nodes(self) -> list[_Properties]:
        if self.flash is None:
            return []
        code = {"driver": "file", "filename": str(self.flash.code), "read-only": True}
        variables = {"driver": "file", "filename": str(self.flash.variables)}
        return [
            {"driver": "raw", "node-name": "code", "read-only": True, "file": code},
            {"driver": "raw", "node-name": "variables", "file": variables},
        ]

    def _disk_devices(self) -> Iterator[_Properties]:
        disks = self.qemu.disks
        if any(disk.interface is DiskInterface.MEGASAS for disk in disks):
            yield {"driver": "megasas", "id": "raid"}
        for number, disk in enumerate(disks):
            index = self._boot_index(BootDevice.HDD, number)
            yield _disk_device(number, disk) | _boot_index(index)

    def _network_card(self) -> _Properties:
        # Without an option ROM: booting from the network is not emulated.
        model = _NIC_MODELS[self.qemu.nic]
        return {"driver": model, "netdev": "network", "mac": self.qemu.mac, "romfile": ""}

    def _boot_index(self, device: BootDevice, number: int = 0) -> int | None:
        """Tell a device's place in the boot order; disks are tried in the order of the file."""
        if device not in self.order:
            return None
        return self.order.index(device) * len(self.qemu.disks) + number


def _disk_device(number: int, disk: DiskConfig) -> _Properties:
    name = f"disk{number}"
    sectors = dict.fromkeys(("logical_block_size", "physical_block_size"), disk.sector_size)
    device = {**_DISK_DRIVERS[disk.interface], "id": name, "drive": name, **sectors}
    if disk.interface is DiskInterface.AHCI:
        device["bus"] = f"ide.{number}"
    if disk.interface is DiskInterface.NVME:
        device["serial"] = name  # which must be given
    if disk.serial is not None:
        device["serial"] = disk.serial
    return device


def _disk_node(number: int, disk: DiskConfig) -> _Properties:
    # The disk outlives QEMU, not a crash of the host: flushes would only cost time.
    file = {"driver": "file", "filename": str(disk.path), "cache": {"no-flush": True}}
    unmap = {"discard": "unmap", "detect-zeroes": "unmap"}
    node = {"driver": "qcow2", "node-name": f"disk{number}", "cache": {"no-flush": True}}
    return {**node, **unmap, "file": {**file, "discard": "unmap"}}


def _boot_index(index: int | None) -> _Properties:
    return {} if index is None else {"bootindex": index}


def _escaped(text: str) -> str:
    return text.replace(",", ",,")
