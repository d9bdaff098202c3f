"""QEMU's command line, and the devices that come and go while it runs.

Measured with Debian's kernel under TCG, on two busy cores: reading an ISO through xHCI needs a
third less CPU than through EHCI; an iSCSI target writes 38 MiB/s on a Nehalem and 23 MiB/s on
TCG's ``max``, with any network card and disk interface; q35 and pc are alike.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilo_emulator.config import Accel, DiskInterface, Nic, QemuConfig, ServerConfig
from ilo_emulator.media_proxy import MediaProxy
from ilo_emulator.state import BootDevice, Device

_GUEST_ISCSI_PORT = 3260
# The oldest CPU that today's distributions run on, plus a source of entropy.
_EMULATED_CPU = "Nehalem,+rdrand"
_ACCELERATORS = {Accel.TCG: ("tcg,thread=multi", _EMULATED_CPU), Accel.KVM: ("kvm", "max")}
_NIC_MODELS = {Nic.E1000E: "e1000e", Nic.E1000: "e1000", Nic.VIRTIO: "virtio-net-pci"}
# More of it fetches a fifth more of an ISO, and no sooner.
_READAHEAD = 256 * 1024
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
    :ivar qmp_fd: the descriptor of the control socket that it inherits.
    """

    server: ServerConfig
    qemu: QemuConfig
    accel: Accel
    order: Sequence[BootDevice]
    media: Sequence[Device]
    proxy: MediaProxy
    console_log: Path
    qmp_fd: int

    def command(self) -> list[str]:
        """Write the command line; there is no secret in it."""
        return ["qemu-system-x86_64", *self._machine(), *self._channels(), *self._devices()]

    def _machine(self) -> Iterator[str]:
        accel, cpu = _ACCELERATORS[self.accel]
        yield from ("-nodefaults", "-no-user-config", "-name", self.server.name)
        yield from ("-machine", "q35", "-accel", accel, "-cpu", cpu)
        yield from ("-smp", str(self.qemu.cpus), "-m", str(self.qemu.memory_mib))
        yield from ("-uuid", str(self.server.uuid), "-smbios", self._smbios())
        yield from ("-boot", "strict=on", "-rtc", "base=utc")
        # The emulator itself restarts a guest that resets: by then the boot devices differ.
        yield from ("-action", "reboot=shutdown,shutdown=pause")

    def _smbios(self) -> str:
        profile, serial = self.server.profile, self.server.serial_number
        values = {"manufacturer": "HP", "product": profile.model, "serial": serial}
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
        portal = self.qemu.iscsi_portal
        forward = f",hostfwd=tcp:{portal}-:{_GUEST_ISCSI_PORT}" if portal else ""
        return f"user,id=network,ipv6=off{forward}"

    def _devices(self) -> Iterator[str]:
        nodes, devices = [self._disk_node()], [*self._disk_devices(), self._network_card()]
        devices += [{"driver": "virtio-rng-pci"}, {"driver": "qemu-xhci", "id": "usb"}]
        for device in self.media:
            drive = usb_drive(device, self.proxy, self._index(BootDevice(device.value)))
            nodes.append(drive.medium)
            devices += [drive.bridge, drive.unit]
        for node in nodes:
            yield from ("-blockdev", json.dumps(node))
        for properties in devices:
            yield from ("-device", json.dumps(properties))

    def _disk_node(self) -> _Properties:
        # The disk outlives QEMU, not a crash of the host: flushes would only cost time.
        file = {"driver": "file", "filename": str(self.qemu.disk), "cache": {"no-flush": True}}
        unmap = {"discard": "unmap", "detect-zeroes": "unmap"}
        node = {"driver": "qcow2", "node-name": "disk", "cache": {"no-flush": True}}
        return {**node, **unmap, "file": {**file, "discard": "unmap"}}

    def _disk_devices(self) -> list[_Properties]:
        disk = {"id": "disk0", "drive": "disk", **_boot_index(self._index(BootDevice.HDD))}
        if self.qemu.disk_interface is DiskInterface.AHCI:
            return [{"driver": "ide-hd", "bus": "ide.0", **disk}]
        if self.qemu.disk_interface is DiskInterface.VIRTIO:
            return [{"driver": "virtio-blk-pci", **disk}]
        return [
            {"driver": "megasas", "id": "raid"},
            {"driver": "scsi-hd", "bus": "raid.0", **disk},
        ]

    def _network_card(self) -> _Properties:
        # Without an option ROM: booting from the network is not emulated.
        model = _NIC_MODELS[self.qemu.nic]
        return {"driver": model, "netdev": "network", "mac": self.qemu.mac, "romfile": ""}

    def _index(self, device: BootDevice) -> int | None:
        return self.order.index(device) if device in self.order else None


def _boot_index(index: int | None) -> _Properties:
    return {} if index is None else {"bootindex": index}


def _escaped(text: str) -> str:
    return text.replace(",", ",,")
