"""One running QEMU: its process and its control socket (QMP).

QEMU dies with this process: ``setpriv`` arms the parent-death signal. Every exchange has a
deadline.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qemu.qmp import EventListener, QMPClient, QMPError

from ilo_emulator.machine import GuestEvent
from ilo_emulator.state import MachineFailed

LOG = logging.getLogger(__name__)

_SECONDS_TO_START = 60.0
_SECONDS_TO_ANSWER = 30.0
_SECONDS_TO_END = 15.0
_READ_LIMIT = 10 * 1024 * 1024


class QemuProcess:
    """A QEMU that has been started; ``end`` it always."""

    def __init__(self, process: asyncio.subprocess.Process, qmp: QMPClient, log: Path) -> None:
        self._process = process
        self._qmp = qmp
        self._log = log
        self._shutdowns = EventListener("SHUTDOWN")
        qmp.register_listener(self._shutdowns)

    @classmethod
    async def start(cls, command: Callable[[int], list[str]], log: Path) -> "QemuProcess":
        """Start QEMU; when this returns the guest runs.

        :param command: makes the command line, given the descriptor of the control socket.
        :param log: where QEMU's own messages go.
        :raises MachineFailed: QEMU ended at once, or did not answer in time.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                argv = ["setpriv", "--pdeathsig", "KILL", "--", *command(theirs.fileno())]
                process = await _spawn(argv, theirs.fileno(), log)
            machine = cls(process, QMPClient("qemu"), log)
            await machine._connect(ours)
        except BaseException:
            ours.close()
            raise
        return machine

    async def _connect(self, control: socket.socket) -> None:
        try:
            await asyncio.wait_for(self._qmp.connect(control), _SECONDS_TO_START)
        except (QMPError, OSError, TimeoutError) as error:
            await self.end()
            raise MachineFailed(f"QEMU did not start: {self._last_words()}") from error
        except BaseException:
            await self.end()
            raise

    async def execute(self, command: str, **arguments: Any) -> Any:
        """Send a QMP command and return its result.

        :raises MachineFailed: QEMU refused it, did not answer in time, or is gone.
        """
        try:
            answer = self._qmp.execute(command, arguments or None)
            return await asyncio.wait_for(answer, _SECONDS_TO_ANSWER)
        except (QMPError, OSError, TimeoutError) as error:
            raise MachineFailed(f"QEMU failed at {command}: {error}") from error

    def events(self, name: str) -> contextlib.AbstractContextManager[EventListener]:
        """Listen for a QMP event, from entering the context on."""
        listener: contextlib.AbstractContextManager[EventListener] = self._qmp.listener(name)
        return listener

    async def guest_event(self) -> GuestEvent:
        """Wait until the guest resets or powers off, or QEMU ends by itself."""
        ended = asyncio.ensure_future(self._process.wait())
        shutdown = asyncio.ensure_future(self._shutdowns.get())
        try:
            await asyncio.wait({ended, shutdown}, return_when=asyncio.FIRST_COMPLETED)
            if not shutdown.done():
                LOG.error("QEMU ended by itself: %s", self._last_words())
                return GuestEvent.POWER_OFF
            reason = shutdown.result()["data"]["reason"]
        finally:
            ended.cancel()
            shutdown.cancel()
        return GuestEvent.RESET if reason == "guest-reset" else GuestEvent.POWER_OFF

    async def end(self) -> None:
        """End QEMU and reap it; the writes that it has taken are on disk if it still listens."""
        try:
            async with asyncio.timeout(_SECONDS_TO_END):
                await self._quit()
                await self._process.wait()
        except TimeoutError:
            LOG.warning("QEMU did not end when asked to; killing it")
        finally:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            with contextlib.suppress(QMPError, OSError, EOFError):
                await self._qmp.disconnect()

    async def _quit(self) -> None:
        try:
            await self._qmp.execute("quit")
        except (QMPError, OSError):
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else f"it ended with code {self._process.returncode}"


async def _spawn(argv: list[str], fd: int, log: Path) -> asyncio.subprocess.Process:
    with log.open("wb") as output:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(fd,),
            start_new_session=True,  # a Ctrl-C is for the emulator
        )
