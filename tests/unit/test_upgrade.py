"""Nodes of the removed drivers: the tables, the page that people read, and the check."""

import functools
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import docutils.core
import pytest
from docutils import nodes
from ironic.drivers import base

from ironic_ilo import conf, driver_info, upgrade_check
from ironic_ilo.cleaning import Cleaning
from ironic_ilo.deploy import IloVirtualMediaIscsiDeploy
from ironic_ilo.management import IloManagement
from ironic_ilo.removed_names import (
    DRIVER_INFO,
    DRIVERS,
    INSTANCE_INFO,
    INTERFACES,
    OPTIONS,
    STEPS,
    OldName,
)

PAGE = Path(__file__).resolve().parents[2] / "doc/source/admin/upgrade.rst"
EVERY = [*INTERFACES, *STEPS, *DRIVER_INFO, *INSTANCE_INFO, *OPTIONS]
# By section of the page.
SECTIONS = {
    "Hardware types and interfaces": INTERFACES,
    "driver_info": DRIVER_INFO,
    "instance_info": INSTANCE_INFO,
    "Options": OPTIONS,
    "Clean, deploy and vendor steps": STEPS,
}
# What rows say that are not about one name.
GONE = ("Gone", "Not supported", "Has no effect")
PROPERTIES = driver_info.COMMON_PROPERTIES | driver_info.DEPLOY_PROPERTIES
OPTION_NAMES = {option.name for option in conf.OPTS}
KINDS = base.ALL_INTERFACES


@dataclass(frozen=True)
class Row:
    """One row of the page's tables.

    :ivar old: the literals of its first cell; an option's without its section.
    :ivar now: those of the second.
    """

    old: tuple[str, ...]
    now: tuple[str, ...]
    text: str


@functools.cache
def rows(title: str) -> list[Row]:
    """Read the tables of a section of the page."""
    # Sphinx's own roles are no matter here.
    settings = {"report_level": 5, "halt_level": 5, "warning_stream": False}
    page = docutils.core.publish_doctree(PAGE.read_text(), settings_overrides=settings)
    (section,) = (
        each
        for each in page.findall(nodes.section)
        if each.next_node(nodes.title).astext() == title
    )
    found = []
    for row in section.findall(nodes.row):
        old, now = (
            tuple(literal.astext().rpartition("]")[2] for literal in cell.findall(nodes.literal))
            for cell in row
        )
        found.append(Row(old, now, row[1].astext()))
    return found


def row_of(title: str, old: OldName) -> Row:
    """Find the row of a name; those of interfaces and steps stand behind their place."""
    (found,) = (
        row
        for row in rows(title)
        if old.name in (row.old[1:] if old.place in KINDS else row.old)
        and (old.place not in KINDS or row.old[0] == old.place)
    )
    return found


@pytest.mark.parametrize(
    ("title", "old"),
    [(title, old) for title, names in SECTIONS.items() for old in names],
    ids=lambda value: f"{value.place}-{value.name}" if isinstance(value, OldName) else "",
)
def test_the_page_says_what_became_of_it(title: str, old: OldName):
    row = row_of(title, old)
    if old.now == old.name:
        assert old.name in row.now or row.text.startswith(("The same", "Both the same"))
    elif old.now is not None:
        assert old.now in row.now
    else:
        assert row.text.startswith(GONE) or row.now


@pytest.mark.parametrize("title", ["driver_info", "instance_info", "Options"])
def test_the_page_names_nothing_else(title: str):
    known = {old.name for old in SECTIONS[title]}
    others = {"http_root", "http_url", "default_boot_option", "capabilities"}
    others |= {"secure_boot", "boot_mode"}
    named = {name for row in rows(title) for name in row.old if ":" not in name}
    assert named <= known | others


def test_the_page_names_every_old_driver():
    named = {name for row in rows("Hardware types and interfaces") for name in row.old}
    assert set(DRIVERS) <= named


def test_no_name_is_there_twice():
    places = [(old.place, old.name) for old in EVERY]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("old", INTERFACES, ids=lambda old: f"{old.place}-{old.name}")
def test_interfaces(old: OldName):
    supported = upgrade_check.supported_interfaces(old.place)
    assert old.now in supported
    assert (old.name in supported) is (old.name == old.now)


def test_drivers():
    known = {each.name for each in entry_points(group="ironic.hardware.types")}
    assert set(DRIVERS.values()) <= known
    assert {old for old, now in DRIVERS.items() if old != now}.isdisjoint(known)


@pytest.mark.parametrize("old", DRIVER_INFO, ids=lambda old: old.name)
def test_keys(old: OldName):
    assert old.now is None or old.now in PROPERTIES
    assert (old.name in PROPERTIES) is (old.name == old.now)


@pytest.mark.parametrize("old", OPTIONS, ids=lambda old: old.name)
def test_options(old: OldName):
    assert old.now is None or old.now in OPTION_NAMES
    if old.place == "ilo":
        assert (old.name in OPTION_NAMES) is (old.name == old.now)


def test_steps():
    """Those of bios and raid are of interfaces that are gone; the agent's have the same names."""
    classes = {"deploy": (IloVirtualMediaIscsiDeploy, Cleaning), "management": (IloManagement,)}
    for old in STEPS:
        if old.place in classes:
            there = any(hasattr(each, old.name) for each in classes[old.place])
            assert there is (old.now is not None), old


def node(**changes):
    """Give a node that has nothing of old."""
    kinds = {f"{kind}_interface": None for kind in base.ALL_INTERFACES}
    today = {
        "uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c781",
        "name": None,
        "driver": "ilo",
        "boot_interface": "ilo-virtual-media",
        "deploy_interface": "ilo-iscsi",
        "driver_info": {"deploy_iso": "http://192.0.2.1/deploy.iso", "ilo_password": "canary"},
        "instance_info": {},
    }
    return SimpleNamespace(**(kinds | today | changes))


def find(**changes):
    found = list(upgrade_check.check_node(node(**changes)))
    assert "canary" not in str(found)
    return [(each.text, each.must) for each in found]


def test_a_node_of_today():
    assert find() == []
    assert find(deploy_interface="direct", inspect_interface="ilo", driver="ilo5") == []


@pytest.mark.parametrize(
    ("changes", "text", "must"),
    [
        ({"driver": "iscsi_ilo"}, "driver iscsi_ilo is gone: set ilo", True),
        (
            {"boot_interface": "ilo-pxe"},
            "boot_interface ilo-pxe is gone: set ilo-virtual-media",
            True,
        ),
        ({"bios_interface": "ilo"}, "bios_interface ilo is gone: set no-bios", True),
        (
            {"console_interface": "ipmitool-shellinabox"},
            "console_interface ipmitool-shellinabox is gone: set fake-graphical, or no-console",
            True,
        ),
        (
            {"driver_info": {"ilo_deploy_iso": "canary"}},
            "driver_info/ilo_deploy_iso is gone: set driver_info/deploy_iso",
            True,
        ),
        (
            {"driver_info": {"deploy_iso": "canary", "deploy_kernel": "canary"}},
            "driver_info/deploy_kernel is ignored: unset it",
            False,
        ),
        (
            {"driver_info": {"snmp_auth_prot_password": "canary"}},
            "driver_info/snmp_auth_prot_password is ignored: inspection does without SNMP",
            False,
        ),
        (
            {"instance_info": {"ilo_boot_iso": "canary"}},
            "instance_info/ilo_boot_iso is gone: set instance_info/boot_iso",
            True,
        ),
    ],
)
def test_what_a_node_cannot_keep(changes, text, must):
    assert find(**changes) == [(text, must)]


def test_a_node_is_named():
    (found,) = upgrade_check.check_node(node(name="gen8-01", bios_interface="ilo"))
    assert found.subject == "node 1be26c0b-03f2-4d2e-ae87-c02d7f33c781 (gen8-01)"


def test_steps_of_other_hardware_types_are_left_alone():
    steps = [
        {"interface": "management", "step": "reset_ilo"},
        {"interface": "management", "step": "clear_job_queue"},
        {"interface": "bios", "step": "apply_configuration"},
        {"interface": "deploy", "step": "erase_devices"},
    ]
    (found,) = upgrade_check.check_steps("runbook CUSTOM_A", steps)
    assert found.text.startswith("step management.reset_ilo is gone")


def test_options_in_a_file(tmp_path):
    path = tmp_path / "ironic.conf"
    path.write_text(
        "[DEFAULT]\ndebug = true\n[ilo]\nclient_port = 443\nca_file = /ca\npower_wait = 2\n"
        "clean_priority_reset_ilo = 10\n[iscsi]\nportal_port = 3260\n"
    )
    assert {each.text for each in upgrade_check.check_options(path)} == {
        "[ilo]ca_file is ignored: set verify_ca",
        "[ilo]power_wait is ignored: set power_timeout (seconds in all)",
        "[ilo]clean_priority_reset_ilo is ignored: the step is gone",
        "[iscsi]portal_port is ignored: set [ilo]iscsi_portal_port",
    }
