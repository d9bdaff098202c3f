"""All services of a lab, together."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.emulator import EmulatedServer, running_emulator
from lab.image_server import running_image_server
from lab.ironic_service import Sections, running_ironic, write_config
from lab.settings import Settings


@dataclass(frozen=True)
class Services:
    """The services of a running lab.

    :ivar settings: with the ports that are really used.
    :ivar config: Ironic's configuration file.
    :ivar servers: the emulated servers by name.
    """

    settings: Settings
    config: Path
    control_url: str
    servers: dict[str, EmulatedServer]

    @property
    def api_url(self) -> str:
        """Ironic's API."""
        return self.settings.api_url


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
        yield Services(settings, config, emulator.control_url, emulator.servers)
