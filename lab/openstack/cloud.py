"""Keystone, Glance and Swift around Ironic, with the accounts of a small cloud."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import swiftclient

from lab.openstack.glance import starting_glance
from lab.openstack.keystone import (
    IRONIC_USER,
    SWIFT_USER,
    KeystoneAccess,
    create_accounts,
    plan_access,
    starting_keystone,
)
from lab.openstack.swift import SwiftAccess, SwiftKeystone, allow_temp_urls, running_swift
from lab.settings import LOOPBACK, Settings


def plan_cloud(settings: Settings) -> KeystoneAccess:
    """Choose where Keystone listens, and everybody's password, before anything runs."""
    url = _url(settings.ports.keystone)
    return plan_access(settings.directory / "keystone", url)


@contextmanager
def running_cloud(settings: Settings, keystone: KeystoneAccess) -> Iterator[dict[str, str]]:
    """Run Keystone, Glance and Swift while the block runs.

    They start side by side: what each needs of the others, it needs for requests only.

    :param keystone: what :func:`plan_cloud` returned.
    :returns: URLs that can be read while they are up, by the services' names.
    :raises ProcessError: one could not be started; the end of its log is in the text.
    """
    directory, ports = settings.directory, settings.ports
    logs = directory / "logs"
    with ExitStack() as stack:
        glance = stack.enter_context(
            starting_glance(
                directory / "glance",
                logs,
                keystone,
                port=ports.glance,
            )
        )
        identity = stack.enter_context(
            starting_keystone(directory / "keystone", logs, keystone, ports.keystone)
        )
        swift = stack.enter_context(
            running_swift(
                directory,
                port=ports.swift,
                memcached_port=ports.memcached,
                keystone=_swift_keystone(keystone),
            )
        )
        identity.wait()
        _fill(settings, keystone, swift)
        glance.wait()
        yield {
            "keystone": keystone.auth_url,
            "glance": f"{_url(ports.glance)}/healthcheck",
            "swift": f"{swift.url}/healthcheck",
        }


def _fill(settings: Settings, keystone: KeystoneAccess, swift: SwiftAccess) -> None:
    """Make what an operator makes once: accounts, catalog, and the key of temporary URLs."""
    endpoints = {
        "baremetal": settings.api_url,
        "image": _url(settings.ports.glance),
        "object-store": swift.endpoint,
    }
    create_accounts(keystone, endpoints)
    with closing(swiftclient.Connection(session=keystone.session(IRONIC_USER))) as connection:
        allow_temp_urls(connection)


def _swift_keystone(keystone: KeystoneAccess) -> SwiftKeystone:
    user = keystone.users[SWIFT_USER]
    return SwiftKeystone(keystone.auth_url, user.name, user.read_password(), user.project)


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"
