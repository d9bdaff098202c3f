"""The image server of a lab: ``ironic-ilo serve-images``."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.process import Program, own_command, running
from lab.settings import Settings

_SECONDS_TO_START = 120.0


@contextmanager
def running_image_server(settings: Settings, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Serve images while the block runs.

    :param config: Ironic's configuration file.
    :raises ProcessError: it could not be started; the end of its log is in the text.
    """
    ready_file = settings.directory / "image-server.json"
    files = ["--config-file", str(config), "--ready-file", str(ready_file)]
    program = Program(
        "The image server",
        [own_command("ironic-ilo"), "serve-images", *files],
        settings.directory / "logs" / "image-server.log",
    )
    with running(program, is_ready=ready_file.exists, timeout=_SECONDS_TO_START) as process:
        yield process
