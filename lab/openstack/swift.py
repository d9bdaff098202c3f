"""A real Swift: its four servers, what removes expired objects, and their memcached.

One device, one replica, everything in one directory and as the current user. The servers neither
fork nor use syslog: each is one process that writes to its log.
"""

import configparser
import functools
import os
import pwd
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
import swiftclient

from ironic_ilo.exception import ProcessError
from ironic_ilo.execute import execute
from lab.process import Program, starting
from lab.settings import LOOPBACK

_SECONDS_TO_START = 120.0
_SECONDS_FOR_ANSWER = 10.0
_SECONDS_TO_MAKE_RINGS = 120.0
_DEVICE = "d1"
_SECONDS_BETWEEN_SWEEPS = 2
_MEMCACHED_MEGABYTES = 16
_DISCARD_PORT = 9

_MODULES = {
    "account-server": "account.server",
    "container-server": "container.server",
    "object-server": "obj.server",
    "proxy-server": "proxy.server",
    "container-updater": "container.updater",
    "object-expirer": "obj.expirer",
}
# The expirer finds the objects that are due in containers of its own, which it only knows of once
# the updater has told the account of them. Nobody waits for these two.
_DAEMONS = ("container-updater", "object-expirer")

Sections = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class SwiftKeystone:
    """The Keystone that Swift asks about tokens, and the service user with which it asks.

    :ivar auth_url: such as ``http://127.0.0.1:5000/v3``.
    """

    auth_url: str
    username: str
    password: str = field(repr=False)
    project_name: str
    user_domain_id: str = "default"
    project_domain_id: str = "default"


@dataclass(frozen=True)
class SwiftAccess:
    """How to use a running Swift.

    :ivar url: the proxy server; with Keystone, accounts are at ``/v1/AUTH_<project id>``.
    :ivar auth_url: tempauth's (auth version 1); unused with Keystone, as are the next ones.
    :ivar user: may do everything in the account ``test``.
    :ivar guest: a user of the same account without any right of its own.
    :ivar key: password of both.
    """

    url: str
    auth_url: str
    user: str = "test:tester"
    guest: str = "test:guest"
    key: str = field(default="", repr=False)

    @property
    def endpoint(self) -> str:
        """The URL for Keystone's catalog."""
        return f"{self.url}/v1/AUTH_%(project_id)s"


@contextmanager
def running_swift(
    directory: Path,
    *,
    port: int,
    memcached_port: int,
    keystone: SwiftKeystone | None,
    max_file_size: int | None = None,
) -> Iterator[SwiftAccess]:
    """Run an empty Swift while the block runs.

    :param directory: takes its files; in a file system with extended attributes.
    :param port: the proxy server's.
    :param keystone: ``None``: Swift knows its users by itself (tempauth).
    :param max_file_size: bytes of the largest single object; ``None``: Swift's 5 GiB.
    :raises ProcessError: a part could not be started; the end of its log is in the text.
    """
    access = SwiftAccess(
        url=f"http://{LOOPBACK}:{port}",
        auth_url=f"http://{LOOPBACK}:{port}/auth/v1.0",
        key=secrets.token_hex(16),
    )
    files = _Files(directory / "swift", directory / "logs")
    files.make(max_file_size)
    ports = _free_ports("account", "container", "object")
    files.make_rings(ports)
    for kind, backend_port in ports.items():
        files.write(f"{kind}-server.conf", _backend_options(kind, backend_port))
    cache = {"cache": _cache_options(memcached_port)}
    files.write("proxy-server.conf", _proxy_options(access, port, keystone, cache))
    files.write("internal-client.conf", _internal_client_options(cache))
    files.write("object-expirer.conf", _expirer_options(files.directory))
    files.write("container-updater.conf", _updater_options())
    with ExitStack() as stack:
        # All at once: starting is mostly Python's, and each needs the others only later.
        waits = [_start(stack, *_memcached(files, memcached_port))]
        for kind, server_port in {**ports, "proxy": port}.items():
            is_ready = functools.partial(_is_healthy, server_port)
            waits.append(_start(stack, _swift(files, f"{kind}-server"), is_ready))
        for name in _DAEMONS:
            waits.append(_start(stack, _swift(files, name), lambda: True))
        for wait in waits:
            wait()
        yield access


def allow_temp_urls(connection: swiftclient.Connection) -> None:
    """Give an account a random key that temporary URLs can be signed with."""
    connection.post_account({"X-Account-Meta-Temp-Url-Key": secrets.token_hex(32)})


@dataclass(frozen=True)
class _Files:
    """Where Swift's configuration, rings and objects are.

    :ivar directory: also what Swift calls ``swift_dir``.
    """

    directory: Path
    logs: Path

    def make(self, max_file_size: int | None) -> None:
        """Make the directories, and the settings common to all servers."""
        for name in ("", f"devices/{_DEVICE}", "recon"):
            (self.directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        common: dict[str, dict[str, object]] = {
            "swift-hash": {"swift_hash_path_suffix": secrets.token_hex(16)},
            "storage-policy:0": {"name": "default", "default": "yes"},
        }
        if max_file_size is not None:
            common["swift-constraints"] = {"max_file_size": max_file_size}
        self._write("swift.conf", common)

    def write(self, name: str, options: Sections) -> None:
        """Write the configuration file of one server."""
        defaults = {
            "swift_dir": self.directory,
            "devices": self.directory / "devices",
            "recon_cache_path": self.directory / "recon",
            "mount_check": "false",
            "fallocate_reserve": 0,
            "user": _current_user(),
            "workers": 0,
            # Swift always logs to some syslog; what it says there comes to stderr as well (-v).
            "log_udp_host": LOOPBACK,
            "log_udp_port": _DISCARD_PORT,
        }
        self._write(name, {**options, "DEFAULT": {**defaults, **options.get("DEFAULT", {})}})

    def make_rings(self, ports: Mapping[str, int]) -> None:
        """Tell all servers that everything of each kind lives on our one device."""
        places = [f"{kind}={port}" for kind, port in ports.items()]
        module = ["-P", "-m", "lab.openstack.swift_rings"]
        execute(
            [sys.executable, *module, self.directory, _DEVICE, *places],
            timeout=_SECONDS_TO_MAKE_RINGS,
        )

    def _write(self, name: str, options: Sections) -> None:
        parser = configparser.RawConfigParser()
        parser.read_dict(options)
        # They hold passwords.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(self.directory / name, flags, 0o600), "w") as file:
            parser.write(file)


def _backend_options(kind: str, port: int) -> Sections:
    return {
        "DEFAULT": {"bind_ip": LOOPBACK, "bind_port": port},
        "pipeline:main": {"pipeline": f"healthcheck {kind}-server"},
        f"app:{kind}-server": {"use": f"egg:swift#{kind}"},
        "filter:healthcheck": {"use": "egg:swift#healthcheck"},
    }


def _proxy_options(
    access: SwiftAccess, port: int, keystone: SwiftKeystone | None, cache: Sections
) -> Sections:
    auth = _tempauth_options(access) if keystone is None else _keystone_options(keystone)
    filters: dict[str, Mapping[str, object]] = {
        **{
            name: {"use": f"egg:swift#{name}"}
            for name in ("catch_errors", "gatekeeper", "healthcheck")
        },
        **cache,
        **{name: {"use": f"egg:swift#{name}"} for name in ("listing_formats", "bulk")},
        "tempurl": {"use": "egg:swift#tempurl", "allowed_digests": "sha256"},
        **auth,
        **{name: {"use": f"egg:swift#{name}"} for name in ("copy", "slo", "dlo")},
    }
    return {
        "DEFAULT": {"bind_ip": LOOPBACK, "bind_port": port},
        "pipeline:main": {"pipeline": " ".join([*filters, "proxy-server"])},
        "app:proxy-server": {
            "use": "egg:swift#proxy",
            "account_autocreate": "true",
            "allow_account_management": "true",
        },
        **{f"filter:{name}": options for name, options in filters.items()},
    }


def _tempauth_options(access: SwiftAccess) -> Sections:
    users = {access.user: f"{access.key} .admin", access.guest: access.key}
    return {
        "tempauth": {
            "use": "egg:swift#tempauth",
            **{f"user_{user.replace(':', '_')}": rights for user, rights in users.items()},
        }
    }


def _keystone_options(keystone: SwiftKeystone) -> Sections:
    return {
        "authtoken": {
            "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
            "www_authenticate_uri": keystone.auth_url,
            "auth_url": keystone.auth_url,
            "auth_type": "password",
            "username": keystone.username,
            "password": keystone.password,
            "project_name": keystone.project_name,
            "user_domain_id": keystone.user_domain_id,
            "project_domain_id": keystone.project_domain_id,
            "cache": "swift.cache",
            # Whoever loses a right loses it now, not in five minutes.
            "token_cache_time": 1,
            "include_service_catalog": "false",
            "service_token_roles_required": "true",
            # Temporary URLs carry no token.
            "delay_auth_decision": "true",
        },
        "keystoneauth": {"use": "egg:swift#keystoneauth", "operator_roles": "member, admin"},
    }


def _internal_client_options(cache: Sections) -> Sections:
    return {
        "pipeline:main": {"pipeline": "catch_errors cache proxy-server"},
        "app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": "true"},
        "filter:catch_errors": {"use": "egg:swift#catch_errors"},
        **{f"filter:{name}": options for name, options in cache.items()},
    }


def _cache_options(port: int) -> dict[str, object]:
    return {"use": "egg:swift#memcache", "memcache_servers": f"{LOOPBACK}:{port}"}


def _expirer_options(swift_directory: Path) -> Sections:
    return {
        "object-expirer": {
            "interval": _SECONDS_BETWEEN_SWEEPS,
            "dequeue_from_legacy": "true",
            "internal_client_conf_path": swift_directory / "internal-client.conf",
        }
    }


def _updater_options() -> Sections:
    return {"container-updater": {"interval": _SECONDS_BETWEEN_SWEEPS}}


def _start(stack: ExitStack, program: Program, is_ready: Callable[[], bool]) -> Callable[[], None]:
    """Start a program.

    :returns: waits until it is ready.
    """
    service = stack.enter_context(starting(program, is_ready=is_ready, timeout=_SECONDS_TO_START))
    return service.wait


def _memcached(files: _Files, port: int) -> tuple[Program, Callable[[], bool]]:
    # Debian has it outside of what virtual environments and cron put on the path.
    command = shutil.which("memcached", path=f"{os.environ.get('PATH', '')}:/usr/bin")
    if command is None:
        raise ProcessError("Swift needs memcached, which is not installed.")
    listen = ["-l", LOOPBACK, "-p", str(port), "-U", "0"]
    argv = [command, *listen, "-u", _current_user(), "-m", str(_MEMCACHED_MEGABYTES), "-t", "1"]
    return Program("memcached", argv, files.logs / "memcached.log"), lambda: _accepts(port)


def _swift(files: _Files, name: str) -> Program:
    command = [sys.executable, "-m", "lab.openstack.swift_program", _MODULES[name]]
    return Program(
        f"Swift's {name}",
        [*command, files.directory / f"{name}.conf", "-v"],
        files.logs / f"swift-{name}.log",
    )


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_SECONDS_FOR_ANSWER):
            return True
    except OSError:
        return False


def _is_healthy(port: int) -> bool:
    try:
        url = f"http://{LOOPBACK}:{port}/healthcheck"
        return requests.get(url, timeout=_SECONDS_FOR_ANSWER).ok
    except requests.RequestException:
        return False


def _current_user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _free_ports(*names: str) -> dict[str, int]:
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in names]
        for probe in sockets:
            probe.bind((LOOPBACK, 0))
        return {
            name: int(probe.getsockname()[1]) for name, probe in zip(names, sockets, strict=True)
        }
