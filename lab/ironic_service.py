"""A real Ironic in one process: API and conductor, SQLite.

It listens on the loopback interface alone, and so does everything that it talks to.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from lab.config_file import Sections, write_config_file
from lab.database import IRONIC, create_database
from lab.openstack import glance
from lab.openstack.keystone import ADMIN, IRONIC_USER, KeystoneAccess
from lab.process import Program, Starting, own_command, starting
from lab.settings import LOOPBACK, Settings

# The host, as guests of QEMU's user network see it.
HOST_SEEN_BY_GUESTS = "10.0.2.2"
HARDWARE_TYPES = ("ilo", "ilo5")
INSTANCE_KERNEL_PARAMETERS = "console=tty0 console=ttyS0,115200"

_SECONDS_TO_START = 120.0
_SECONDS_FOR_ANSWER = 10.0


def write_config(
    settings: Settings,
    *,
    file_paths: list[Path],
    options: Sections,
    keystone: KeystoneAccess | None = None,
) -> Path:
    """Write ``ironic.conf``, for Ironic and for the image server.

    :param file_paths: directories whose files nodes may be deployed from.
    :param options: more options by section; they win.
    :param keystone: whom Ironic asks about tokens, if it does.
    """
    return write_config_file(
        settings.directory / "ironic" / "ironic.conf",
        _service_options(settings),
        _driver_options(file_paths),
        _standalone_options(settings) if keystone is None else _openstack_options(keystone),
        options,
    )


def _service_options(settings: Settings) -> Sections:
    state = settings.directory / "ironic"
    return {
        "DEFAULT": {
            "rpc_transport": "none",
            "host": "lab",
            "my_ip": LOOPBACK,
            "state_path": state,
            "tempdir": state,
            "graceful_shutdown_timeout": 5,
        },
        "api": {"host_ip": LOOPBACK, "port": settings.ports.api, "api_workers": 1},
        "database": {"connection": f"sqlite:///{_database_file(settings)}"},
        "oslo_concurrency": {"lock_path": state / "locks"},
        # Those that agents make for themselves.
        "agent": {"certificates_path": state / "certificates"},
        "deploy": {"iso_master_path": state / "master_isos"},
        "pxe": {
            "images_path": state / "instance_images",
            "instance_master_path": state / "master_images",
        },
        "service_catalog": {
            "endpoint_override": f"http://{HOST_SEEN_BY_GUESTS}:{settings.ports.api}"
        },
    }


def _database_file(settings: Settings) -> Path:
    return settings.directory / "ironic" / "ironic.sqlite"


def _driver_options(file_paths: list[Path]) -> Sections:
    interfaces = {
        "bios": "no-bios",
        "boot": "ilo-virtual-media",
        "console": "no-console",
        "deploy": "ilo-iscsi,direct,ramdisk",
        "firmware": "no-firmware",
        "inspect": "ilo,no-inspect",
        "management": "ilo",
        "network": "noop",
        "power": "ilo",
        "raid": "no-raid",
        "rescue": "no-rescue,agent",
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
            "signing_key": secrets.token_hex(32),
            # As validating a node advises; a busy machine boots slowly here, too.
            "deploy_helper_images_ttl": 30,
            "kernel_append_params": INSTANCE_KERNEL_PARAMETERS,
        },
    }


def _standalone_options(settings: Settings) -> Sections:
    """Ask nobody for a password, and publish through the image server."""
    return {
        "DEFAULT": {"auth_strategy": "noauth"},
        "service_catalog": {"auth_type": "none"},
        "ilo": {
            "use_web_server_for_images": True,
            "web_store_root": settings.directory / "images",
            "web_store_url": settings.image_server_url,
            "image_server_host": LOOPBACK,
            "image_server_port": settings.ports.image_server,
        },
    }


def _openstack_options(keystone: KeystoneAccess) -> Sections:
    """Trust Keystone's tokens, take images from Glance, and publish through Swift.

    Glance keeps its images in the account that Ironic publishes in, so one key signs all URLs.
    """
    client = keystone.client_options(IRONIC_USER)
    return {
        "DEFAULT": {"auth_strategy": "keystone"},
        "keystone_authtoken": keystone.middleware_options(IRONIC_USER),
        "service_catalog": client,
        "swift": client,
        "glance": client | {"swift_container": glance.CONTAINER},
        "ilo": {"use_web_server_for_images": False},
    }


@contextmanager
def starting_ironic(
    settings: Settings, config: Path, keystone: KeystoneAccess | None = None
) -> Iterator[Starting]:
    """Run Ironic with an empty database while the block runs.

    :param keystone: whom it asks about tokens, if it does; needed for waiting only.
    :raises ProcessError: it could not be started; the end of its log is in the text.
    """
    create_database(IRONIC, _database_file(settings))
    program = Program(
        "Ironic",
        [own_command("ironic"), "--config-file", config],
        settings.directory / "logs" / "ironic.log",
        # Its master process starts a failing worker again and again.
        fatal="exited with status",
    )
    with starting(
        program,
        is_ready=lambda: _has_conductor(settings.api_url, keystone),
        timeout=_SECONDS_TO_START,
    ) as service:
        yield service


def _has_conductor(api_url: str, keystone: KeystoneAccess | None) -> bool:
    """Ask whether the API answers, and knows what its conductor can drive."""
    headers = keystone.session(ADMIN, system=True).get_auth_headers() if keystone else None
    try:
        reply = requests.get(f"{api_url}/v1/drivers", headers=headers, timeout=_SECONDS_FOR_ANSWER)
    except requests.ConnectionError:
        return False
    return reply.ok and {driver["name"] for driver in reply.json()["drivers"]} >= set(
        HARDWARE_TYPES
    )
