"""A relay before an iSCSI target: sees what an initiator asks, and is a link that can fail."""

import contextlib
import math
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# Opcodes of SCSI commands (SBC-3).
SYNCHRONIZE_CACHE = 0x35
WRITES = frozenset({0x2A, 0x8A, 0x41, 0x93, 0x42})  # WRITE, WRITE SAME (10, 16), UNMAP

_CHUNK = 65536
_SECONDS_TO_CONNECT = 10.0
_HEADER, _DIGEST = 48, 4
_LOGIN, _SCSI_COMMAND = 0x03, 0x01


@dataclass
class Session:
    """What one connection carried.

    :ivar opcodes: of the SCSI commands, in order.
    :ivar sent: bytes from the initiator.
    :ivar received: bytes from the target.
    :ivar digest: bytes of header digest that both sides agreed on.
    """

    opcodes: list[int] = field(default_factory=list)
    sent: int = 0
    received: int = 0
    digest: int = 0


class Relay:
    """Forwards connections to a target; :func:`start_relay` makes it.

    :ivar portal: where initiators connect.
    :ivar sessions: one per connection, in order.
    :ivar frozen: set once the link is silent.
    """

    def __init__(self, listener: socket.socket, upstream: tuple[str, int]) -> None:
        self.portal = "{}:{}".format(*listener.getsockname())
        self.sessions: list[Session] = []
        self.frozen = threading.Event()
        self._listener = listener
        self._upstream = upstream
        self._freeze_after = self._cut_after = math.inf
        self._seconds = math.inf
        self._ended = threading.Event()

    def freeze_after(self, sent: int, *, seconds: float = math.inf) -> None:
        """Forward nothing once a connection has sent so many bytes, for so long."""
        self._freeze_after, self._seconds = sent, seconds

    def cut_after(self, sent: int, *, seconds: float = math.inf) -> None:
        """Close a connection once it has sent so many bytes, and refuse new ones for so long."""
        self._cut_after, self._seconds = sent, seconds

    def serve(self) -> None:
        """Accept connections until the relay is ended."""
        while not self._ended.is_set():
            with self._listener, contextlib.suppress(OSError):
                while True:
                    client, _address = self._listener.accept()
                    threading.Thread(target=self._serve_one, args=(client,), daemon=True).start()
            if not self._ended.wait(min(self._seconds, threading.TIMEOUT_MAX)):
                host, port = self.portal.rsplit(":", 1)
                self._listener = socket.create_server((host, int(port)))

    def end(self) -> None:
        """Accept no connections any more."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)

    def _serve_one(self, client: socket.socket) -> None:
        session = Session()
        self.sessions.append(session)
        with client, socket.create_connection(self._upstream, _SECONDS_TO_CONNECT) as server:
            server.settimeout(None)
            back = threading.Thread(
                target=self._copy_back, args=(server, client, session), daemon=True
            )
            back.start()
            with contextlib.suppress(OSError):
                self._forward(client, server, session)
            for side in (client, server):
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
            back.join()

    def _forward(self, client: socket.socket, server: socket.socket, session: Session) -> None:
        pending = bytearray()
        while chunk := client.recv(_CHUNK):
            session.sent += len(chunk)
            pending += chunk
            session.opcodes += _take_opcodes(pending, session.digest)
            if session.sent >= self._cut_after:
                self._cut_after = math.inf
                self._listener.shutdown(socket.SHUT_RDWR)
                return
            if session.sent >= self._freeze_after:
                self._freeze_after = math.inf
                self.frozen.set()
            self._hold()
            server.sendall(chunk)

    def _copy_back(self, server: socket.socket, client: socket.socket, session: Session) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(_CHUNK):
                session.received += len(chunk)
                if not session.opcodes and b"HeaderDigest=CRC32C" in chunk:
                    session.digest = _DIGEST
                self._hold()
                client.sendall(chunk)

    def _hold(self) -> None:
        """Keep what has come while the link is silent: nothing is lost, as TCP has it."""
        if self.frozen.is_set():
            if self._ended.wait(min(self._seconds, threading.TIMEOUT_MAX)):
                raise ConnectionAbortedError
            self.frozen.clear()


def _take_opcodes(pending: bytearray, digest: int) -> list[int]:
    """Remove the complete PDUs (RFC 3720, section 10.2) and return their SCSI opcodes."""
    opcodes = []
    while len(pending) >= _HEADER:
        kind = pending[0] & 0x3F
        data = int.from_bytes(pending[5:8], "big")
        size = _HEADER + 4 * pending[4] + (data + 3) // 4 * 4 + (digest if kind != _LOGIN else 0)
        if len(pending) < size:
            break
        if kind == _SCSI_COMMAND:
            opcodes.append(pending[32])
        del pending[:size]
    return opcodes


@contextmanager
def start_relay(address: str, upstream: str) -> Iterator[Relay]:
    """Run a relay on any port of a loopback address before the portal ``upstream``."""
    host, port = upstream.rsplit(":", 1)
    relay = Relay(socket.create_server((address, 0)), (host, int(port)))
    thread = threading.Thread(target=relay.serve, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.end()
        thread.join()
