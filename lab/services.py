"""All services of a lab, together."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.config_file import Sections
from lab.emulator import EmulatedServer, running_emulator
from lab.image_server import running_image_server
from lab.ironic_service import starting_ironic, write_config
from lab.openstack.cloud import plan_cloud, running_cloud
from lab.openstack.keystone import KeystoneAccess
from lab.settings import OPENSTACK, Settings


@dataclass(frozen=True)
class Services:
    """The services of a running lab.

    :ivar api_url: Ironic's API.
    :ivar config: Ironic's configuration file; it holds secrets.
    :ivar control_url: the emulator's control API.
    :ivar servers: the emulated servers by name.
    :ivar health_urls: by what people call the service; a GET succeeds while it is up.
    :ivar keystone: whom Ironic and the others ask about tokens, if they do.
    """

    api_url: str
    config: str
    control_url: str
    servers: dict[str, EmulatedServer]
    health_urls: dict[str, str]
    keystone: KeystoneAccess | None

    def as_dict(self) -> dict[str, Any]:
        """Give a form for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Services":
        """Undo :meth:`as_dict`."""
        servers = {name: EmulatedServer(**server) for name, server in values["servers"].items()}
        keystone = values["keystone"] and KeystoneAccess.from_dict(values["keystone"])
        return cls(**values | {"servers": servers, "keystone": keystone})


def describe_services(settings: Settings) -> str:
    """Name what :func:`running_services` starts."""
    publisher = "Keystone, Glance, Swift" if settings.services == OPENSTACK else "image server"
    return f"Ironic, {publisher} and emulator"


@contextmanager
def running_services(
    settings: Settings, *, file_paths: list[Path], options: Sections | None = None
) -> Iterator[Services]:
    """Run Ironic, what it needs, and the emulated servers while the block runs.

    :param settings: without a port 0.
    :param file_paths: directories whose files nodes may be deployed from.
    :param options: more options of Ironic, by section.
    :raises ProcessError: one could not be started; the end of its log is in the text.
    """
    keystone = plan_cloud(settings) if settings.services == OPENSTACK else None
    config = write_config(
        settings, file_paths=file_paths, options=options or {}, keystone=keystone
    )
    with ExitStack() as stack:
        emulator = stack.enter_context(running_emulator(settings))
        ironic = stack.enter_context(starting_ironic(settings, config, keystone))
        health_urls = {"ironic": settings.api_url, "emulator": f"{emulator.control_url}/servers"}
        if keystone is None:
            stack.enter_context(running_image_server(settings, config))
            health_urls["image server"] = f"{settings.image_server_url}/healthz"
        else:
            health_urls |= stack.enter_context(running_cloud(settings, keystone))
        ironic.wait()
        yield Services(
            api_url=settings.api_url,
            config=str(config),
            control_url=emulator.control_url,
            servers=emulator.servers,
            health_urls=health_urls,
            keystone=keystone,
        )
