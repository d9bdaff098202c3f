"""Ironic's vendor interface: the deploy ramdisk's callback, and booting an ISO once."""

from collections.abc import Mapping
from typing import Any

from ironic.common import metrics_utils
from ironic.common.i18n import _
from ironic.conductor import task_manager
from ironic.drivers import base

from ironic_ilo import boot_into_iso, callback, cleaning, driver_info, iscsi_deploy
from ironic_ilo.callback import DeployInfo, RamdiskCallback

METRICS = metrics_utils.get_metrics_logger(__name__)


class VendorPassthru(base.VendorInterface):
    """Takes ``POST /v1/nodes/<node>/vendor_passthru/pass_deploy_info`` (specification).

    And ``boot_into_iso``.
    """

    def get_properties(self) -> dict[str, str]:
        """Describe the properties in ``driver_info``."""
        return driver_info.COMMON_PROPERTIES | driver_info.DEPLOY_PROPERTIES

    def validate(self, task: Any, method: str | None = None, **kwargs: Any) -> None:
        """Check a call before it is answered.

        :raises MissingParameterValue: a parameter is missing; Ironic answers 400.
        :raises InvalidParameterValue: a parameter is wrong; Ironic answers 400.
        """
        kwargs.pop("http_method", None)
        if method == RamdiskCallback.PASS_DEPLOY_INFO:
            _read_call(task.node, kwargs)
        elif method == boot_into_iso.METHOD:
            boot_into_iso.check(task, kwargs)
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
            "target), error (why the ramdisk gave up; empty or absent else). In cleaning, "
            "progress or erased besides."
        ),
    )
    def pass_deploy_info(self, task: Any, **kwargs: Any) -> None:
        """Take a ramdisk's callback, and resume the deployment or the cleaning.

        :raises InvalidStateRequested: the node is not waiting for a callback; Ironic answers 400.
        """
        kwargs.pop("http_method", None)
        call = _read_call(task.node, kwargs)
        if isinstance(call, cleaning.Report):
            cleaning.take(task, call)
        else:
            callback.take(task, call)

    @METRICS.timer("VendorPassthru.boot_into_iso")
    @base.passthru(
        ["POST"],
        description=_(
            "Powers the node off, and boots it once from an ISO. Parameter: boot_iso_href (UUID "
            "of an image in Glance, or an http, https or file URL). The node is manageable, or in "
            "maintenance with nothing being done to it. A failure ends in last_error."
        ),
    )
    @task_manager.require_exclusive_lock
    def boot_into_iso(self, task: Any, **kwargs: Any) -> None:
        """Boot the node once from an ISO.

        :raises IloOperationError: a step of it failed.
        """
        boot_into_iso.run(task, kwargs["boot_iso_href"])


def _read_call(node: Any, parameters: Mapping[str, Any]) -> DeployInfo | cleaning.Report:
    if cleaning.is_under_way(node):
        return cleaning.get_report(node, parameters)
    return iscsi_deploy.get_deploy_info(node, parameters)
