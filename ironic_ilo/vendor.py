"""Ironic's vendor interface: the deploy ramdisk's callback, ``pass_deploy_info``."""

from typing import Any

from ironic.common import exception, metrics_utils, states
from ironic.common.i18n import _
from ironic.conductor import utils as manager_utils
from ironic.drivers import base
from oslo_log import log as logging

from ironic_ilo import callback, driver_info, iscsi_deploy

LOG = logging.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

_METHOD = "pass_deploy_info"


class VendorPassthru(base.VendorInterface):
    """Takes ``POST /v1/nodes/<node>/vendor_passthru/pass_deploy_info`` (specification)."""

    def get_properties(self) -> dict[str, str]:
        """Describe the properties in ``driver_info``."""
        return driver_info.COMMON_PROPERTIES | driver_info.DEPLOY_PROPERTIES

    def validate(self, task: Any, method: str | None = None, **kwargs: Any) -> None:
        """Check a call before it is answered.

        :raises MissingParameterValue: a parameter is missing; Ironic answers 400.
        :raises InvalidParameterValue: a parameter is wrong; Ironic answers 400.
        """
        if method == _METHOD:
            kwargs.pop("http_method", None)
            iscsi_deploy.get_deploy_info(task.node, kwargs)
        else:
            driver_info.parse_access(task.node)

    @METRICS.timer("VendorPassthru.pass_deploy_info")
    @base.passthru(
        ["POST"],
        async_call=False,
        # Taken below: a repeated call during the write would get 409 for the lock else.
        require_exclusive_lock=False,
        description=_(
            "Called by the deploy ramdisk when it offers the node's disk over iSCSI, or gives up. "
            "Parameters: address (IP address of the node), key (the deploy key), iqn (of the "
            "target), error (why the ramdisk gave up; empty or absent else)."
        ),
    )
    def pass_deploy_info(self, task: Any, **kwargs: Any) -> None:
        """Take a ramdisk's callback, and resume the deployment.

        An error of the ramdisk is a valid call: the next deploy step fails with its text.

        :raises InvalidStateRequested: the node is not waiting for a callback; Ironic answers 400.
        """
        kwargs.pop("http_method", None)
        info = iscsi_deploy.get_deploy_info(task.node, kwargs)
        if _is_taken(task.node, info):
            LOG.info("Node %(node)s repeated its callback", {"node": task.node.uuid})
            return
        _require_waiting(task.node)
        task.upgrade_lock(purpose="take the deploy ramdisk's callback")
        # Another call, or a timeout, may have come first.
        info = iscsi_deploy.get_deploy_info(task.node, kwargs)
        _require_waiting(task.node)
        task.node.set_driver_internal_info(callback.CALLBACK, info.as_dict())
        task.node.save()
        manager_utils.notify_conductor_resume_deploy(task)


def _is_taken(node: Any, info: callback.DeployInfo) -> bool:
    return bool(node.driver_internal_info.get(callback.CALLBACK) == info.as_dict())


def _require_waiting(node: Any) -> None:
    step = (node.deploy_step or {}).get("step")
    if node.provision_state != states.DEPLOYWAIT or step != "deploy":
        raise exception.InvalidStateRequested(
            action=_METHOD, node=node.uuid, state=node.provision_state
        )
