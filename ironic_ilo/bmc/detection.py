"""Finds out what kind of iLO answers, before any password is sent (ilo-protocol.md 0, 1.1, 3.1).

``/xmldata`` tells it on iLO 4 to 6, unless its "Anonymous Data" is switched off; the root of the
Redfish service on iLO 5 to 7, and on iLO 4 since 2.30; and what answers neither may still speak
RIBCL.
"""

import enum
import http.client
import json
import re
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from cachetools import TTLCache

from ironic_ilo.bmc.errors import no_ilo
from ironic_ilo.bmc.https import AnswerError, Endpoint, Reply, exchange, follow

_FIRST_WITH_REDFISH_ALONE = 5
_GENERATION = re.compile(r"\biLO (\d+)")
# What parsing something else can end with.
_ODD = (ET.ParseError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
# A login and a command are missing, so that nothing happens.
_EMPTY_RIBCL = b'<?xml version="1.0"?>\r\n<RIBCL VERSION="2.0"></RIBCL>\r\n'


class Protocol(enum.Enum):
    """What this package speaks to an iLO."""

    RIBCL = "RIBCL"
    REDFISH = "Redfish"


@dataclass(frozen=True)
class Identity:
    """What an iLO says of itself to everyone.

    :ivar generation: 4 for iLO 4; 0 when it does not say.
    :ivar firmware: such as ``2.55``; empty when it does not say.
    """

    protocol: Protocol
    generation: int = 0
    firmware: str = ""


class Known:
    """What iLOs were when they were last asked; whoever finds another one there forgets it."""

    def __init__(self, most: int, seconds: float) -> None:
        self._identities: TTLCache[str, Identity] = TTLCache(most, seconds)
        self._lock = threading.Lock()

    def get(self, authority: str) -> Identity | None:
        with self._lock:
            return self._identities.get(authority)

    def keep(self, authority: str, identity: Identity) -> None:
        with self._lock:
            self._identities[authority] = identity

    def forget(self, authority: str) -> None:
        with self._lock:
            self._identities.pop(authority, None)

    def clear(self) -> None:
        with self._lock:
            self._identities.clear()


KNOWN = Known(most=10_000, seconds=3600)


def identify(endpoint: Endpoint) -> Identity:
    """Find out what an iLO is, or remember it.

    :raises BmcUnreachable: it answers, but as nothing that is known.
    :raises OSError: see ``exchange``.
    """
    found = KNOWN.get(endpoint.authority)
    if found is None:
        found = _ask(endpoint)
        KNOWN.keep(endpoint.authority, found)
    return found


def _ask(endpoint: Endpoint) -> Identity:
    for question in _QUESTIONS:
        try:
            found = question(endpoint)
        except (http.client.HTTPException, AnswerError):
            continue  # some answer what they do not know with nothing at all
        if found is not None:
            return found
    raise no_ilo(f"iLO {endpoint.authority}")


def _ask_xmldata(endpoint: Endpoint) -> Identity | None:
    reply = exchange(endpoint, "GET", "/xmldata?item=all", {}, None)
    return parse_xmldata(reply) if reply.status == HTTPStatus.OK else None


def _ask_redfish(endpoint: Endpoint) -> Identity | None:
    reply = follow(endpoint, "GET", "/redfish/v1/", {"OData-Version": "4.0"}, None)
    return parse_service_root(reply) if reply.status == HTTPStatus.OK else None


def _ask_ribcl(endpoint: Endpoint) -> Identity | None:
    reply = exchange(endpoint, "POST", "/ribcl", {}, _EMPTY_RIBCL)
    speaks = reply.status == HTTPStatus.OK and b"<RIBCL" in reply.body
    return Identity(Protocol.RIBCL) if speaks else None


_QUESTIONS: tuple[Callable[[Endpoint], Identity | None], ...] = (
    _ask_xmldata,
    _ask_redfish,
    _ask_ribcl,
)


def parse_xmldata(reply: Reply) -> Identity | None:
    """Read ``/xmldata?item=all``; ``None``: it is something else."""
    try:
        document = ET.fromstring(reply.body)  # noqa: S314 - expat bounds what entities grow to
        title, firmware = document.findtext("MP/PN", ""), document.findtext("MP/FWRI", "")
        return _identity(title, firmware) if document.tag == "RIMP" else None
    except _ODD:
        return None


def parse_service_root(reply: Reply) -> Identity | None:
    """Read the root of the Redfish service; ``None``: it is no iLO's."""
    try:
        oem = json.loads(reply.body)["Oem"]
        manager = (oem.get("Hpe") or oem["Hp"])["Manager"][0]
        return _identity(manager["ManagerType"], manager["ManagerFirmwareVersion"])
    except _ODD:
        return None


def _identity(title: Any, firmware: Any) -> Identity | None:
    named = _GENERATION.search(title)
    if named is None:
        return None
    generation = int(named[1])
    redfish = generation >= _FIRST_WITH_REDFISH_ALONE
    return Identity(Protocol.REDFISH if redfish else Protocol.RIBCL, generation, str(firmware))
