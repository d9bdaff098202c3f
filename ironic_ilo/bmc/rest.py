"""proliantutils' class for iLO 4's REST service (RIS), with its faults contained.

It has no timeouts, lets the environment choose proxies, follows redirects with the password, logs
what it sends and receives, and loses the reason of a refusal (ilo-protocol.md 2.5). Its seam
(sending, and judging the reply) is replaced here; the walk through the resources is its own.
"""

import base64
import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from proliantutils import exception as proliant
from proliantutils.ilo import ris

from ironic_ilo.bmc.https import Endpoint, exchange
from ironic_ilo.bmc.messages import refusal_of
from ironic_ilo.bmc.types import Access, SecureBoot
from ironic_ilo.exception import InvalidInput

LOG = logging.getLogger(__name__)


class RestSession(ris.RISOperations):
    """Sends REST requests to one iLO, each over a connection of its own."""

    def __init__(self, name: str, access: Access, endpoint: Endpoint) -> None:
        # Without a login, which it would log; cacert=None would switch warnings off for all.
        super().__init__(name, None, None, cacert="")
        self._name = name
        self._access = access
        self._endpoint = endpoint

    def get_secure_boot(self) -> SecureBoot:
        """Read the state of Secure Boot, of which proliantutils tells only the current half.

        :raises IloCommandNotSupportedError: the server has none.
        """
        # Older servers have no such links, and newer ones another word for "Hp".
        links = self._get_host_details().get("Oem", {}).get("Hp", {}).get("links", {})
        if "SecureBoot" not in links:
            raise proliant.IloCommandNotSupportedError("SecureBoot")
        _status, _headers, settings = self._rest_get(links["SecureBoot"]["href"])
        return SecureBoot(
            current=_flag(settings, "SecureBootCurrentState"),
            pending=_flag(settings, "SecureBootEnable"),
        )

    def inject_nmi(self) -> None:
        """Send an NMI, unlike proliantutils without asking for the power state over REST first."""
        self._perform_power_op("Nmi")

    def _rest_op(
        self,
        operation: str,
        suburi: str,
        request_headers: dict[str, str] | None,
        request_body: Any,
    ) -> tuple[int, Mapping[str, str], Any]:
        """Send one request; only a success returns."""
        LOG.debug("%s: %s %s", self._name, operation, suburi)
        headers = {**(request_headers or {}), "Authorization": self._authorization()}
        body = None
        if request_body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request_body).encode()
        reply = exchange(self._endpoint, operation, suburi, headers, body)
        if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise refusal_of(reply)
        return reply.status, reply.headers, json.loads(reply.body) if reply.body else {}

    def _authorization(self) -> str:
        if ":" in self._access.username:
            raise InvalidInput(
                "ilo_username holds a colon, which HTTP's Basic authentication cannot carry",
                hint="Change the account's ilo_username on the iLO and in driver_info.",
            )
        login = f"{self._access.username}:{self._access.password}"
        return "Basic " + base64.b64encode(login.encode()).decode()


def _flag(settings: Mapping[str, Any], name: str) -> bool:
    value = settings[name]
    if not isinstance(value, bool):
        raise TypeError(name)
    return value
