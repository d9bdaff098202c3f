"""What a lab looks like right now."""

from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from lab.emulator import Control
from lab.keeper import Lab
from lab.node import connected

_SECONDS_FOR_ANSWER = 5.0


def read_status(lab: Lab) -> dict[str, Any]:
    """Ask the services and Ironic.

    :returns: ``directory``; ``services``, each ``name``, ``url``, ``answers``; and ``nodes``.
    """
    services = lab.services
    urls = {
        "ironic": services.api_url,
        "image server": f"{services.image_server_url}/healthz",
        "emulator": f"{services.control_url}/servers",
    }
    return {
        "directory": str(lab.directory),
        "services": [
            {"name": name, "url": url, "answers": _answers(url)} for name, url in urls.items()
        ],
        "nodes": _nodes(lab) if _answers(services.api_url) else [],
    }


def print_nodes(console: Console, status: dict[str, Any]) -> None:
    """Show the nodes, and where their iLOs and consoles are."""
    columns = ("name", "provision_state", "power_state", "booted_from")
    table = Table(*(column.replace("_", " ") for column in columns))
    for node in status["nodes"]:
        table.add_row(*(str(node[column]) for column in columns))
    console.print(table)
    for node in status["nodes"]:
        line = f"{node['name']}: iLO {node['ilo']}, console log {node['console_log']}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=_SECONDS_FOR_ANSWER).ok
    except requests.RequestException:
        return False


def _nodes(lab: Lab) -> list[dict[str, Any]]:
    control = Control(lab.services.control_url)
    with connected(lab.services.api_url) as connection:
        nodes = {str(node.name): node for node in connection.baremetal.nodes(details=True)}
    described = []
    for name, server in lab.services.servers.items():
        machine, node = control.server(name), nodes.get(name)
        described.append(
            {
                "name": name,
                "uuid": node and node.id,
                "provision_state": node and node.provision_state,
                "power_state": node and node.power_state,
                "last_error": node and node.last_error,
                "booted_from": machine["booted_from"],
                "ilo": f"https://{server.address}:{server.port}",
                "console_log": machine["console_log"],
            }
        )
    control.close()
    return described
