"""All servers of a configuration, listening."""

import json
import logging
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from ilo_emulator.certificate import server_context
from ilo_emulator.config import Config, Endpoint, ServerConfig
from ilo_emulator.control import Control
from ilo_emulator.ilo import Ilo
from ilo_emulator.machine import PaperMachine
from ilo_emulator.qemu import QemuMachine
from ilo_emulator.server import IloServer
from ilo_emulator.state import MachineFailed

LOG = logging.getLogger(__name__)

_SECONDS_TO_CLOSE = 1.0


class StartError(Exception):
    """The emulator cannot start; the text says why and what to do."""


@dataclass(frozen=True)
class _Listening:
    url: str
    certificate: Path


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[None]:
    """Run all servers; stop their machines at the end.

    :raises StartError: an address cannot be listened on.
    """
    async with AsyncExitStack() as stack:
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        ilos, listening = {}, {}
        for server in config.servers:
            ilos[server.name] = await _start_machine(server, config, stack)
            listening[server.name] = await _listen_as(ilos[server.name], config, stack)
        application = Control(ilos, config.state_dir).application()
        port = await _listen(application, config.control, None, stack)
        control = f"http://{Endpoint(config.control.host, port)}"
        LOG.info("the control API listens at %s", control)
        if config.ready_file is not None:
            stack.callback(config.ready_file.unlink, missing_ok=True)
            _write_ready_file(config.ready_file, control, listening)
        yield


async def _start_machine(server: ServerConfig, config: Config, stack: AsyncExitStack) -> Ilo:
    ilo = Ilo(server)
    directory = config.state_dir / server.name
    directory.mkdir(mode=0o700, exist_ok=True)
    if server.qemu is None:
        ilo.attach(PaperMachine(ilo.on_guest_event))
        return ilo
    machine = QemuMachine(server, server.qemu, directory, ilo.on_guest_event)
    ilo.attach(machine)
    stack.push_async_callback(ilo.close)
    try:
        await machine.prepare(config.state_dir)
    except MachineFailed as error:
        raise StartError(f"server {server.name!r}: {error}") from error
    return ilo


async def _listen_as(ilo: Ilo, config: Config, stack: AsyncExitStack) -> _Listening:
    server = ilo.server
    directory = config.state_dir / server.name
    names = [server.name, f"ILO{server.serial_number}"]
    context = server_context(directory, server.listen.host, names, server.newest_tls)
    port = await _listen(IloServer(ilo).application(), server.listen, context, stack)
    url = f"https://{Endpoint(server.listen.host, port)}"
    LOG.info("%s: a %s listens at %s", server.name, server.profile.model, url)
    return _Listening(url, directory / "certificate.pem")


async def _listen(
    application: web.Application,
    endpoint: Endpoint,
    context: ssl.SSLContext | None,
    stack: AsyncExitStack,
) -> int:
    """Serve an application until the stack unwinds; tell the port."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SECONDS_TO_CLOSE)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, endpoint.host, endpoint.port, ssl_context=context)
    try:
        await site.start()
    except OSError as error:
        raise StartError(f"cannot listen on {endpoint}: {error.strerror}") from error
    port: int = runner.addresses[0][1]
    return port


def _write_ready_file(path: Path, control: str, listening: dict[str, _Listening]) -> None:
    """Tell where everything listens; the file is whole from the moment it is there."""
    servers = {
        name: {"url": server.url, "certificate": str(server.certificate)}
        for name, server in listening.items()
    }
    content = {"control": control, "pid": os.getpid(), "servers": servers}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
