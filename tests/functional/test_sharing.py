"""Sharing boot ISOs over a real Swift: ``test_boot_iso_sharing``, with fewer cases."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from ironic_ilo.swift import SwiftAPI
from lab.openstack.swift import SwiftAccess, running_swift
from lab.settings import LOOPBACK
from tests.sharing_machine import Setting, SharingMachine

pytestmark = pytest.mark.functional

FEW = settings(
    max_examples=8,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class WallClock:
    """Swift's clock, which nobody moves: nothing expires here while an example is played."""

    def __call__(self) -> float:
        return time.time()

    def advance(self, seconds: float) -> None:
        """Leave it as it is."""


@pytest.fixture(scope="module")
def swift(tmp_path_factory) -> Iterator[SwiftAccess]:
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(2)]
        for probe in sockets:
            probe.bind((LOOPBACK, 0))
        port, memcached_port = (probe.getsockname()[1] for probe in sockets)
    directory = tmp_path_factory.mktemp("swift")
    with running_swift(
        directory, port=port, memcached_port=memcached_port, keystone=None
    ) as access:
        yield access


def test_over_a_real_swift(swift, tmp_path):
    iso = tmp_path / "boot.iso"
    iso.write_bytes(b"iso")

    def open_store(_clock):
        return SwiftAPI(swift.user, None, swift.key, swift.auth_url)

    machine = type(
        "Machine", (SharingMachine,), {"setting": Setting(open_store, iso, make_clock=WallClock)}
    )
    run_state_machine_as_test(machine, settings=FEW)
