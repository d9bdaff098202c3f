"""The deploy ramdisk's callback: what it is given for it, and what it may answer."""

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ironic.common import exception
from ironic.common.i18n import _
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils

from ironic_ilo import conf, deploy_secrets, timeline
from ironic_ilo.deploy_secrets import DeploySecrets
from ironic_ilo.ironic_errors import translated

conf.register_opts(CONF)

NONCE = "ilo_deploy_nonce"
CALLBACK = "ilo_deploy_callback"

_CALLBACK_PARAMETERS = frozenset({"address", "key", "iqn", "error", "disks"})
_REQUIRED_PARAMETERS = ("address", "key", "iqn")


@dataclass(frozen=True)
class DeployInfo:
    """What a deploy ramdisk told in its callback: ``pass_deploy_info``'s parameters.

    :ivar address: the node's IP address, without brackets; empty with an error.
    :ivar error: why the ramdisk gave up; empty when it offers the disk.
    """

    address: str
    iqn: str
    error: str

    def as_dict(self) -> dict[str, str]:
        """Give the form in which it is kept in the node."""
        return {"address": self.address, "iqn": self.iqn, "error": self.error}


def get_deploy_info(node: Any, parameters: Mapping[str, Any]) -> DeployInfo:
    """Check a callback of a node's deploy ramdisk.

    :param parameters: ``address``, ``key``, ``iqn``, and optionally ``error`` and ``disks``.
    :raises MissingParameterValue: one is missing.
    :raises InvalidParameterValue: one is unknown or malformed, or the key is not this deploy's.
    """
    missing = [name for name in _REQUIRED_PARAMETERS if name not in parameters]
    if missing:
        raise exception.MissingParameterValue(
            _("pass_deploy_info for node %(node)s lacks %(missing)s.")
            % {"node": node.uuid, "missing": ", ".join(missing)}
        )
    unknown = sorted(set(parameters) - _CALLBACK_PARAMETERS)
    if unknown:
        raise _refused(node, _("it does not know %s") % ", ".join(unknown))
    texts = {name: parameters.get(name) or "" for name in (*_REQUIRED_PARAMETERS, "error")}
    wrong = [name for name, value in texts.items() if not isinstance(value, str)]
    if wrong:
        raise _refused(node, _("%s must be text") % ", ".join(wrong))
    secrets = get_secrets(node)
    if secrets is None or not secrets.accepts_key(texts["key"]):
        raise _refused(node, _("the key is not that of a deploy under way"))
    info = DeployInfo(texts["address"], texts["iqn"], texts["error"])
    if not info.error:
        _check_target(node, info, secrets)
    return info


def start_deploy(node: Any) -> DeploySecrets:
    """Begin a deploy: make its one-time secrets, and forget an earlier callback."""
    node.set_driver_internal_info(NONCE, deploy_secrets.make_nonce())
    node.del_driver_internal_info(CALLBACK)
    node.save()
    secrets = get_secrets(node)
    assert secrets is not None  # noqa: S101 - the nonce was set above
    return secrets


def end_deploy(node: Any) -> None:
    """Make the deploy's secrets worthless."""
    node.del_driver_internal_info(NONCE)
    node.del_driver_internal_info(CALLBACK)
    node.del_driver_internal_info(timeline.PROGRESS)
    node.save()


def get_secrets(node: Any) -> DeploySecrets | None:
    """Make the secrets of the deploy under way; ``None`` when there is none."""
    nonce = node.driver_internal_info.get(NONCE)
    if nonce is None:
        return None
    with translated(node, "derive the deploy's secrets"):
        return deploy_secrets.derive(CONF.ilo.signing_key, node.uuid, nonce)


def build_ramdisk_parameters(node: Any, secrets: DeploySecrets) -> dict[str, str]:
    """Make the ``parameters.txt`` that the deploy ramdisk reads from the floppy.

    The names are those of Ironic's own iSCSI deploy where it had them.
    """
    return {
        "ironic_api_url": deploy_utils.get_ironic_api_url().rstrip("/"),
        "deployment_id": node.uuid,
        "deployment_key": secrets.deploy_key,
        "iscsi_target_iqn": secrets.target_iqn,
        "iscsi_initiator_iqn": secrets.initiator_iqn,
        "iscsi_portal_port": str(CONF.ilo.iscsi_portal_port),
        "iscsi_chap_username": secrets.chap_username,
        "iscsi_chap_secret": secrets.chap_secret,
        # Servers come out of storage with their clocks years behind, and TLS minds.
        "clock": str(int(time.time())),
        "callback_timeout": str(CONF.ilo.callback_retry_timeout),
    }


def _refused(node: Any, reason: str) -> exception.InvalidParameterValue:
    return exception.InvalidParameterValue(
        _("pass_deploy_info for node %(node)s is refused: %(reason)s.")
        % {"node": node.uuid, "reason": reason}
    )


def _check_target(node: Any, info: DeployInfo, secrets: DeploySecrets) -> None:
    try:
        ipaddress.ip_address(info.address)
    except ValueError:
        raise _refused(node, _("address is not an IP address")) from None
    if info.iqn != secrets.target_iqn:
        raise _refused(node, _("iqn is not that of the deploy under way"))
