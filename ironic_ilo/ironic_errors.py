"""Turns this package's errors into Ironic's, once, at the edge of each interface."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ironic.common import exception as ironic_exception
from ironic.common.i18n import _

from ironic_ilo import exception


class IloOperationError(ironic_exception.DriverOperationError):
    """An operation on a node failed; the message names node, operation, cause and remedy."""

    _msg_fmt = _("Cannot %(operation)s for node %(node)s: %(error)s")


@contextmanager
def translated(node: Any, operation: str) -> Iterator[None]:
    """Let this package's errors leave a block as Ironic's.

    :param node: the Ironic node that the block works on.
    :param operation: what the block does, as in "Cannot ... for node".
    :raises InvalidParameterValue: for the caller's mistakes.
    :raises IloOperationError: for everything else that went wrong.
    """
    try:
        yield
    except exception.Error as exc:
        # Ironic puts these texts into sentences of its own, full stop included.
        failure = IloOperationError(
            operation=operation, node=node.uuid, error=str(exc).rstrip(".")
        )
        if isinstance(exc, exception.InvalidInput):
            raise ironic_exception.InvalidParameterValue(str(failure)) from exc
        raise failure from exc
