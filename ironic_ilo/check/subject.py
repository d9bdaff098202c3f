"""What is checked: a node from Ironic's database, or an iLO that the command line names.

A node is read as a conductor does: the store is to be seen from there in any case.
"""

from dataclasses import dataclass, field
from typing import Any

from ironic import objects
from ironic.common import exception as ironic_exception
from oslo_utils import uuidutils

from ironic_ilo import driver_info
from ironic_ilo.bmc import Access
from ironic_ilo.check.findings import Verdict, failure, ok, warning
from ironic_ilo.exception import InvalidInput
from ironic_ilo.ironic_records import reading_database

_DRIVERS = ("ilo", "ilo5")


@dataclass(frozen=True)
class GivenNode:
    """What stands for a node when there is only an iLO's address.

    :ivar uuid: what errors call it.
    """

    uuid: str
    driver_info: dict[str, Any] = field(repr=False)


def read_node(name: str) -> Any:
    """Read a node by its UUID or name.

    :raises InvalidInput: there is none.
    :raises StoreError: the database does not answer.
    """
    is_uuid = uuidutils.is_uuid_like(name)
    with reading_database() as context:
        find = objects.Node.get_by_uuid if is_uuid else objects.Node.get_by_name
        try:
            return find(context, name)
        except ironic_exception.NodeNotFound:
            raise InvalidInput(
                f"There is no node {name!r} in Ironic's database",
                hint="'baremetal node list' shows their names; look into [database]connection if "
                "it is there.",
            ) from None


def judge_node(node: Any) -> Verdict:
    """Judge whether a node is ours, and looked after by Ironic."""
    seen = f"{node.name or node.uuid}, {node.provision_state or 'available'}, driver {node.driver}"
    if node.driver not in _DRIVERS:
        return failure(seen, f"This is for the drivers {' and '.join(_DRIVERS)}.")
    if node.maintenance:
        return warning(
            f"{seen}, in maintenance ({node.maintenance_reason or 'no reason given'})",
            "Ironic leaves it alone until 'baremetal node maintenance unset'.",
        )
    return ok(seen)


def read_access(node: Any) -> Access:
    """Read how to reach a node's iLO.

    :raises InvalidInput: its ``driver_info`` lacks something, or has faults.
    """
    try:
        return driver_info.parse_access(node)
    except ironic_exception.IronicException as error:
        raise InvalidInput(
            str(error), hint="Mend it with 'baremetal node set --driver-info'."
        ) from None
