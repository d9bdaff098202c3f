"""Finds what an upgrade from the removed drivers has left: in nodes, steps and ``ironic.conf``.

It reads the database, as ``ironic-status upgrade check`` does, and not Ironic's API: an upgrade is
checked while Ironic is down, and a conductor that is told to enable an interface that is gone does
not start (``ironic-status`` tells of that). It needs no token, and shows nothing of the secrets
that it reads.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ironic import objects
from ironic.drivers import base
from oslo_config import cfg

from ironic_ilo.arguments import DEFAULT_CONFIG_FILE
from ironic_ilo.hardware import IloHardware
from ironic_ilo.ironic_records import load_config, reading_database
from ironic_ilo.removed_names import (
    DRIVER_INFO,
    DRIVERS,
    INSTANCE_INFO,
    INTERFACES,
    OPTIONS,
    STEPS,
    OldName,
)

#: The types of interfaces that nodes name.
KINDS = tuple(sorted(base.ALL_INTERFACES))


@dataclass(frozen=True)
class Finding:
    """Something to do.

    :ivar subject: the node, template, runbook or file.
    :ivar must: whether something does not work until it is done; else it is only ignored.
    """

    subject: str
    text: str
    must: bool


def supported_interfaces(kind: str) -> set[str]:
    """Name the interfaces of a type that our hardware types support, by their entry points."""
    classes: Sequence[type] = getattr(IloHardware(), f"supported_{kind}_interfaces")
    paths = {f"{each.__module__}:{each.__qualname__}" for each in classes}
    found = entry_points(group=f"ironic.hardware.interfaces.{kind}")
    return {each.name for each in found if each.value in paths}


def check_node(node: Any) -> Iterator[Finding]:
    """Find what a node of these types cannot keep."""
    subject = f"node {node.uuid}" + (f" ({node.name})" if node.name else "")
    driver = DRIVERS[node.driver]
    if node.driver != driver:
        yield Finding(subject, f"driver {node.driver} is gone: set {driver}", must=True)
    for kind in KINDS:
        name = getattr(node, f"{kind}_interface")
        if name is not None and name not in supported_interfaces(kind):
            yield Finding(subject, _interface_text(kind, name), must=True)
    for names, given in ((DRIVER_INFO, node.driver_info), (INSTANCE_INFO, node.instance_info)):
        for old in names:
            if old.name in given and old.now != old.name:
                yield _key_finding(subject, old, given)


def _interface_text(kind: str, name: str) -> str:
    known = {old.name: old.now for old in INTERFACES if old.place == kind}
    now = known.get(name) or ", or ".join(sorted(supported_interfaces(kind)))
    return f"{kind}_interface {name} is gone: set {now}"


def _key_finding(subject: str, old: OldName, given: Mapping[str, Any]) -> Finding:
    what = f"{old.place}/{old.name}"
    if old.now is None:
        return Finding(subject, f"{what} is ignored: {old.advice}", must=False)
    if old.now in given:
        return Finding(subject, f"{what} is ignored: unset it", must=False)
    return Finding(subject, f"{what} is gone: set {old.place}/{old.now}", must=True)


def check_steps(subject: str, steps: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Find steps that no hardware type has any more; whatever names them fails."""
    removed = {(old.place, old.name): old for old in STEPS if old.place == "management"}
    for step in steps:
        old = removed.get((step["interface"], step["step"]))
        if old is not None:
            text = f"step {old.place}.{old.name} is gone with the removed drivers: {old.advice}"
            yield Finding(subject, text, must=True)


def check_options(path: Path) -> Iterator[Finding]:
    """Find options in a configuration file that nothing reads any more."""
    sections: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(str(path), sections).parse()
    for old in OPTIONS:
        if old.now != old.name and old.name in sections.get(old.place, {}):
            now = f"set {old.now}" if old.now else old.advice
            advice = f"{now} ({old.advice})" if old.now and old.advice else now
            yield Finding(str(path), f"[{old.place}]{old.name} is ignored: {advice}", must=False)


def run(config_files: Sequence[Path] | None) -> list[Finding]:
    """Check the configuration, and all that is in the database.

    :raises InvalidInput: the configuration cannot be read.
    :raises StoreError: the database cannot be read.
    """
    files = list(config_files or [DEFAULT_CONFIG_FILE])
    load_config(files)
    findings = [finding for path in files for finding in check_options(path)]
    with reading_database() as context:
        return findings + list(_check_database(context))


def _check_database(context: Any) -> Iterator[Finding]:
    fields = ["uuid", "name", "driver_info", "instance_info"]
    fields += [f"{kind}_interface" for kind in KINDS]
    for node in objects.Node.list(context, fields=fields):
        if node.driver in DRIVERS:
            yield from check_node(node)
    for template in objects.DeployTemplate.list(context):
        yield from check_steps(f"deploy template {template.name}", template.steps)
    for runbook in objects.Runbook.list(context):
        yield from check_steps(f"runbook {runbook.name}", runbook.steps)
