"""A real Ironic in one process: API and conductor, SQLite, nobody asked for a password.

It listens on the loopback interface alone, and so does everything that it talks to.
"""

import configparser
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

from ironic_ilo.execute import execute
from lab.process import Program, own_command, running
from lab.settings import LOOPBACK, Settings

# The host, as guests of QEMU's user network see it.
HOST_SEEN_BY_GUESTS = "10.0.2.2"
HARDWARE_TYPES = ("ilo", "ilo5")
INSTANCE_KERNEL_PARAMETERS = "console=tty0 console=ttyS0,115200"

_SECONDS_TO_START = 120.0
_SECONDS_TO_MAKE_DATABASE = 120.0
_SECONDS_FOR_ANSWER = 10.0

Sections = Mapping[str, Mapping[str, object]]


def write_config(settings: Settings, *, file_paths: list[Path], options: Sections) -> Path:
    """Write ``ironic.conf``, for Ironic and for the image server.

    :param file_paths: directories whose files nodes may be deployed from.
    :param options: more options by section; they win.
    """
    parser = configparser.RawConfigParser()
    for part in (_service_options(settings), _driver_options(settings, file_paths), options):
        for section, values in part.items():
            if section != parser.default_section and not parser.has_section(section):
                parser.add_section(section)
            for name, value in values.items():
                parser.set(section, name, str(value))
    path = settings.directory / "ironic" / "ironic.conf"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # It holds the key that signs URLs.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        parser.write(file)
    return path


def _service_options(settings: Settings) -> Sections:
    state = settings.directory / "ironic"
    return {
        "DEFAULT": {
            "auth_strategy": "noauth",
            "rpc_transport": "none",
            "host": "lab",
            "my_ip": LOOPBACK,
            "state_path": state,
            "tempdir": state,
            "graceful_shutdown_timeout": 5,
        },
        "api": {"host_ip": LOOPBACK, "port": settings.ports.api, "api_workers": 1},
        "database": {"connection": f"sqlite:///{state}/ironic.sqlite"},
        "oslo_concurrency": {"lock_path": state / "locks"},
        "pxe": {
            "images_path": state / "instance_images",
            "instance_master_path": state / "master_images",
        },
        "service_catalog": {
            "auth_type": "none",
            "endpoint_override": f"http://{HOST_SEEN_BY_GUESTS}:{settings.ports.api}",
        },
    }


def _driver_options(settings: Settings, file_paths: list[Path]) -> Sections:
    interfaces = {
        "bios": "no-bios",
        "boot": "ilo-virtual-media",
        "console": "no-console",
        "deploy": "ilo-iscsi",
        "firmware": "no-firmware",
        "inspect": "no-inspect",
        "management": "ilo",
        "network": "noop",
        "power": "ilo",
        "raid": "no-raid",
        "rescue": "no-rescue",
        "storage": "noop",
        "vendor": "ilo",
    }
    return {
        "DEFAULT": {
            "enabled_hardware_types": ",".join(HARDWARE_TYPES),
            **{f"enabled_{kind}_interfaces": name for kind, name in interfaces.items()},
        },
        "conductor": {
            "automated_clean": False,
            "file_url_allowed_paths": ",".join(map(str, file_paths)),
        },
        "ilo": {
            "web_store_root": settings.directory / "images",
            "web_store_url": settings.image_server_url,
            "image_server_host": LOOPBACK,
            "image_server_port": settings.ports.image_server,
            "signing_key": secrets.token_hex(32),
            "kernel_append_params": INSTANCE_KERNEL_PARAMETERS,
        },
    }


@contextmanager
def running_ironic(settings: Settings, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run Ironic with an empty database while the block runs.

    :raises ProcessError: it could not be started; the end of its log is in the text.
    """
    execute(
        [own_command("ironic-dbsync"), "--config-file", config, "create_schema"],
        timeout=_SECONDS_TO_MAKE_DATABASE,
    )
    program = Program(
        "Ironic",
        [own_command("ironic"), "--config-file", config],
        settings.directory / "logs" / "ironic.log",
        # Its master process starts a failing worker again and again.
        fatal="exited with status",
    )
    with running(
        program, is_ready=lambda: _has_conductor(settings.api_url), timeout=_SECONDS_TO_START
    ) as process:
        yield process


def _has_conductor(api_url: str) -> bool:
    """Ask whether the API answers, and knows what its conductor can drive."""
    try:
        reply = requests.get(f"{api_url}/v1/drivers", timeout=_SECONDS_FOR_ANSWER)
    except requests.ConnectionError:
        return False
    return reply.ok and {driver["name"] for driver in reply.json()["drivers"]} >= set(
        HARDWARE_TYPES
    )
