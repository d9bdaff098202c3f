"""The deploy ramdisk's callback: what it is given for it, and what it may answer.

There are two, with one meaning; ``[ilo]ramdisk_callback`` chooses, and both end in :func:`take`.

``pass_deploy_info`` (specification)
    ``POST /v1/nodes/<node>/vendor_passthru/pass_deploy_info`` with ``address``, ``key``, ``iqn``,
    ``error``, and optionally ``disks`` (see ``ironic_ilo.local_disks``). The proof is the deploy
    key. Where the API asks for a Keystone token as well, that of the request to deploy is sent as
    ``X-Auth-Token``.
``heartbeat``
    Ironic's public ``POST /v1/heartbeat/<node>`` (API 1.72) with ``callback_url`` (empty),
    ``agent_version``, and ``agent_token``, which is the proof. Either ``agent_status`` is ``end``,
    and ``agent_status_message`` the text of a JSON object with ``address``, ``iqn`` and ``disks``;
    or it is ``error``, and the message says why the ramdisk gave up.

On the floppy, ``parameters.txt`` has ``deployment_key`` for the former, and
``ramdisk_callback=heartbeat`` and ``agent_token`` for the latter. A file ``token`` holds the
Keystone token.
"""

import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ironic.common import exception, states
from ironic.common.i18n import _
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils
from oslo_log import log as logging
from oslo_utils import timeutils

from ironic_ilo import (
    boot_proof,
    conf,
    deploy_secrets,
    local_disks,
    publisher,
    timeline,
    virtual_media,
)
from ironic_ilo.deploy_secrets import DeploySecrets
from ironic_ilo.exception import InvalidInput
from ironic_ilo.ironic_errors import translated

LOG = logging.getLogger(__name__)

conf.register_opts(CONF)

NONCE = "ilo_deploy_nonce"
CALLBACK = "ilo_deploy_callback"

_CALLBACK_PARAMETERS = frozenset({"address", "key", "iqn", "error", "disks"})
_REQUIRED_PARAMETERS = ("address", "key", "iqn")
# In ``last_error``, too, it must fit into a column of MySQL and MariaDB, in every alphabet.
_LONGEST_ERROR = 4096
_AGENT_TOKEN = "agent_secret_token"  # noqa: S105 - Ironic's name for it


class RamdiskCallback(StrEnum):
    """How a deploy ramdisk calls back."""

    PASS_DEPLOY_INFO = "pass_deploy_info"  # noqa: S105 - no password
    HEARTBEAT = "heartbeat"


class RamdiskAction(StrEnum):
    """What a deploy ramdisk is to do; those of cleaning have the names of Ironic's clean steps."""

    DEPLOY = "deploy"
    ERASE_DEVICES_METADATA = "erase_devices_metadata"
    ERASE_DEVICES = "erase_devices"


@dataclass(frozen=True)
class DeployInfo:
    """What a deploy ramdisk told in its callback: ``pass_deploy_info``'s parameters.

    :ivar address: the node's IP address, without brackets; empty with an error.
    :ivar error: why the ramdisk gave up; empty when it offers the disks.
    :ivar disks: what it offers, with the fields of :class:`ironic_ilo.local_disks.LocalDisk`;
        none: one disk as LUN 1, with sectors of 512 bytes.
    """

    address: str
    iqn: str
    error: str
    disks: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give the form in which it is kept in the node."""
        return vars(self) | {"disks": list(self.disks)}


def find_ramdisk_callback() -> RamdiskCallback:
    """Tell how the ramdisks of new deploys call back.

    Without ``[ilo]ramdisk_callback``, no Keystone token leaves the conductor: it is the heartbeat
    wherever the API asks for authentication.
    """
    if CONF.ilo.ramdisk_callback:
        return RamdiskCallback(CONF.ilo.ramdisk_callback)
    if CONF.auth_strategy == "noauth":
        return RamdiskCallback.PASS_DEPLOY_INFO
    return RamdiskCallback.HEARTBEAT


def validate_callback(task: Any) -> None:
    """Check that a ramdisk will be able to call back.

    :raises InvalidParameterValue: it will not; the message says what to do.
    """
    node = task.node
    if find_ramdisk_callback() is RamdiskCallback.PASS_DEPLOY_INFO:
        if RamdiskCallback.PASS_DEPLOY_INFO not in task.driver.vendor.vendor_routes:
            reason = _(
                "its vendor interface is %s, which does not know the deploy ramdisk's callback; "
                "set it to ilo"
            )
            raise _cannot_call(node, reason % node.vendor_interface)
        check_token(task)
    url = deploy_utils.get_ironic_api_url()
    if url.startswith("https") and not CONF.ilo.callback_ca:
        reason = _(
            "Ironic's API is at %s, and the deploy ramdisk needs [ilo]callback_ca to verify it"
        )
        raise _cannot_call(node, reason % url)


def check_token(task: Any) -> None:
    """Check that the request behind a task has a token for ``pass_deploy_info``, if it needs one.

    It must outlive the floppy at least. When it ends was learnt as the API verified it.

    :raises InvalidParameterValue: it has none, or none that lives long enough.
    """
    if find_ramdisk_callback() is RamdiskCallback.HEARTBEAT or CONF.auth_strategy == "noauth":
        return
    if CONF.auth_strategy != "keystone":
        reason = _(
            "with [DEFAULT]auth_strategy %s there is no token that a ramdisk could call with"
        )
        raise _no_token(task.node, reason % CONF.auth_strategy)
    if not task.context.auth_token:
        reason = _(
            "the request to deploy came without a Keystone token, such as from a periodic task"
        )
        raise _no_token(task.node, reason)
    verified = task.context.auth_token_info or {}
    expiry = verified.get("token", {}).get("expires_at")
    if expiry and _seconds_until(expiry) < publisher.helper_images_ttl():
        reason = _(
            "the Keystone token of the request to deploy expires at %s, before the deploy ramdisk "
            "has had its time ([ilo]deploy_helper_images_ttl) to call back with it"
        )
        raise _no_token(task.node, reason % expiry)


def _seconds_until(moment: str) -> float:
    return float(timeutils.parse_isotime(moment).timestamp() - time.time())


def _no_token(node: Any, reason: str) -> exception.InvalidParameterValue:
    remedy = _("Deploy with a fresh token, or set [ilo]ramdisk_callback to heartbeat")
    return _cannot_call(node, f"{reason}. {remedy}")


def _cannot_call(node: Any, reason: str) -> exception.InvalidParameterValue:
    return exception.InvalidParameterValue(
        _("Node %(node)s cannot be deployed: %(reason)s.") % {"node": node.uuid, "reason": reason}
    )


def start_deploy(task: Any) -> DeploySecrets:
    """Begin a deploy: make its one-time secrets, and forget an earlier callback."""
    node = task.node
    node.set_driver_internal_info(NONCE, deploy_secrets.make_nonce())
    node.del_driver_internal_info(CALLBACK)
    manager_utils.wipe_token_and_url(task)
    if find_ramdisk_callback() is RamdiskCallback.HEARTBEAT:
        # Pregenerated, the power actions of this deploy leave it alone, and Ironic's lookup, which
        # is public, does not hand it out.
        manager_utils.add_secret_token(node, pregenerated=True)
    node.save()
    secrets = get_secrets(node)
    assert secrets is not None  # noqa: S101 - the nonce was set above
    return secrets


def end_deploy(task: Any) -> None:
    """Make the deploy's secrets worthless."""
    node = task.node
    node.del_driver_internal_info(NONCE)
    node.del_driver_internal_info(CALLBACK)
    node.del_driver_internal_info(timeline.PROGRESS)
    boot_proof.forget(node)
    manager_utils.wipe_token_and_url(task)
    node.save()


def get_secrets(node: Any) -> DeploySecrets | None:
    """Make the secrets of the deploy under way; ``None`` when there is none."""
    nonce = node.driver_internal_info.get(NONCE)
    if nonce is None:
        return None
    with translated(node, "derive the deploy's secrets"):
        return deploy_secrets.derive(CONF.ilo.signing_key, node.uuid, nonce)


def build_ramdisk_parameters(
    node: Any, secrets: DeploySecrets, *, action: RamdiskAction = RamdiskAction.DEPLOY
) -> dict[str, str]:
    """Make the ``parameters.txt`` that the deploy ramdisk reads from the floppy.

    The names are those of Ironic's own iSCSI deploy where it had them.
    """
    return {
        "ironic_api_url": deploy_utils.get_ironic_api_url().rstrip("/"),
        "deployment_id": node.uuid,
        "action": action.value,
        **_build_proof(node, secrets),
        "iscsi_target_iqn": secrets.target_iqn,
        "iscsi_initiator_iqn": secrets.initiator_iqn,
        "iscsi_portal_port": str(CONF.ilo.iscsi_portal_port),
        "iscsi_chap_username": secrets.chap_username,
        "iscsi_chap_secret": secrets.chap_secret,
        # Servers come out of storage with their clocks years behind, and TLS minds.
        "clock": str(int(time.time())),
        "callback_timeout": str(CONF.ilo.callback_retry_timeout),
        "login_timeout": str(CONF.ilo.iscsi_login_timeout),
    }


def _build_proof(node: Any, secrets: DeploySecrets) -> dict[str, str]:
    if not _heartbeats(node):
        return {"deployment_key": secrets.deploy_key}
    return {
        "ramdisk_callback": RamdiskCallback.HEARTBEAT.value,
        "agent_token": node.driver_internal_info[_AGENT_TOKEN],
    }


def build_ramdisk_files(task: Any) -> dict[str, bytes]:
    """Make the floppy's files beside ``parameters.txt`` that the callback needs."""
    files = {}
    if CONF.ilo.callback_ca:
        files["callback_ca.pem"] = Path(CONF.ilo.callback_ca).read_bytes()
    if task.context.auth_token and not _heartbeats(task.node):
        files["token"] = task.context.auth_token.encode()
    return files


def _heartbeats(node: Any) -> bool:
    """Tell whether the ramdisk of the deploy under way was given an agent token by us."""
    return bool(manager_utils.is_agent_token_pregenerated(node))


def get_deploy_info(node: Any, parameters: Mapping[str, Any]) -> DeployInfo:
    """Check a call of ``pass_deploy_info`` by a node's deploy ramdisk.

    :param parameters: ``address``, ``key``, ``iqn``, and optionally ``error`` and ``disks``.
    :raises MissingParameterValue: one is missing.
    :raises InvalidParameterValue: one is unknown or malformed, or the key is not this deploy's.
    """
    missing = [name for name in _REQUIRED_PARAMETERS if name not in parameters]
    if missing:
        raise exception.MissingParameterValue(
            _("The callback of node %(node)s's deploy ramdisk lacks %(missing)s.")
            % {"node": node.uuid, "missing": ", ".join(missing)}
        )
    unknown = sorted(set(parameters) - _CALLBACK_PARAMETERS)
    if unknown:
        raise refused(node, _("it does not know %s") % ", ".join(unknown))
    texts = _read_texts(node, parameters, (*_REQUIRED_PARAMETERS, "error"))
    secrets = get_secrets(node)
    if secrets is None or not secrets.accepts_key(texts["key"]):
        raise refused(node, _("the key is not that of a deploy under way"))
    disks = _read_disks(node, parameters)
    info = DeployInfo(texts["address"], texts["iqn"], texts["error"][:_LONGEST_ERROR], disks)
    if not info.error:
        _check_target(node, info, secrets)
    return info


def get_heartbeat_info(node: Any, status: str | None, message: str | None) -> DeployInfo:
    """Check a heartbeat of a node's deploy ramdisk; Ironic has compared its agent token.

    :raises InvalidParameterValue: it says nothing that counts, or is not of a deploy under way.
    """
    secrets = get_secrets(node)
    # Ironic gives agent tokens to whoever looks a node up that has none yet: those prove nothing.
    if secrets is None or not _heartbeats(node):
        raise refused(node, _("no deploy with agent_token is under way"))
    if status == "error":
        return DeployInfo("", "", (message or _("no reason was given"))[:_LONGEST_ERROR])
    if status != "end":
        raise refused(node, _("agent_status is neither end nor error"))
    told = _read_object(node, message)
    texts = _read_texts(node, told, ("address", "iqn"))
    info = DeployInfo(texts["address"], texts["iqn"], "", _read_disks(node, told))
    _check_target(node, info, secrets)
    return info


def _read_object(node: Any, message: str | None) -> dict[str, Any]:
    try:
        found = json.loads(message or "")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise refused(node, _("agent_status_message is not a JSON object"))
    return found


def _read_texts(
    node: Any, parameters: Mapping[str, Any], names: tuple[str, ...]
) -> dict[str, str]:
    texts = {name: parameters.get(name) or "" for name in names}
    wrong = [name for name, value in texts.items() if not isinstance(value, str)]
    if wrong:
        raise refused(node, _("%s must be text") % ", ".join(wrong))
    return texts


def _read_disks(node: Any, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    try:
        return local_disks.read_disks(parameters.get("disks"))
    except InvalidInput as exc:
        raise refused(node, str(exc)) from None


def _check_target(node: Any, info: DeployInfo, secrets: DeploySecrets) -> None:
    try:
        ipaddress.ip_address(info.address)
    except ValueError:
        raise refused(node, _("address is not an IP address")) from None
    if info.iqn != secrets.target_iqn:
        raise refused(node, _("iqn is not that of the deploy under way"))


def refused(node: Any, reason: str) -> exception.InvalidParameterValue:
    """Make the error for a callback that Ironic answers with 400."""
    return exception.InvalidParameterValue(
        _("The callback of node %(node)s's deploy ramdisk is refused: %(reason)s.")
        % {"node": node.uuid, "reason": reason}
    )


def take(task: Any, info: DeployInfo) -> None:
    """Keep what a deploy ramdisk told, and resume the deployment.

    An error of the ramdisk is a valid callback: the next deploy step fails with its text. So is a
    repetition, which does nothing.

    :param task: with a shared lock; ``info`` was checked against its node.
    :raises InvalidStateRequested: the node is not waiting for it; Ironic answers 400.
    :raises NodeLocked: somebody else works on the node; Ironic answers 409.
    """
    if not claim(task, lambda: _is_awaited(task.node, info)):
        return
    node = task.node
    boot_proof.accept(node)
    remove_floppy(task)
    node.set_driver_internal_info(CALLBACK, info.as_dict())
    node.save()
    manager_utils.notify_conductor_resume_deploy(task)


def claim(task: Any, is_awaited: Callable[[], bool]) -> bool:
    """Lock the node for a callback that was checked against it with a shared lock.

    :param is_awaited: asked before and after, for it may raise what keeps others from waiting; of
        ``task.node``, which is another object then.
    :returns: whether it is still awaited.
    :raises InvalidParameterValue: what the ramdisk was booted for is over; Ironic answers 400.
    :raises NodeLocked: somebody else works on the node; Ironic answers 409.
    """
    nonce = task.node.driver_internal_info[NONCE]
    if not is_awaited():
        return False
    task.upgrade_lock(purpose="take the deploy ramdisk's callback")
    # Another callback, a timeout, or even another deploy may have come first.
    if task.node.driver_internal_info.get(NONCE) != nonce:
        raise refused(task.node, _("its deploy is over"))
    return is_awaited()


def _is_awaited(node: Any, info: DeployInfo) -> bool:
    if node.driver_internal_info.get(CALLBACK) == info.as_dict():
        LOG.info("Node %(node)s repeated its callback", {"node": node.uuid})
        return False
    step = (node.deploy_step or {}).get("step")
    if node.provision_state != states.DEPLOYWAIT or step != "deploy":
        raise exception.InvalidStateRequested(
            action=_("take the deploy ramdisk's callback"),
            node=node.uuid,
            state=node.provision_state,
        )
    return True


def remove_floppy(task: Any) -> None:
    """Remove the secrets from the object store; they are of no more use."""
    try:
        virtual_media.cleanup_virtual_media_boot(task)
    except exception.IronicException as exc:
        LOG.warning("%(error)s. It expires by itself.", {"error": exc})
