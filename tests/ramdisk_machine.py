"""A QEMU machine that boots the deploy ISO, with a floppy of its own, and who it calls back.

QEMU's user network stands between: the guest reaches this machine's loopback as 10.0.2.2 and
fec0::2, and its iSCSI port is forwarded to a port here.
"""

import http.server
import json
import os
import queue
import secrets
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deploy_ramdisk.network import FILE_NAME, render_network_conf
from ironic_ilo.images import create_vfat_image
from tests.web_server import serving

GUEST = "127.0.21.10"  # where the guest's iSCSI port is seen
MAC = "52:54:00:21:00:01"
NODE = "5f5b6d2e-7d2a-4c57-9e0b-3a1d8a4f0c11"
IQN = f"iqn.2008-10.org.openstack:{NODE}-0badcafe"
CHAP_USERNAME = "deploy-0badcafe"
CONDUCTOR = "iqn.2008-10.org.openstack:conductor-0123456789abcdef"
DISK_BYTES = 1 << 30
SECONDS_TO_BOOT = 300
SECONDS_TO_SAY = 120

AHCI = ("-drive", "if=none,id=d0,format=raw,file={disk}", "-device", "ide-hd,drive=d0,bus=ide.0")


@dataclass(frozen=True)
class Call:
    """One request of the ramdisk."""

    path: str
    token: str | None
    version: str | None
    body: dict[str, Any]


@dataclass
class Conductor:
    """An API that keeps calls and answers them in turn, the last answer for good."""

    answers: Sequence[tuple[int, bytes]]
    calls: "queue.Queue[Call]" = field(default_factory=queue.Queue)
    port: int = 0

    def answer(self, call: Call) -> tuple[int, bytes]:
        self.calls.put(call)
        count = self.calls.qsize()
        return self.answers[min(count, len(self.answers)) - 1]

    def wait_for_calls(self, count: int) -> list[Call]:
        deadline = time.monotonic() + SECONDS_TO_BOOT
        while self.calls.qsize() < count and time.monotonic() < deadline:
            time.sleep(0.1)
        return list(self.calls.queue)


@contextmanager
def start_conductor(
    *answers: tuple[int, bytes], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Conductor]:
    conductor = Conductor(answers or ((200, b""),))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(200, b"{}")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            call = Call(
                self.path,
                self.headers["X-Auth-Token"],
                self.headers["X-OpenStack-Ironic-API-Version"],
                json.loads(body),
            )
            assert self.headers["Content-Type"] == "application/json"
            self._reply(*conductor.answer(call))

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with serving(Handler, tls, host) as url:
        conductor.port = urlsplit(url).port or 0
        yield conductor


@dataclass(frozen=True)
class Machine:
    """A running machine, and the secrets on its floppy."""

    console: Path
    disk: Path
    portal: str
    key: str
    chap_secret: str

    def said(self) -> str:
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def wait_until_said(self, text: str) -> None:
        deadline = time.monotonic() + SECONDS_TO_SAY
        while text not in self.said():
            assert time.monotonic() < deadline, f"{text!r} is not in:\n{self.said()}"
            time.sleep(0.1)


@contextmanager
def boot(
    directory: Path,
    iso: Path,
    api_url: str,
    *,
    network_data: Mapping[str, object] | None = None,
    files: Mapping[str, bytes] | None = None,
    disk: Path | None = None,
    disks: Sequence[str] = AHCI,
    cards: Sequence[str] = ("e1000",),
    guest_address: str = "",
    firmware: Sequence[str] = (),
    agent_token: str | None = None,
    **changes: str,
) -> Iterator[Machine]:
    """Start a machine with the deploy ISO and a floppy; kill it at the end.

    :param disk: a file, which stays as it is; ``None``: a new one of :data:`DISK_BYTES`.
    :param disks: QEMU's options; ``{disk}`` is that file.
    :param cards: models of network cards; the last is the one that is connected.
    :param firmware: QEMU's options for another than its BIOS.
    :param agent_token: for a heartbeat.
    :param changes: to the floppy's parameters.
    """
    key = secrets.token_hex(32)
    parameters = make_parameters(api_url) | credentials(key, agent_token) | changes
    conf = render_network_conf(network_data)
    network_file = {FILE_NAME: conf.encode()} if conf else {}
    floppy, console = directory / "floppy.img", directory / "console"
    create_vfat_image(floppy, parameters=parameters, files={**network_file, **(files or {})})
    disk = disk or make_disk(directory / "disk.raw")
    portal = f"{GUEST}:{free_port(GUEST)}"
    command = qemu_command(iso, floppy, console, cards, f"{portal}-{guest_address}:3260")
    command += [*firmware, *(option.format(disk=disk) for option in disks)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            yield Machine(console, disk, portal, key, parameters["iscsi_chap_secret"])
        finally:
            process.kill()


def make_parameters(api_url: str) -> dict[str, str]:
    """Make a floppy's parameters, with a CHAP secret of its own."""
    return {
        "ironic_api_url": api_url,
        "deployment_id": NODE,
        "action": "deploy",
        "iscsi_target_iqn": IQN,
        "iscsi_initiator_iqn": CONDUCTOR,
        "iscsi_portal_port": "3260",
        "iscsi_chap_username": CHAP_USERNAME,
        "iscsi_chap_secret": secrets.token_hex(16),
        "clock": str(int(time.time())),
        "callback_timeout": "300",
        "login_timeout": "1800",
    }


def credentials(key: str, agent_token: str | None) -> dict[str, str]:
    """Make the parameters by which a machine proves to the conductor who it is."""
    if agent_token is None:
        return {"deployment_key": key}
    return {"ramdisk_callback": "heartbeat", "agent_token": agent_token}


def make_disk(path: Path) -> Path:
    """Make an empty disk."""
    path.touch()
    os.truncate(path, DISK_BYTES)
    return path


def qemu_command(
    iso: Path, floppy: Path, console: Path, cards: Sequence[str], forward: str
) -> list[str]:
    *others, connected = cards
    command = ["qemu-system-x86_64", "-nodefaults", "-machine", "q35", "-accel", "tcg"]
    command += ["-cpu", "max", "-smp", "2", "-m", "512", "-display", "none", "-vga", "std"]
    # A clock far behind, as of a server whose battery is empty: TLS must work all the same.
    command += ["-serial", f"file:{console}", "-rtc", "base=2004-01-01", "-device", "qemu-xhci"]
    for file, name, device in ((iso, "cd", "scsi-cd,bootindex=1"), (floppy, "floppy", "scsi-hd")):
        command += ["-drive", f"if=none,id={name},format=raw,readonly=on,file={file}"]
        command += ["-device", f"usb-bot,id={name}-usb"]
        command += ["-device", f"{device},drive={name},bus={name}-usb.0"]
    for number, model in enumerate(others):
        command += ["-netdev", f"hubport,id=dead{number},hubid={number}"]
        command += ["-device", f"{model},netdev=dead{number}"]
    command += ["-netdev", f"user,id=net,hostfwd=tcp:{forward}"]
    return [*command, "-device", f"{connected},netdev=net,mac={MAC}"]


def free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])
