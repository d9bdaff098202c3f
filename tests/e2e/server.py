"""A server of a lab that boots, and what its machine says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import console
from lab.emulator import Control
from lab.node import Node
from lab.tiny_instance import Report, wait_for_report

#: Seconds: several times what anything takes here, for CI's cores are shared.
DEADLINE = 900


@dataclass
class Server:
    """A server of the lab, as a node of Ironic and by its console.

    :ivar disk: the file that is its first disk.
    """

    node: Node
    control: Control
    name: str
    disk: Path
    _seen: int = 0

    def state(self) -> dict[str, Any]:
        """Ask the emulator about it."""
        return self.control.server(self.name)

    @property
    def console(self) -> Path:
        """All that it has said."""
        return Path(self.state()["console_log"])

    def report(self) -> Report:
        """Return what the instance says when it has booted once more."""
        report, self._seen = wait_for_report(self.console, after=self._seen, timeout=DEADLINE)
        return report

    def wait_for_text(self, text: str) -> None:
        """Wait until the console shows a text, behind what was waited for before."""
        self._seen = console.wait_for_text(self.console, text, after=self._seen, timeout=DEADLINE)
