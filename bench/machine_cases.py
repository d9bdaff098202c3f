"""Whole deploys of a small instance on an emulated server: where the time and the bytes go."""

import itertools
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from openstack.baremetal.v1.node import Node as ApiNode

from bench.case import Case, Context
from bench.results import Bound, Row, Sample, Target
from bench.stores import MIB
from ironic_ilo.timeline import TIMELINE
from lab import console
from lab.deploy_iso import build_cached_deploy_iso
from lab.emulator import Control
from lab.instance_image import InstanceImage
from lab.node import Node, connected, enrol
from lab.services import running_services
from lab.settings import LEGACY, UEFI, Ports, Settings, with_free_ports
from lab.sources import Sources, offer
from lab.tiny_instance import build_tiny_instance

_FIRST_ADDRESS = {LEGACY: "127.0.75.10", UEFI: "127.0.75.20"}
_DEADLINE = 900.0
_MACHINE_STAGES = ("post", "ramdisk", "instance")
_CALLBACK = "power on to callback"
_MOST_ISO_MIB = 24
_MOST_FETCHED_MIB = 16
# What an agent's ramdisk took on such a machine, at best and at worst.
_AGENT_SECONDS = (36, 68)


@dataclass(frozen=True)
class _Deploy:
    """What one deploy took.

    :ivar callback_seconds: from power on to the ramdisk's callback.
    :ivar bytes_fetched: through virtual media until then.
    :ivar stages: seconds of each stage, up to the instance's prompt.
    """

    callback_seconds: float
    bytes_fetched: int
    stages: Mapping[str, float]


class DeployCase(Case):
    """Deploys in one boot mode.

    A row's ratio: the stage's share of the whole; of the callback none.
    """

    def __init__(self, name: str, boot_mode: str) -> None:
        self.name = name
        self.in_quick_run = boot_mode == LEGACY
        self._boot_mode = boot_mode

    def seconds(self, context: Context) -> float:
        """See :class:`Case`."""
        return 20 + 60.0 * context.repeat

    def bytes_needed(self, context: Context) -> int:
        """See :class:`Case`."""
        del context
        return 512 * MIB

    def measure(self, context: Context, directory: Path) -> Sequence[Row]:
        """See :class:`Case`."""
        context.say(f"{self.name}: building deploy ISO and instance, unless they are cached")
        deploy_iso, instance = build_cached_deploy_iso(), build_tiny_instance()
        settings = Settings(
            directory / "lab",
            ports=Ports.any_free(),
            first_address=_FIRST_ADDRESS[self._boot_mode],
            boot_mode=self._boot_mode,
        )
        with _running_server(settings, deploy_iso, instance) as server:
            deploys = [server.deploy() for _round in context.rounds(self.name)]
        return [self._callback_row(deploys, deploy_iso), *self._stage_rows(deploys)]

    def _callback_row(self, deploys: Sequence[_Deploy], deploy_iso: Path) -> Row:
        samples = [Sample(it.callback_seconds, wire_bytes=it.bytes_fetched) for it in deploys]
        row = Row(self.name, _CALLBACK, samples)
        iso_mib, fetched_mib = deploy_iso.stat().st_size / MIB, (row.wire_bytes or 0) / MIB
        targets = [Target("MiB of the deploy ISO", iso_mib, Bound.AT_MOST, _MOST_ISO_MIB)]
        if self._boot_mode == LEGACY:
            targets.append(Target("MiB fetched", fetched_mib, Bound.AT_MOST, _MOST_FETCHED_MIB))
        targets += [
            Target(f"a third of the agent's {agent} s", row.wall_s, Bound.AT_MOST, agent / 3)
            for agent in _AGENT_SECONDS
        ]
        return replace(row, targets=targets)

    def _stage_rows(self, deploys: Sequence[_Deploy]) -> list[Row]:
        stages = [deploy.stages for deploy in deploys]
        rows = [
            Row(self.name, _title(name), [Sample(each[name]) for each in stages])
            for name in stages[0]
        ]
        for title, is_machine in (("all of ours", False), ("all of the machine's", True)):
            rows.append(Row(self.name, title, [_add_up(each, is_machine) for each in stages]))
        whole = statistics.median(sum(each.values()) for each in stages)
        return [replace(row, ratio=row.wall_s / whole) for row in rows]


def all_machine_cases() -> list[Case]:
    """Make the cases that boot machines."""
    return [DeployCase("deploy-bios", LEGACY), DeployCase("deploy-uefi", UEFI)]


def _is_machine(stage: str) -> bool:
    return stage in _MACHINE_STAGES


def _add_up(stages: Mapping[str, float], is_machine: bool) -> Sample:
    return Sample(sum(took for name, took in stages.items() if _is_machine(name) is is_machine))


def _title(stage: str) -> str:
    return f"{stage} ({'machine' if _is_machine(stage) else 'ours'})"


class _Server:
    """An emulated server of a lab, as a node of Ironic."""

    def __init__(
        self, node: Node, sources: Sources, control: Control, name: str, prompt: str
    ) -> None:
        self._node = node
        self._sources = sources
        self._control = control
        self._name = name
        self._prompt = prompt

    def deploy(self) -> _Deploy:
        """Deploy, see the instance's prompt, and take it away again."""
        # Ironic forgets an instance that is taken away.
        self._node.assign(self._sources)
        described = self._control.server(self._name)
        log = Path(described["console_log"])
        watch = _CallbackWatch(self._control, self._name, int(described["bytes_fetched"]))
        seen = console.end_of(log)
        marks = self._marks(self._node.deploy(timeout=_DEADLINE, on_poll=watch.look))
        console.wait_for_text(log, self._prompt, after=seen, timeout=_DEADLINE)
        marks.append({"stage": "end", "at": time.time()})
        self._node.undeploy()
        return _Deploy(watch.seconds, watch.bytes_fetched, _stages(marks))

    @staticmethod
    def _marks(node: ApiNode) -> list[dict[str, Any]]:
        return list((node.driver_internal_info or {})[TIMELINE])


class _CallbackWatch:
    """Notes, when a node's ramdisk has called back, what came until then.

    Nodes are looked at twice a second; after its callback, a ramdisk reads no more from its media.
    """

    def __init__(self, control: Control, name: str, fetched_before: int) -> None:
        self.seconds = 0.0
        self.bytes_fetched = 0
        self._control = control
        self._name = name
        self._fetched_before = fetched_before
        self._since = time.time()

    def look(self, node: ApiNode) -> None:
        """Look at a node that is being deployed."""
        # Until it begins anew, the node shows where the time of its last deploy went.
        timeline = (node.driver_internal_info or {}).get(TIMELINE) or []
        marks = [mark for mark in timeline if mark["at"] >= self._since]
        after = list(itertools.dropwhile(lambda mark: mark["stage"] != "ramdisk", marks))[1:]
        if not after or self.seconds:
            return
        server = self._control.server(self._name)
        powered_on = datetime.fromisoformat(server["boots"][-1]["at"]).timestamp()
        self.seconds = after[0]["at"] - powered_on
        self.bytes_fetched = int(server["bytes_fetched"]) - self._fetched_before


def _stages(marks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Tell how long each stage was; when the node is active, its instance boots."""
    names = {"active": "instance"}
    return {
        names.get(mark["stage"], mark["stage"]): following["at"] - mark["at"]
        for mark, following in itertools.pairwise(marks)
    }


@contextmanager
def _running_server(
    settings: Settings, deploy_iso: Path, instance: InstanceImage
) -> Iterator[_Server]:
    settings = with_free_ports(settings)
    files = [deploy_iso.parent, instance.directory]
    with (
        running_services(settings, file_paths=files) as services,
        connected(services) as connection,
        closing(Control(services.control_url)) as control,
    ):
        (server,) = services.servers.values()
        sources = offer(services, deploy_iso, instance)
        node = Node(connection, enrol(services, server, sources))
        yield _Server(node, sources, control, server.name, instance.login_prompt)
