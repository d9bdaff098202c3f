"""Paper servers of several generations, deployed side by side as an operator's scripts do it."""

import ipaddress
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ilo_emulator.profile import PROFILES
from lab.settings import ISCSI_PORT
from tests.functional.artifacts import MIB
from tests.functional.cloud import (
    TIMEOUT,
    Artifacts,
    Cloud,
    Node,
    paper_settings,
    running_servers,
)
from tests.functional.conductor import Conductor, running_conductor
from tests.functional.paper_ramdisk import PaperRamdisk
from tests.tgt import Tgtd, start_tgtd

# A little more than swap, an EFI system partition and root take.
_DISK_MIB = 1400
_SECONDS_BETWEEN_LOOKS = 0.3
_SECONDS_PER_NODE = 15
# Of an exchange with an iLO that will not answer.
_SECONDS_OF_SILENCE = 5
_STATES = "nodes?fields=uuid,provision_state,reservation,last_error"
_TGT_CONTROL_PORT = 6280


class Offer:
    """The disk of one node, emptied for a deploy, and offered by the fleet's iSCSI target."""

    def __init__(self, tgtd: Tgtd, disk: Path) -> None:
        self._tgtd = tgtd
        self._disk = disk
        self._iqn = ""

    def add(self, ramdisk: PaperRamdisk) -> None:
        """Offer it as the ramdisk was told to."""
        self._disk.write_bytes(b"")
        os.truncate(self._disk, _DISK_MIB * MIB)
        self._iqn = ramdisk.parameters["iscsi_target_iqn"]
        ramdisk.offer_disk(self._tgtd, self._disk)

    def remove(self) -> None:
        """Withdraw it, if it is offered."""
        self._tgtd.remove_target(self._iqn)
        self._disk.unlink(missing_ok=True)


def call_back(ramdisk: PaperRamdisk, **told: Any) -> None:
    """Call back, and again while a periodic task holds the node, as the ramdisk does."""
    deadline = time.monotonic() + TIMEOUT
    while (reply := ramdisk.call_back(**told)).status_code == requests.codes.conflict:
        assert time.monotonic() < deadline, reply.text
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    assert reply.ok, reply.text


class Course:
    """How a deploy goes, and the state in which it ends; this one goes well."""

    end = "active"

    def begin(self, node: Node) -> None:
        """Make ready, before the deploy is asked for."""

    def boot(self, node: Node, offer: Offer) -> None:
        """Be the ramdisk, which has booted."""
        ramdisk = node.find_ramdisk()
        offer.add(ramdisk)
        call_back(ramdisk)

    def finish(self, node: Node) -> None:
        """Put things right again, before the node is torn down."""


class Failure(Course):
    """One that fails."""

    end = "deploy failed"

    def finish(self, node: Node) -> None:
        """See :class:`Course`."""
        node.cloud.control.clear_faults(node.server.name)


class NoDisk(Failure):
    """The ramdisk finds no disk, and says so."""

    def boot(self, node: Node, offer: Offer) -> None:
        """See :class:`Course`."""
        del offer
        call_back(node.find_ramdisk(), error="no disk")


class NoTarget(Failure):
    """The ramdisk calls back, but its target is not there."""

    def boot(self, node: Node, offer: Offer) -> None:
        """See :class:`Course`."""
        del offer
        call_back(node.find_ramdisk())


class NoLicense(Failure):
    """The iLO takes no virtual media."""

    def begin(self, node: Node) -> None:
        """See :class:`Course`."""
        node.cloud.control.set_faults(node.server.name, no_license=True)


class Silent(Failure):
    """The iLO answers nothing from the beginning."""

    def begin(self, node: Node) -> None:
        """See :class:`Course`."""
        node.cloud.control.set_faults(node.server.name, silent=True)


class FallsSilent(Failure):
    """The iLO answers nothing any more once the ramdisk has called back."""

    def begin(self, node: Node) -> None:
        """See :class:`Course`."""
        node.set("driver_info/client_timeout", _SECONDS_OF_SILENCE)

    def boot(self, node: Node, offer: Offer) -> None:
        """See :class:`Course`."""
        node.cloud.control.set_faults(node.server.name, silent=True)
        super().boot(node, offer)

    def finish(self, node: Node) -> None:
        """See :class:`Course`."""
        super().finish(node)
        node.set("driver_info/client_timeout", ...)


class _Deployment:
    """One deploy, and its tear down.

    :ivar seconds: from when the deploy was asked for until it had come to its end.
    """

    def __init__(self, node: Node, course: Course, offer: Offer) -> None:
        self.node = node
        self.is_over = False
        self.seconds: float | None = None
        self._course = course
        self._offer = offer
        self._has_booted = False
        # Ironic forgets an instance that is taken away.
        node.set("instance_info", node.cloud.artifacts.instance_info())
        course.begin(node)
        self._began = time.monotonic()
        node.provision("active")

    def look(self, state: str, last_error: str | None) -> None:
        """Do what is to be done in a provision state; nobody else holds the node."""
        if self.seconds is not None:
            self._look_at_tear_down(state, last_error)
        elif state == self._course.end:
            self.seconds = time.monotonic() - self._began
            self._course.finish(self.node)
            self.node.provision("deleted")
        elif state == "wait call-back" and not self._has_booted:
            self._has_booted = True
            self._course.boot(self.node, self._offer)
        else:
            assert state in ("deploying", "wait call-back"), (state, last_error)

    def _look_at_tear_down(self, state: str, last_error: str | None) -> None:
        assert state in ("deleting", "cleaning", "available"), (state, last_error)
        self.is_over = state == "available"
        if self.is_over:
            self._offer.remove()


@dataclass(frozen=True)
class Fleet:
    """A lab, and its nodes; all are available.

    :ivar redfish_nodes: those of the nodes whose iLOs speak Redfish.
    """

    cloud: Cloud
    conductor: Conductor
    nodes: list[Node]
    redfish_nodes: list[Node]
    tgtd: Tgtd

    def deploy(self, courses: Mapping[int, Course]) -> dict[int, float]:
        """Deploy nodes at the same time, and tear each down as soon as that has ended.

        :param courses: how each deploy goes, by the number of its node.
        :returns: seconds until it had ended, by the number of its node.
        """
        deployments = {number: self._begin(number, each) for number, each in courses.items()}
        by_uuid = {each.node.uuid: each for each in deployments.values()}
        deadline = time.monotonic() + TIMEOUT + len(courses) * _SECONDS_PER_NODE
        while not all(each.is_over for each in deployments.values()):
            assert time.monotonic() < deadline, self._list()
            for shown in self._list():
                found = by_uuid.get(shown["uuid"])
                if found and not found.is_over and not shown["reservation"]:
                    found.look(shown["provision_state"], shown["last_error"])
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return {number: each.seconds or 0.0 for number, each in deployments.items()}

    def _begin(self, number: int, course: Course) -> _Deployment:
        disk = self.cloud.directory.with_name(f"disk-{number}")
        return _Deployment(self.nodes[number], course, Offer(self.tgtd, disk))

    def _list(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = self.cloud.ask("GET", _STATES)["nodes"]
        return nodes


@contextmanager
def running_fleet(
    directory: Path,
    artifacts: Artifacts,
    *,
    first_address: str,
    nodes: int,
    beside: Mapping[str, int],
    options: dict[str, dict[str, object]],
) -> Iterator[Fleet]:
    """Run a lab of its own, and enrol all of its servers.

    :param directory: an empty one.
    :param first_address: of one more than there are nodes.
    :param nodes: how many have the iLO 4 that comes without a choice; they speak RIBCL.
    :param beside: how many there are of others, which speak Redfish, by the emulator's names.
    :param options: of Ironic, besides those that settle the size of its pool of threads.
    """
    pool = {"conductor": options["conductor"] | _size_pool(nodes + sum(beside.values()))}
    portal, at = f"{first_address}:{ISCSI_PORT}", ipaddress.ip_address(first_address) + 1
    with ExitStack() as stack:
        cloud, conductor = stack.enter_context(
            running_conductor(
                directory / "lab", artifacts, first_address=str(at), nodes=nodes,
                options=options | pool,
            )
        )  # fmt: skip
        clouds = [cloud]
        for name, count in beside.items():
            at += len(clouds[-1].services.servers)
            settings = paper_settings(
                directory / name, first_address=str(at), nodes=count, generation=name,
                boot_mode=PROFILES[name].boot_modes[0].lower(),
            )  # fmt: skip
            clouds.append(stack.enter_context(running_servers(cloud, settings)))
        tgtd = stack.enter_context(start_tgtd(portal, _TGT_CONTROL_PORT))
        enrolled = [
            each.enrol(server, iscsi_portal=portal)
            for each in clouds
            for server in each.services.servers.values()
        ]
        yield Fleet(cloud, conductor, enrolled, enrolled[nodes:], tgtd)


def _size_pool(nodes: int) -> dict[str, object]:
    """Let a conductor's pool have as many threads as it needs, and neither more nor less.

    Ironic 39 grows it to ``sync_power_state_workers`` (8) and twice ``periodic_max_workers`` and
    2, keeps those, and adds more only when four fifths are at work: more than there are nodes and
    periodic tasks here. So, once each node has been deployed, one thread more is a leak.
    """
    return {"periodic_max_workers": nodes + 8}
