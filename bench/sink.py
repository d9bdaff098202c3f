"""The limit's other end: takes extents from one TCP connection and puts them into a file.

It stands where the iSCSI target stands for the tools, in a process of its own. Each extent comes
as its start and size (8 bytes each, big-endian) and its bytes. When the sender is done, what came
is flushed to the disk, and one byte says so.
"""

import os
import socket
import struct
import sys
from pathlib import Path

HEADER = struct.Struct("!QQ")
_BUFFER = 1024 * 1024


def receive(connection: socket.socket, descriptor: int) -> None:
    """Store what comes from a connection."""
    buffer = memoryview(bytearray(_BUFFER))
    while header := _take(connection, buffer[: HEADER.size]):
        at, left = HEADER.unpack(header)
        while left:
            taken = connection.recv_into(buffer[: min(left, _BUFFER)])
            if not taken:
                raise ConnectionError("The sender has gone in the middle of an extent")
            os.pwrite(descriptor, buffer[:taken], at)
            at, left = at + taken, left - taken


def _take(connection: socket.socket, buffer: memoryview) -> bytes:
    """Fill a buffer; nothing when the sender is done."""
    got = 0
    while got < len(buffer) and (taken := connection.recv_into(buffer[got:])):
        got += taken
    return bytes(buffer[:got])


def main() -> None:
    """Serve one connection; the address is the first line of standard output."""
    address, store = sys.argv[1:]
    descriptor = os.open(Path(store), os.O_WRONLY)
    with socket.create_server((address, 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        connection, _peer = listener.accept()
    with connection:
        receive(connection, descriptor)
        os.fdatasync(descriptor)
        connection.sendall(b"\0")
    os.close(descriptor)


if __name__ == "__main__":
    main()
