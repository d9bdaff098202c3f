"""What a fleet's services, iLOs and directories hold, to see what deploys leave behind."""

import contextlib
import json
import os
import time
from collections import Counter
from pathlib import Path

from ironic_ilo.web_store import ObjectDirectory
from tests.functional.cloud import Node
from tests.functional.fleet import Fleet
from tests.processes import find_descendants

#: Things by name, and how many there are of each.
Things = Counter[str]

_SECONDS_TO_TIDY_UP = 120.0
_SECONDS_BETWEEN_LOOKS = 0.5
# More than is between two of Ironic's periodic tasks here.
_SECONDS_OF_REST = 3.0
_A_WEEK = 7 * 24 * 3600.0
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 1024**2
# No leftovers: the log; Ironic's record of nodes, and its journal while that is written; and notes
# of which URLs were read, which the image server removes a day after the URL has expired.
_EXPECTED = ("logs/*", "ironic/ironic.sqlite*", "images/*/fetched/*")


def find_leftovers(fleet: Fleet, before: Things) -> Things:
    """Tell what there is more of than there was, again and again.

    What is still being tidied up is waited for, and what Ironic's periodic tasks hold while they
    run, such as a session to read the power, is there at one look and gone at another.
    """
    deadline = time.monotonic() + _SECONDS_TO_TIDY_UP
    leftovers = look(fleet) - before
    while leftovers and time.monotonic() < deadline:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        leftovers &= look(fleet) - before
    return leftovers


def find_everlasting(fleet: Fleet) -> Things:
    """Empty the object store of what goes within a week, and tell what is left."""
    root = fleet.cloud.directory / "images"
    ObjectDirectory(root, clock=lambda: time.time() + _A_WEEK).sweep()
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return Counter(f"lasting file {path}" for path in files if path.name != "lock")


def look_at_rest(fleet: Fleet) -> Things:
    """Count what there is all the time, once it gets no less."""
    least = look(fleet)
    while True:
        time.sleep(_SECONDS_OF_REST)
        before, least = least, least & look(fleet)
        if least == before:
            return least


def look(fleet: Fleet) -> Things:
    """Count all that a deploy could leave behind."""
    things = _files(fleet.cloud.directory)
    for name, pid in _services(fleet).items():
        for each in _with_descendants(pid):
            things += _held_by_process(name, each)
    for node in fleet.nodes:
        things += _held_by_server(node)
    for node in fleet.redfish_nodes:
        things[f"session of {_name(node)}"] = node.count_sessions()
    return things


def describe(things: Things) -> str:
    """Write things down, one kind in a line."""
    return "\n".join(f"    {count} times {thing}" for thing, count in sorted(things.items()))


def read_memory(fleet: Fleet) -> float:
    """Tell how many MiB the conductor and the image server have in memory."""
    pids = [pid for root in _services(fleet).values() for pid in _with_descendants(root)]
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return sum(pages) * _PAGE_MIB


def _services(fleet: Fleet) -> dict[str, int]:
    ready = json.loads((fleet.cloud.directory / "image-server.json").read_text())
    return {"the conductor": fleet.conductor.pid, "the image server": ready["pid"]}


def _with_descendants(pid: int) -> list[int]:
    return [pid, *find_descendants(pid)]


def _held_by_process(service: str, pid: int) -> Things:
    """Name a process, its threads and its descriptors; a socket is as good as another."""
    things: Things = Counter()
    with contextlib.suppress(OSError):  # it has ended
        directory = Path(f"/proc/{pid}")
        owner = f"{service}'s process {pid} ({(directory / 'comm').read_text().strip()})"
        things[owner] = 1
        things[f"thread of {owner}"] = len(list((directory / "task").iterdir()))
        for descriptor in (directory / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it was closed
                kind = str(descriptor.readlink()).partition(":[")[0]
                things[f"{kind} open in {owner}"] += 1
    return things


def _held_by_server(node: Node) -> Things:
    name, shown = _name(node), node.emulated()
    things: Things = Counter({f"power of {name}": int(shown["power"] == "on")})
    for drive, medium in shown["media"].items():
        things[f"medium in {drive} of {name}"] = int(medium["inserted"])
    return things


def _name(node: Node) -> str:
    return f"{node.server.name} at {node.server.address}"


def _files(directory: Path) -> Things:
    paths = (path.relative_to(directory) for path in directory.rglob("*"))
    kept = (path for path in paths if not any(path.match(each) for each in _EXPECTED))
    return Counter(f"file {path}" for path in kept)
