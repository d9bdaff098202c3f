"""Boots ironic-python-agent from virtual media, for Ironic's own deploys, cleaning and rescue.

Its ISO is ``deploy_iso``, or ``rescue_iso`` for a rescue. It finds the floppy by its label, as our
own deploy ramdisk does, once its kernel command line has ``boot_method=vmedia``, and calls back
with the token there, which nobody else can ask Ironic for.
"""

from collections.abc import Mapping
from typing import Any

from ironic.common import states
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import boot_mode_utils, deploy_utils

from ironic_ilo import boot_mode, driver_info, ramdisk, virtual_media


def is_meant(ramdisk_params: Mapping[str, str]) -> bool:
    """Tell the agent's parameters from those of our own deploy ramdisk."""
    return deploy_utils.IPA_URL_PARAM_NAME in ramdisk_params


def prepare(task: Any, ramdisk_params: Mapping[str, str]) -> None:
    """Make the next start of a node boot the agent; the node is off afterwards.

    Nothing happens when the agent runs already and Ironic may go on with it (fast track), nor
    when no ramdisk is wanted, as in a take-over.

    :raises MissingParameterValue: the ISO is not named.
    :raises InvalidParameterValue: the boot mode or the ISO that is asked for cannot be had.
    :raises IloOperationError: a step of it failed.
    """
    node = task.node
    if not driver_utils.need_prepare_ramdisk(node) or manager_utils.is_fast_track(task):
        return
    iso = _find_iso(node)
    # From here on, the reconciler cleans up if nobody else does.
    node.set_driver_internal_info(ramdisk.SERVER_IN_USE, True)
    node.save()
    manager_utils.node_power_action(task, states.POWER_OFF)
    # The agent's ISO need not be signed. It is switched on again for the instance.
    boot_mode.suspend_secure_boot(task)
    boot_mode_utils.sync_boot_mode(task)
    manager_utils.add_secret_token(node, pregenerated=True)
    node.save()
    virtual_media.setup_virtual_media_boot(task, iso, _make_parameters(task, ramdisk_params))


def _find_iso(node: Any) -> str:
    if deploy_utils.rescue_or_deploy_mode(node) == "rescue":
        return driver_info.parse_rescue_iso(node)
    return driver_info.parse_deploy_properties(node).deploy_iso


def _make_parameters(task: Any, ramdisk_params: Mapping[str, str]) -> dict[str, str]:
    """Add what an agent on virtual media needs."""
    parameters = {
        **ramdisk_params,
        "boot_method": "vmedia",
        "ipa-agent-token": task.node.driver_internal_info["agent_secret_token"],
    }
    mac = deploy_utils.get_single_nic_with_vif_port_id(task)
    if mac is not None:
        parameters["BOOTIF"] = mac
    if CONF.debug:
        parameters.setdefault("ipa-debug", "1")
    return parameters
