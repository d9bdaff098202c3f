"""What TCP carried, as the kernel counted it: nothing stands in the way of what is measured.

The kernel tells about each TCP socket that goes (sock_diag(7), the group of closed sockets), with
its ``struct tcp_info``. No privilege is needed. What a relay would cost in time, this does not.
"""

import errno
import ipaddress
import socket
import struct
import time
from collections.abc import Iterator

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h.
_NETLINK_SOCK_DIAG = 4
_GROUP_TCP_DESTROYED = 1 << (1 - 1)
_INET_DIAG_INFO = 2
_HEADER = struct.Struct("=IHHII")
_DESTINATION_PORT = struct.Struct("!H")
_AT_PORT, _AT_ADDRESS = 16 + 6, 16 + 24
_AT_ATTRIBUTES = 16 + 72
_ATTRIBUTE = struct.Struct("=HH")
# linux/tcp.h, struct tcp_info: tcpi_bytes_acked, tcpi_bytes_received. (tcpi_bytes_sent has what
# was sent again, too: on a busy machine's loopback some percent, whatever the tool.)
_AT_ACKED, _AT_RECEIVED = 120, 128
_COUNTER = struct.Struct("=Q")

_BUFFER_BYTES = 4 * 1024 * 1024
_SO_RCVBUFFORCE = 33
_MESSAGE_BYTES = 64 * 1024
# The kernel tells from a work queue, some milliseconds after the socket went.
_SECONDS_OF_QUIET = 0.5
_SECONDS_TO_TELL = 5.0


class WireCounter:
    """Counts the payload of all connections to one portal, both ways, until it is closed.

    :param portal: ``host:port``, an IPv4 address.
    """

    def __init__(self, portal: str) -> None:
        host, port = portal.rsplit(":", 1)
        self._destination = (ipaddress.IPv4Address(host).packed, int(port))
        self._bytes = 0
        self._connections = 0
        self._has_missed = False
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except PermissionError:  # not root: the usual size must do
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.bind((0, _GROUP_TCP_DESTROYED))
        self._socket.setblocking(False)

    def __enter__(self) -> "WireCounter":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._socket.close()

    def drain(self) -> None:
        """Take what the kernel has told so far; its buffer is not endless."""
        try:
            while True:
                self._count(self._socket.recv(_MESSAGE_BYTES))
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._has_missed = True

    def total(self) -> int | None:
        """Return the bytes of all connections, which have been closed just now.

        :return: ``None`` when the kernel had more to tell than its buffer took.
        """
        deadline = time.monotonic() + _SECONDS_TO_TELL
        known, since = -1, time.monotonic()
        while time.monotonic() < deadline:
            self.drain()
            if self._connections != known:
                known, since = self._connections, time.monotonic()
            elif known and time.monotonic() - since >= _SECONDS_OF_QUIET:
                break
            time.sleep(_SECONDS_OF_QUIET / 10)
        return None if self._has_missed else self._bytes

    def _count(self, message: bytes) -> None:
        (port,) = _DESTINATION_PORT.unpack_from(message, _AT_PORT)
        address = message[_AT_ADDRESS : _AT_ADDRESS + 4]
        if (address, port) != self._destination or message[16] != socket.AF_INET:
            return
        for kind, value in _attributes(message):
            if kind == _INET_DIAG_INFO:
                self._connections += 1
                self._bytes += _COUNTER.unpack_from(value, _AT_ACKED)[0]
                self._bytes += _COUNTER.unpack_from(value, _AT_RECEIVED)[0]


def _attributes(message: bytes) -> Iterator[tuple[int, bytes]]:
    (length, *_rest) = _HEADER.unpack_from(message)
    at = _AT_ATTRIBUTES
    while at + _ATTRIBUTE.size <= length:
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        yield kind, message[at + _ATTRIBUTE.size : at + size]
        at += -(-size // 4) * 4
