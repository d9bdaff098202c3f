"""``ironic-ilo upgrade-check`` against a database as the removed drivers left it."""

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from ironic import objects

from lab.config_file import write_config_file
from lab.process import own_command

pytestmark = pytest.mark.functional

# Several times what anything takes here: CI's cores are shared.
SECONDS = 240
DATABASE = "ironic.sqlite"
OLD = {
    "driver": "ilo",
    "boot_interface": "ilo-uefi-https",
    "bios_interface": "ilo",
    "driver_info": {"ilo_deploy_iso": "canary", "ilo_password": "canary"},
}
TODAY = {
    "driver": "ilo5",
    "boot_interface": "ilo-virtual-media",
    "bios_interface": "no-bios",
    "driver_info": {"deploy_iso": "http://192.0.2.1/deploy.iso", "ilo_password": "canary"},
}
FOREIGN = {
    "driver": "redfish",
    "boot_interface": "redfish-virtual-media",
    "bios_interface": "redfish",
    "driver_info": {"console_port": 1},
}


def connection(directory: Path) -> dict[str, str]:
    return {"connection": f"sqlite:///{directory / DATABASE}"}


def check(config: Path) -> subprocess.CompletedProcess[str]:
    command = [str(own_command("ironic-ilo")), "upgrade-check", "--config-file", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory) -> Path:
    """Make a database of Ironic's that has no nodes yet."""
    directory = tmp_path_factory.mktemp("database")
    config = directory / "ironic.conf"
    write_config_file(config, {"database": connection(directory)})
    subprocess.run(
        [str(own_command("ironic-dbsync")), "--config-file", str(config), "create_schema"],
        check=True,
        timeout=SECONDS,
        capture_output=True,
    )
    return directory / DATABASE


@pytest.fixture
def config(tmp_path, empty_database) -> Path:
    """Write a configuration with a database of its own."""
    path = tmp_path / "ironic.conf"
    shutil.copyfile(empty_database, tmp_path / DATABASE)
    write_config_file(path, {"database": connection(tmp_path), "ilo": {"power_wait": 2}})
    return path


def add_node(config: Path, number: int, facts: dict) -> None:
    objects.register_all()
    row = facts | {
        "uuid": f"1be26c0b-03f2-4d2e-ae87-c02d7f33c78{number}",
        "name": f"node-{number}",
        "version": objects.Node.VERSION,
        "driver_info": json.dumps(facts["driver_info"]),
        "instance_info": "{}",
    }
    with sqlite3.connect(config.with_name(DATABASE)) as database:
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        database.execute(f"INSERT INTO nodes ({columns}) VALUES ({marks})", tuple(row.values()))
    database.close()


def add_template(config: Path, interface: str, step: str) -> None:
    objects.register_all()
    with sqlite3.connect(config.with_name(DATABASE)) as database:
        database.execute(
            "INSERT INTO deploy_templates (id, uuid, name, version) VALUES (1, ?, ?, ?)",
            ("1be26c0b-03f2-4d2e-ae87-c02d7f33c790", "CUSTOM_A", objects.DeployTemplate.VERSION),
        )
        database.execute(
            "INSERT INTO deploy_template_steps (deploy_template_id, interface, step, args, "
            "priority) VALUES (1, ?, ?, '{}', 10)",
            (interface, step),
        )
    database.close()


def test_what_is_left(config):
    for number, facts in enumerate((OLD, TODAY, FOREIGN)):
        add_node(config, number, facts)
    add_template(config, "management", "reset_ilo")
    done = check(config)
    assert done.returncode == 3, done.stderr
    node = "node 1be26c0b-03f2-4d2e-ae87-c02d7f33c780 (node-0)"
    assert done.stdout.splitlines() == [
        f"to do: {node}: bios_interface ilo is gone: set no-bios",
        f"to do: {node}: boot_interface ilo-uefi-https is gone: set ilo-virtual-media",
        f"to do: {node}: driver_info/ilo_deploy_iso is gone: set driver_info/deploy_iso",
        (
            "to do: deploy template CUSTOM_A: step management.reset_ilo is gone with the removed "
            "drivers: use the iLO itself: its web page, ssh or hponcfg"
        ),
        f"note: {config}: [ilo]power_wait is ignored: set power_timeout (seconds in all)",
    ]
    assert "canary" not in done.stdout + done.stderr


def test_nothing_is_left(config):
    write_config_file(config, {"database": connection(config.parent)})
    add_node(config, 1, TODAY)
    done = check(config)
    assert (done.returncode, done.stdout) == (0, "Nothing is left of the removed drivers.\n")
    assert done.stderr == ""


@pytest.mark.parametrize("url", ["sqlite:////nowhere/ironic.sqlite", "sqlite://"])
def test_a_database_that_cannot_be_read(tmp_path, url):
    path = tmp_path / "ironic.conf"
    write_config_file(path, {"database": {"connection": url}})
    done = check(path)
    assert done.returncode == 1
    assert "database cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configuration_that_is_not_there(tmp_path):
    done = check(tmp_path / "absent.conf")
    assert done.returncode == 1
    assert "absent.conf" in done.stderr
    assert "Traceback" not in done.stderr
