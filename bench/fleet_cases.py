"""Many paper servers deployed at once: what is left behind, and what silent iLOs do to others."""

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.case import Case, Context
from bench.results import Bound, Row, Sample, Target
from bench.stores import MIB
from ironic_ilo.exception import ProcessError
from tests.functional import leaks
from tests.functional.artifacts import make_artifacts
from tests.functional.fleet import Course, Fleet, Silent, running_fleet

# Apart from another run on the same machine.
_NETWORK = f"127.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
_FIRST_ADDRESS = f"{_NETWORK}.10"
_LEAST_PER_MINUTE = 30
_MOST_MIB_PER_DEPLOY = 0.1
_MOST_SLOWED = 1.1
# Often, so that each round has some of Ironic's looks at the power and of our reconciler's.
_OPTIONS: dict[str, dict[str, object]] = {
    "conductor": {
        "check_provision_state_interval": 2,
        "sync_power_state_interval": 5,
        # Silent servers are not put in maintenance, where they would be left in peace.
        "power_state_sync_max_retries": 10_000,
    },
    "ilo": {"client_timeout": 20, "reconcile_interval": 5},
}


class FleetCase(Case):
    """A case with a fleet of paper servers, half of which speak RIBCL and half Redfish."""

    in_quick_run = False

    def bytes_needed(self, context: Context) -> int:
        """See :class:`Case`."""
        del context
        return 1024 * MIB

    @contextmanager
    def running_fleet(self, directory: Path, nodes: int) -> Iterator[Fleet]:
        """Run the fleet, and see that it leaves nothing behind but after its first deploys.

        :raises ProcessError: it leaves something behind.
        """
        files = directory / "artifacts"
        files.mkdir()
        with running_fleet(
            directory, make_artifacts(files, content_mib=1), first_address=_FIRST_ADDRESS,
            nodes=nodes // 2, beside={"ilo5": nodes // 4, "ilo7": nodes - nodes // 2 - nodes // 4},
            options=_OPTIONS,
        ) as fleet:  # fmt: skip
            fleet.deploy({number: Course() for number in range(nodes)})
            before = leaks.look_at_rest(fleet)
            yield fleet
            self._check_leftovers(fleet, before)

    def _check_leftovers(self, fleet: Fleet, before: leaks.Things) -> None:
        found = leaks.find_leftovers(fleet, before) + leaks.find_everlasting(fleet)
        if found:
            raise ProcessError(
                f"The deploys of the case {self.name} leave behind:\n{leaks.describe(found)}"
            )


class LeaksCase(FleetCase):
    """Deploys by the hundred, after which nothing may be left; else the case fails."""

    name = "leaks"

    def seconds(self, context: Context) -> float:
        """See :class:`Case`."""
        return 30 + 1.5 * self._nodes(context) * (context.repeat + 1)

    def measure(self, context: Context, directory: Path) -> Sequence[Row]:
        """See :class:`Case`."""
        nodes = self._nodes(context)
        context.say(f"{self.name}: starting {nodes} servers, and deploying each once")
        with self.running_fleet(directory, nodes) as fleet:
            memory = leaks.read_memory(fleet)
            samples = [_deploy_all(fleet, memory) for _round in context.rounds(self.name)]
        row = Row(self.name, "deploy and tear down", samples, nodes)
        deploys = nodes * len(samples)
        grown = (row.peak_rss_mib or 0.0) / deploys
        per_minute = 60 * nodes / row.wall_s
        targets = [
            Target("deploys per minute", per_minute, Bound.AT_LEAST, _LEAST_PER_MINUTE),
            Target("MiB grown per deploy", grown, Bound.AT_MOST, _MOST_MIB_PER_DEPLOY),
            Target(f"left behind by {deploys} deploys", 0, Bound.AT_MOST, 0),
        ]
        return [replace(row, targets=targets)]

    @staticmethod
    def _nodes(context: Context) -> int:
        return 4 if context.quick else 40


class SilentCase(FleetCase):
    """Deploys beside servers whose iLOs do not answer.

    All servers are to be deployed, the silent ones first; Ironic and our reconciler look after
    them, too. A row's time: of the average deploy among those that always answer. Its ratio: of
    the time when all do. The conductor's one core is the narrow place here, so how fast the others
    are with nothing beside them is measured as well.
    """

    name = "silent"

    def seconds(self, context: Context) -> float:
        """See :class:`Case`."""
        return 60 + 150 * context.repeat

    def measure(self, context: Context, directory: Path) -> Sequence[Row]:
        """See :class:`Case`."""
        silent, nodes = (1, 5) if context.quick else (2, 20)
        kinds: dict[str, dict[int, Course]] = {
            "all iLOs answer": {number: Course() for number in range(silent)},
            "a tenth is silent": {number: Silent() for number in range(silent)},
            "nothing beside them": {},
        }
        samples: dict[str, list[Sample]] = {kind: [] for kind in kinds}
        with self.running_fleet(directory, nodes) as fleet:
            for _round in context.rounds(self.name):
                for kind, beside in kinds.items():
                    samples[kind].append(_deploy_beside(fleet, beside, range(silent, nodes)))
        return _compare([Row(self.name, kind, samples[kind], nodes - silent) for kind in kinds])


def _compare(rows: list[Row]) -> list[Row]:
    """Give rows their ratios to the first one, and the second its target."""
    every, silent, alone = (replace(row, ratio=row.wall_s / rows[0].wall_s) for row in rows)
    ratio = silent.wall_s / every.wall_s
    target = Target("time, of that when all answer", ratio, Bound.AT_MOST, _MOST_SLOWED)
    return [every, replace(silent, targets=[target]), alone]


def all_fleet_cases() -> list[Case]:
    """Make the cases of many servers at once."""
    return [LeaksCase(), SilentCase()]


def _deploy_all(fleet: Fleet, memory: float) -> Sample:
    began = time.monotonic()
    fleet.deploy({number: Course() for number in range(len(fleet.nodes))})
    wall = time.monotonic() - began
    return Sample(wall, peak_rss_mib=max(0.0, leaks.read_memory(fleet) - memory))


def _deploy_beside(fleet: Fleet, beside: dict[int, Course], answering: range) -> Sample:
    seconds = fleet.deploy(beside | {number: Course() for number in answering})
    return Sample(statistics.mean(seconds[number] for number in answering))
