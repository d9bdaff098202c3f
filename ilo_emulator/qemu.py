"""A QEMU machine behind an iLO.

Each start of the server is a QEMU of its own, since boot order and media are chosen anew.
"""

import asyncio
import contextlib
import logging
import shutil
from pathlib import Path

from ilo_emulator import accelerator
from ilo_emulator.config import Accel, DiskConfig, QemuConfig, ServerConfig
from ilo_emulator.firmware import BootMode
from ilo_emulator.machine import GuestEventHandler
from ilo_emulator.media_proxy import MediaProxy, MediumUnreadable
from ilo_emulator.ovmf import FlashImages, prepare_flash
from ilo_emulator.qemu_command import Launch, usb_drive
from ilo_emulator.qemu_process import QemuProcess
from ilo_emulator.state import BootDevice, BootPlan, Device, MachineFailed

LOG = logging.getLogger(__name__)

_SECONDS_TO_CREATE = 60.0
_SECONDS_TO_UNPLUG = 10.0
_PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"}


class QemuMachine:
    """A machine of QEMU; see ``Machine`` for its methods."""

    def __init__(
        self,
        server: ServerConfig,
        qemu: QemuConfig,
        directory: Path,
        on_guest_event: GuestEventHandler,
    ) -> None:
        self.console_log: Path | None = directory / "console.log"
        self._server = server
        self._qemu = qemu
        self._directory = directory
        self._on_guest_event = on_guest_event
        self._proxy = MediaProxy(directory / "media-password")
        self._accel = Accel.TCG
        self._attached: dict[Device, str] = {}
        self._process: QemuProcess | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def prepare(self, state_dir: Path) -> None:
        """Create disks that are not there, choose how to run guests, start the media proxy.

        :raises MachineFailed: a program is missing, or the disk cannot be created.
        """
        for program, package in _PROGRAMS.items():
            if shutil.which(program) is None:
                raise MachineFailed(f"{program} was not found: install {package}")
        for disk in self._qemu.disks:
            await _create_disk(disk)
        self._accel = await accelerator.choose(self._qemu.accel, state_dir)
        await self._proxy.start()

    async def start(self, plan: BootPlan) -> BootDevice | None:
        """Start QEMU with the plan's devices; media that cannot be read are left out."""
        media = [device for device, url in plan.media.items() if await self._load(device, url)]
        missing = {BootDevice(device.value) for device in plan.media if device not in media}
        order = [device for device in plan.order if device not in missing]
        uefi = plan.firmware.boot_mode is BootMode.UEFI
        flash = prepare_flash(self._directory, plan.firmware) if uefi else None

        def command(fd: int) -> list[str]:
            return self._launch(order, media, flash, fd).command()

        self._process = await QemuProcess.start(command, self._directory / "qemu.log")
        self._attached = {device: plan.media[device] for device in media}
        self._watcher = asyncio.create_task(self._watch(self._process))
        return order[0] if order else None

    async def stop(self) -> None:
        """End QEMU; what it has written is on disk."""
        if self._watcher is not None:
            self._watcher.cancel()
        process, self._process, self._watcher = self._process, None, None
        self._attached = {}
        if process is not None:
            await process.end()

    async def press_power_button(self) -> None:
        """Ask the running system to power off, through ACPI."""
        await self._running().execute("system_powerdown")

    async def inject_nmi(self) -> None:
        """Interrupt the running system with an NMI."""
        await self._running().execute("inject-nmi")

    async def set_media(self, media: dict[Device, str]) -> None:
        """Plug and unplug USB drives until the guest sees these."""
        for device in Device:
            wanted, attached = media.get(device), self._attached.get(device)
            if attached is not None and attached != wanted:
                await self._unplug(device)
            if wanted is not None and attached != wanted:
                await self._plug(device, wanted)

    async def screenshot(self, path: Path) -> None:
        """Write what the screen shows as PNG."""
        await self._running().execute("screendump", filename=str(path), format="png")

    def bytes_fetched(self, device: Device) -> int:
        """Count the bytes read from a drive since the emulator started."""
        return self._proxy.fetched(device)

    async def close(self) -> None:
        """Stop QEMU and the media proxy."""
        await self.stop()
        await self._proxy.close()

    def _running(self) -> QemuProcess:
        if self._process is None:
            raise MachineFailed("the machine is off")
        return self._process

    def _launch(
        self, order: list[BootDevice], media: list[Device], flash: FlashImages | None, fd: int
    ) -> Launch:
        assert self.console_log is not None  # noqa: S101 - set in __init__
        return Launch(
            server=self._server,
            qemu=self._qemu,
            accel=self._accel,
            order=order,
            media=media,
            flash=flash,
            proxy=self._proxy,
            console_log=self.console_log,
            qmp_fd=fd,
        )

    async def _watch(self, process: QemuProcess) -> None:
        self._on_guest_event(await process.guest_event())

    async def _load(self, device: Device, url: str) -> bool:
        """Let the proxy serve an image; tell whether it can be read."""
        self._proxy.load(device, url)
        try:
            await self._proxy.size(device)
        except MediumUnreadable as error:
            LOG.warning("%s: starts without its %s: %s", self._server.name, device, error)
            return False
        return True

    async def _plug(self, device: Device, url: str) -> None:
        if not await self._load(device, url):
            return
        process, drive = self._running(), usb_drive(device, self._proxy)
        await process.execute("blockdev-add", **drive.medium)
        await process.execute("device_add", **drive.bridge)
        await process.execute("device_add", **drive.unit)
        # A bridge that is plugged at run time waits for its unit until it is told.
        path = f"/machine/peripheral/{drive.bridge['id']}"
        await process.execute("qom-set", path=path, property="attached", value=True)
        self._attached[device] = url

    async def _unplug(self, device: Device) -> None:
        process, drive = self._running(), usb_drive(device, self._proxy)
        bridge = drive.bridge["id"]
        with process.events("DEVICE_DELETED") as deleted:
            await process.execute("device_del", id=bridge)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_TO_UNPLUG):
                    while (await deleted.get())["data"].get("device") != bridge:
                        pass
        await process.execute("blockdev-del", **{"node-name": drive.medium["node-name"]})
        self._proxy.unload(device)
        del self._attached[device]


async def _create_disk(disk: DiskConfig) -> None:
    if disk.path.exists():
        return
    disk.path.parent.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *("qemu-img", "create", "-q", "-f", "qcow2", str(disk.path)),
        f"{disk.size_gib}G",
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), _SECONDS_TO_CREATE)
    if process.returncode != 0:
        raise MachineFailed(
            f"cannot create {disk.path}: {errors.decode(errors='replace').strip()}"
        )
