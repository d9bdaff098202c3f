"""An emulated server as a node of Ironic, driven through its real REST API."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from openstack.baremetal.v1.node import Node as ApiNode
from openstack.connection import Connection
from openstack.exceptions import SDKException

from ironic_ilo.exception import ProcessError
from lab.emulator import EmulatedServer
from lab.openstack.keystone import ADMIN, OWNER
from lab.services import Services
from lab.sources import Sources

_POLL_SECONDS = 0.5
_SECONDS_TO_ENROL = 120.0
_SECONDS_TO_UNDEPLOY = 180.0
_SECONDS_TO_REBOOT = 180.0

PollCallback = Callable[[ApiNode], None]
# A URL, a gzipped ISO in Base64, or what is to be in one.
ConfigDriveSource = str | dict[str, object] | None


@contextmanager
def connected(services: Services, user: str = OWNER) -> Iterator[Connection]:
    """Speak to Ironic.

    :param user: who we are, if it asks; by default the nodes' owner.
    """
    if services.keystone is None:
        connection = Connection(
            auth_type="none", endpoint=services.api_url, app_name="ironic-ilo-lab"
        )
    else:
        session = services.keystone.session(user, system=user == ADMIN)
        connection = Connection(session=session, app_name="ironic-ilo-lab")
    try:
        yield connection
    finally:
        connection.close()


@dataclass(frozen=True)
class Node:
    """One node of Ironic.

    Its methods raise ``ProcessError`` with Ironic's own reason when Ironic says no, or a state is
    not reached in time.
    """

    connection: Connection
    uuid: str

    def get(self) -> ApiNode:
        """Read the node."""
        with _explained("Reading the node"):
            return self.connection.baremetal.get_node(self.uuid)

    def validate(self) -> None:
        """Check, as ``baremetal node validate`` does, that the node can be deployed."""
        with _explained("Validating the node"):
            self.connection.baremetal.validate_node(self.uuid)

    def assign(self, sources: Sources) -> None:
        """Say what is to be deployed on the node."""
        instance_info = sources.instance_info
        with _explained("Setting instance_info"):
            self.connection.baremetal.update_node(self.uuid, instance_info=instance_info)

    def move(
        self,
        target: str,
        wanted: str,
        *,
        timeout: float,
        on_poll: PollCallback | None = None,
        **arguments: Any,
    ) -> ApiNode:
        """Set a provision state's verb, and wait for the state that it leads to.

        :param target: ``manage``, ``provide``, ``active``, ``deleted`` and so on.
        :param on_poll: called with the node twice a second.
        :param arguments: of the verb: ``config_drive``, ``clean_steps``, ``rescue_password``.
        """
        with _explained(f"Moving node {self.uuid} with {target!r}"):
            self.connection.baremetal.set_node_provision_state(self.uuid, target, **arguments)
        deadline = time.monotonic() + timeout
        while (node := self.get()).provision_state != wanted:
            if on_poll is not None:
                on_poll(node)
            if _has_failed(node):
                raise ProcessError(
                    f"Node {node.name} is in state {node.provision_state!r}, not {wanted!r}: "
                    f"{node.last_error}"
                )
            _check_deadline(deadline, f"node {node.name} is in state {node.provision_state!r}")
            time.sleep(_POLL_SECONDS)
        return node

    def deploy(self, *, timeout: float, on_poll: PollCallback | None = None) -> ApiNode:
        """Deploy what was assigned, and wait until the node is ACTIVE."""
        return self.move("active", "active", timeout=timeout, on_poll=on_poll)

    def undeploy(self) -> ApiNode:
        """Take the instance away, and wait until the node is available again."""
        return self.move("deleted", "available", timeout=_SECONDS_TO_UNDEPLOY)

    def reboot(self) -> None:
        """Power-cycle the node, and wait until that is done."""
        with _explained("Rebooting the node"):
            self.connection.baremetal.set_node_power_state(self.uuid, "rebooting", wait=False)
        deadline = time.monotonic() + _SECONDS_TO_REBOOT
        while (node := self.get()).target_power_state is not None:
            _check_deadline(deadline, f"node {self.uuid} is still being rebooted")
            time.sleep(_POLL_SECONDS)
        if node.last_error:
            raise ProcessError(f"Rebooting node {self.uuid} failed: {node.last_error}")


def enrol(services: Services, server: EmulatedServer, sources: Sources) -> str:
    """Make an emulated server a node, ``available`` for deploying: the administrator's work.

    :returns: the node's UUID.
    :raises ProcessError: Ironic refuses it, or cannot reach its iLO.
    """
    values: dict[str, Any] = {
        "name": server.name,
        "driver": "ilo",
        "driver_info": _driver_info(server, sources.deploy_iso),
    }
    if services.keystone is not None:
        values["owner"] = services.keystone.project_id(OWNER)
    with connected(services, ADMIN) as connection:
        with _explained(f"Enrolling {server.name}"):
            created = connection.baremetal.create_node(**values)
            connection.baremetal.create_port(node_id=created.id, address=server.mac)
        node = Node(connection, str(created.id))
        node.move("manage", "manageable", timeout=_SECONDS_TO_ENROL)
        node.move("provide", "available", timeout=_SECONDS_TO_ENROL)
    return node.uuid


def _driver_info(server: EmulatedServer, deploy_iso: str) -> dict[str, Any]:
    return {
        "ilo_address": server.address,
        "client_port": server.port,
        "ilo_username": server.username,
        "ilo_password": server.read_password(),
        "ilo_verify_ca": server.certificate,
        "deploy_iso": deploy_iso,
        # QEMU forwards it; the address that the ramdisk has is known to QEMU alone.
        "iscsi_portal": server.iscsi_portal,
    }


def _has_failed(node: ApiNode) -> bool:
    # Enrolling that fails ends in "enroll" with an error, anything else in a state of failure.
    state = str(node.provision_state)
    failed = state == "error" or state.endswith("failed")
    return failed or (state == "enroll" and bool(node.last_error))


def _check_deadline(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise ProcessError(f"The deadline has passed, and {what}")


@contextmanager
def _explained(doing: str) -> Iterator[None]:
    try:
        yield
    except SDKException as error:
        raise ProcessError(f"{doing} failed: {error}") from error
