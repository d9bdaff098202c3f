"""An emulated server as a node of Ironic, driven through its real REST API."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstack.baremetal.v1.node import Node as ApiNode
from openstack.connection import Connection
from openstack.exceptions import SDKException

from ironic_ilo.exception import ProcessError
from lab.emulator import EmulatedServer
from lab.instance_image import InstanceImage
from lab.openstack.keystone import ADMIN
from lab.services import Services

_POLL_SECONDS = 0.5
_SECONDS_TO_ENROL = 120.0
_SECONDS_TO_UNDEPLOY = 180.0
_SECONDS_TO_REBOOT = 180.0
_SWAP_MIB = 64

PollCallback = Callable[[ApiNode], None]


@contextmanager
def connected(services: Services) -> Iterator[Connection]:
    """Speak to Ironic, as the cloud's administrator if it asks who we are."""
    if services.keystone is None:
        connection = Connection(
            auth_type="none", endpoint=services.api_url, app_name="ironic-ilo-lab"
        )
    else:
        session = services.keystone.session(ADMIN, system=True)
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

    def assign(self, image: InstanceImage) -> None:
        """Say what is to be deployed on the node."""
        instance_info = {
            "image_source": _file_url(image.root),
            # Ironic 39 cannot tell by itself what a file URL names: validating answers 500.
            "image_type": "partition",
            "image_os_hash_algo": "sha256",
            "image_os_hash_value": image.checksum(),
            "image_disk_format": "qcow2",
            "kernel": _file_url(image.kernel),
            "ramdisk": _file_url(image.ramdisk),
            "root_gb": image.root_gib,
            "swap_mb": _SWAP_MIB,
        }
        with _explained("Setting instance_info"):
            self.connection.baremetal.update_node(self.uuid, instance_info=instance_info)

    def move(
        self, target: str, wanted: str, *, timeout: float, on_poll: PollCallback | None = None
    ) -> ApiNode:
        """Set a provision state's verb, and wait for the state that it leads to.

        :param target: ``manage``, ``provide``, ``active``, ``deleted`` and so on.
        :param on_poll: called with the node twice a second.
        """
        with _explained(f"Moving node {self.uuid} with {target!r}"):
            self.connection.baremetal.set_node_provision_state(self.uuid, target)
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


def enrol(connection: Connection, server: EmulatedServer, deploy_iso: Path) -> Node:
    """Make an emulated server a node, ``available`` for deploying.

    :raises ProcessError: Ironic refuses it, or cannot reach its iLO.
    """
    with _explained(f"Enrolling {server.name}"):
        created = connection.baremetal.create_node(
            name=server.name, driver="ilo", driver_info=_driver_info(server, deploy_iso)
        )
        connection.baremetal.create_port(node_id=created.id, address=server.mac)
    node = Node(connection, str(created.id))
    node.move("manage", "manageable", timeout=_SECONDS_TO_ENROL)
    node.move("provide", "available", timeout=_SECONDS_TO_ENROL)
    return node


def _driver_info(server: EmulatedServer, deploy_iso: Path) -> dict[str, Any]:
    return {
        "ilo_address": server.address,
        "client_port": server.port,
        "ilo_username": server.username,
        "ilo_password": server.read_password(),
        "ilo_verify_ca": server.certificate,
        "deploy_iso": _file_url(deploy_iso),
        # QEMU forwards it; the address that the ramdisk has is known to QEMU alone.
        "iscsi_portal": server.iscsi_portal,
    }


def _has_failed(node: ApiNode) -> bool:
    # Enrolling that fails ends in "enroll" with an error, anything else in a state of failure.
    state = str(node.provision_state)
    failed = state == "error" or state.endswith("failed")
    return failed or (state == "enroll" and bool(node.last_error))


def _file_url(path: Path) -> str:
    return path.resolve().as_uri()


def _check_deadline(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise ProcessError(f"The deadline has passed, and {what}")


@contextmanager
def _explained(doing: str) -> Iterator[None]:
    try:
        yield
    except SDKException as error:
        raise ProcessError(f"{doing} failed: {error}") from error
