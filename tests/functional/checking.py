"""Running ``ironic-ilo check`` for tests."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab.emulator import EmulatedServer
from lab.process import own_command
from tests.functional.cloud import TIMEOUT, Cloud


def run_check(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command, without a terminal."""
    return subprocess.run(
        [own_command("ironic-ilo"), "check", *map(str, arguments)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def read_json(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """Read the findings of ``--json``, by name; it says nothing else."""
    assert done.stderr == ""
    return {finding["check"]: finding for finding in json.loads(done.stdout)}


@contextmanager
def known_node(cloud: Cloud, server: EmulatedServer, name: str, **changes: str) -> Iterator[str]:
    """Tell Ironic of a server, and no more, while the block runs; the value is its UUID."""
    driver_info = {
        "ilo_address": server.address,
        "client_port": server.port,
        "ilo_username": server.username,
        "ilo_password": server.read_password(),
        "ilo_verify_ca": server.certificate,
        **changes,
    }
    body = {"name": name, "driver": "ilo", "driver_info": driver_info}
    uuid = cloud.ask("POST", "nodes", body)["uuid"]
    try:
        yield uuid
    finally:
        cloud.ask("DELETE", f"nodes/{uuid}")


def count_refused_logins(cloud: Cloud, server: str) -> int:
    """Count the wrong passwords that a server's iLO was lately given over RIBCL."""
    commands = [request["command"] for request in cloud.control.requests(server)]
    return commands.count("LOGIN refused")
