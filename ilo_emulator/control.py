"""The control API: what people and tests ask of the emulator rather than of its iLOs.

Plain HTTP and JSON on a loopback address, without a login. Its replies hold signed URLs.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from ilo_emulator.faults import Faults, InvalidFaultsError
from ilo_emulator.ilo import BootRecord, Ilo
from ilo_emulator.state import Device, Refusal

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The control API over some iLOs, by name."""

    def __init__(self, ilos: Mapping[str, Ilo], state_dir: Path) -> None:
        self._ilos = ilos
        self._state_dir = state_dir

    def application(self) -> web.Application:
        """Make the web application."""
        application = web.Application(middlewares=[_errors])
        one = "/servers/{name}"
        application.router.add_get("/servers", self._list)
        application.router.add_get(one, self._show)
        application.router.add_get(f"{one}/requests", self._requests)
        application.router.add_put(f"{one}/faults", self._set_faults)
        application.router.add_delete(f"{one}/faults", self._clear_faults)
        application.router.add_post(f"{one}/reset", self._reset)
        application.router.add_post(f"{one}/press", self._press)
        application.router.add_post(f"{one}/screenshot", self._screenshot)
        return application

    def _ilo(self, request: web.Request) -> Ilo:
        name = request.match_info["name"]
        if name not in self._ilos:
            raise _problem(web.HTTPNotFound, f"no server is named {name!r}")
        return self._ilos[name]

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response([_described(ilo) for ilo in self._ilos.values()])

    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response(_described(self._ilo(request)))

    async def _requests(self, request: web.Request) -> web.Response:
        records = self._ilo(request).requests
        return web.json_response(
            [{"at": record.at.isoformat(), "command": record.command} for record in records]
        )

    async def _set_faults(self, request: web.Request) -> web.Response:
        ilo = self._ilo(request)
        try:
            ilo.faults = Faults.from_json(await request.json())
        except (InvalidFaultsError, json.JSONDecodeError) as error:
            raise _problem(web.HTTPBadRequest, str(error)) from error
        return web.json_response(vars(ilo.faults))

    async def _clear_faults(self, request: web.Request) -> web.Response:
        ilo = self._ilo(request)
        ilo.faults = Faults()
        return web.json_response(vars(ilo.faults))

    async def _reset(self, request: web.Request) -> web.Response:
        ilo = self._ilo(request)
        await ilo.reset()
        return web.json_response(_described(ilo))

    async def _press(self, request: web.Request) -> web.Response:
        ilo = self._ilo(request)
        await ilo.press_power_button()
        return web.json_response(_described(ilo))

    async def _screenshot(self, request: web.Request) -> web.Response:
        ilo = self._ilo(request)
        name = time.strftime("screen-%Y%m%d-%H%M%S") + f"-{time.time_ns() % 10**9:09d}.png"
        path = self._state_dir / ilo.server.name / name
        await ilo.machine.screenshot(path)
        return web.json_response({"path": str(path)})


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        raise _problem(web.HTTPConflict, str(refusal)) from refusal


def _problem(kind: type[web.HTTPException], text: str) -> web.HTTPException:
    return kind(text=json.dumps({"error": text}), content_type="application/json")


def _described(ilo: Ilo) -> dict[str, Any]:
    media = {device.value: _described_drive(ilo, device) for device in Device}
    last = ilo.boots[-1].device if ilo.boots else None
    return {
        "name": ilo.server.name,
        "power": "on" if ilo.is_on else "off",
        "starts": ilo.starts,
        "nmis": ilo.nmis,
        "booted_from": last.lower() if last else "none",
        "boots": [_described_boot(record) for record in ilo.boots],
        "boot_mode": ilo.state.firmware.current.boot_mode.lower(),
        "pending_boot_mode": ilo.state.firmware.pending_boot_mode.lower(),
        "secure_boot": ilo.state.firmware.current.secure_boot,
        "media": media,
        "one_time_boot": ilo.state.one_time_boot,
        "boot_order": list(ilo.state.boot_order),
        "bytes_fetched": sum(drive["bytes_fetched"] for drive in media.values()),
        "console_log": str(ilo.machine.console_log) if ilo.machine.console_log else None,
        "faults": vars(ilo.faults),
    }


def _described_drive(ilo: Ilo, device: Device) -> dict[str, Any]:
    drive = ilo.state.drives[device]
    return {
        "inserted": drive.url is not None,
        "connected": drive.connected,
        "url": drive.url,
        "boot_option": drive.boot_option,
        "write_protect": drive.write_protect,
        "bytes_fetched": ilo.machine.bytes_fetched(device),
    }


def _described_boot(record: BootRecord) -> dict[str, Any]:
    return {
        "at": record.at.isoformat(),
        "device": record.device.lower() if record.device else "none",
        "boot_mode": record.firmware.boot_mode.lower(),
        "secure_boot": record.firmware.secure_boot,
        "cdrom_url": record.media.get(Device.CDROM),
        "floppy_url": record.media.get(Device.FLOPPY),
    }
