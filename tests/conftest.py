"""What holds for all tests: their order, and that no socket leaves this machine."""

import ipaddress
import socket
import sys
from pathlib import Path

import pytest

ORDER = ("unit", "e2e", "functional")
TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the quick tests first, then the long ones."""
    items.sort(key=lambda item: ORDER.index(item.path.relative_to(TESTS).parts[0]))


def _refuse_other_machines(event: str, arguments: tuple) -> None:
    if event not in ("socket.connect", "socket.bind", "socket.sendto"):
        return
    sock, address = arguments
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    # Sends nothing: oslo.utils finds this machine's address so.
    if event == "socket.connect" and sock.type == socket.SOCK_DGRAM:
        return
    if not _is_loopback(*address):
        raise AssertionError(f"a test calls {event} with {address[0]}, outside loopback")


def _is_loopback(host: str, _port: int, _flow: int = 0, scope: int = 0) -> bool:
    if host == "localhost" or ipaddress.ip_address(host).is_loopback:
        return True
    return scope != 0 and socket.if_indextoname(scope) == "lo"


# An audit hook (PEP 578) sees what libraries do, too; it cannot be taken away again.
sys.addaudithook(_refuse_other_machines)
