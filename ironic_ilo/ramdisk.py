"""Boots a server into the deploy ramdisk, for a deploy as for a clean step, and ends it."""

from typing import Any

from ironic.common import states
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF

from deploy_ramdisk.network import FILE_NAME as NETWORK_FILE
from deploy_ramdisk.network import render_network_conf
from ironic_ilo import boot_mode, boot_proof, callback, deploy_secrets, publisher, virtual_media
from ironic_ilo.callback import RamdiskAction
from ironic_ilo.deploy_secrets import DeploySecrets
from ironic_ilo.ironic_errors import translated

# In ``driver_internal_info`` from when a deploy or a cleaning has found the iLO in order, or an
# agent is booted, until it has succeeded or the server is off and its drives are empty.
SERVER_IN_USE = "ilo_deploy_server_in_use"


def validate(task: Any) -> None:
    """Check what a ramdisk needs, without talking to the iLO or fetching anything.

    :raises MissingParameterValue: something is missing.
    :raises InvalidParameterValue: something is wrong; the message says what to do.
    """
    node = task.node
    task.driver.boot.validate(task)
    boot_mode.validate(node)
    callback.validate_callback(task)
    with translated(node, "use the [ilo] configuration"):
        deploy_secrets.derive(CONF.ilo.signing_key, node.uuid, nonce="")
        publisher.get_object_store()
        publisher.warn_of_short_ttl()
        render_network_conf(task.driver.network.get_node_network_data(task))


def claim_server(task: Any) -> None:
    """Check that the iLO is in order, and note that from now on the server is not as it was.

    :raises IloOperationError: the iLO does not answer, its licence lacks virtual media, or the
        server cannot boot in the mode that the node asks for.
    """
    virtual_media.check_virtual_media(task)
    boot_mode.check(task)
    task.node.set_driver_internal_info(SERVER_IN_USE, True)
    task.node.save()


def boot(task: Any, action: RamdiskAction) -> None:
    """Boot the deploy ramdisk, with new one-time secrets, on a server that is off.

    :raises IloOperationError: a step of it failed.
    """
    boot_mode.prepare(task)
    secrets = callback.start_deploy(task)
    boot_proof.begin(task.node)
    _start(task, action, secrets)


def boot_again(task: Any, action: RamdiskAction) -> None:
    """Insert the media of a boot that came to nothing anew, with the secrets that it had.

    Those who wait for the ramdisk's callback wait as long as for the first time.

    :raises InvalidParameterValue: the ramdisk needs a token, which only the request had.
    :raises IloOperationError: a step of it failed.
    """
    node = task.node
    secrets = callback.get_secrets(node)
    assert secrets is not None  # noqa: S101 - they end together with the wait
    boot_proof.begin(node, attempt=2)
    callback.check_token(task)
    manager_utils.node_power_action(task, states.POWER_OFF)
    virtual_media.eject_virtual_media(task)
    _start(task, action, secrets)
    node.touch_provisioning()


def _start(task: Any, action: RamdiskAction, secrets: DeploySecrets) -> None:
    node = task.node
    parameters = callback.build_ramdisk_parameters(node, secrets, action=action)
    task.driver.boot.prepare_ramdisk(task, parameters, _files(task))
    manager_utils.node_power_action(task, states.POWER_ON)
    boot_proof.note_power_on(node)


def _files(task: Any) -> dict[str, bytes]:
    """Make the floppy's files beside ``parameters.txt``."""
    files = callback.build_ramdisk_files(task)
    network_conf = render_network_conf(task.driver.network.get_node_network_data(task))
    if network_conf:
        files[NETWORK_FILE] = network_conf.encode()
    return files


def release_server(task: Any) -> None:
    """Turn the server off and empty its drives; the reconciler does it later if this fails.

    The power first: media must not change under a running ramdisk.

    :raises IloOperationError: a step of it failed.
    """
    _power_off_keeping_error(task)
    virtual_media.eject_virtual_media(task)
    forget_server(task)


def forget_server(task: Any) -> None:
    """Note that the server is as it was, if it was not."""
    if SERVER_IN_USE in task.node.driver_internal_info:
        task.node.del_driver_internal_info(SERVER_IN_USE)
        task.node.save()


def _power_off_keeping_error(task: Any) -> None:
    """Power off; Ironic erases ``last_error`` then, which must tell why the deploy failed."""
    node = task.node
    last_error = node.last_error
    try:
        manager_utils.node_power_action(task, states.POWER_OFF)
    finally:
        node.last_error = last_error
        node.save()
