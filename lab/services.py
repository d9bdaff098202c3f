"""All services of a lab, together."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.emulator import EmulatedServer, running_emulator
from lab.image_server import running_image_server
from lab.ironic_service import Sections, running_ironic, write_config
from lab.settings import Settings


@dataclass(frozen=True)
class Services:
    """The services of a running lab.

    :ivar api_url: Ironic's API.
    :ivar image_server_url: where virtual media are read from.
    :ivar config: Ironic's configuration file; it holds secrets.
    :ivar control_url: the emulator's control API.
    :ivar servers: the emulated servers by name.
    """

    api_url: str
    image_server_url: str
    config: str
    control_url: str
    servers: dict[str, EmulatedServer]

    def as_dict(self) -> dict[str, Any]:
        """Give a form for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Services":
        """Undo :meth:`as_dict`."""
        servers = {name: EmulatedServer(**server) for name, server in values["servers"].items()}
        return cls(**values | {"servers": servers})


@contextmanager
def running_services(
    settings: Settings, *, file_paths: list[Path], options: Sections | None = None
) -> Iterator[Services]:
    """Run Ironic, the image server and the emulated servers while the block runs.

    :param settings: without a port 0.
    :param file_paths: directories whose files nodes may be deployed from.
    :param options: more options of Ironic, by section.
    :raises ProcessError: one could not be started; the end of its log is in the text.
    """
    config = write_config(settings, file_paths=file_paths, options=options or {})
    with ExitStack() as stack:
        emulator = stack.enter_context(running_emulator(settings))
        stack.enter_context(running_image_server(settings, config))
        stack.enter_context(running_ironic(settings, config))
        yield Services(
            api_url=settings.api_url,
            image_server_url=settings.image_server_url,
            config=str(config),
            control_url=emulator.control_url,
            servers=emulator.servers,
        )
