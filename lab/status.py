"""What a lab looks like right now."""

from typing import Any

from rich.console import Console
from rich.table import Table

from lab.emulator import Control
from lab.keeper import Lab
from lab.node import connected
from lab.openstack.keystone import ADMIN
from lab.probe import answers


def read_status(lab: Lab) -> dict[str, Any]:
    """Ask the services and Ironic.

    :returns: ``directory``; ``services``, each ``name``, ``url``, ``answers``; and ``nodes``.
    """
    services = [
        {"name": name, "url": url, "answers": answers(url)}
        for name, url in lab.services.health_urls.items()
    ]
    return {
        "directory": str(lab.directory),
        "services": services,
        "nodes": _nodes(lab) if all(service["answers"] for service in services) else [],
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


def _nodes(lab: Lab) -> list[dict[str, Any]]:
    control = Control(lab.services.control_url)
    with connected(lab.services, ADMIN) as connection:
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
