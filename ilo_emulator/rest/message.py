"""Requests, replies, and the messages of HPE's registries that replies carry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ilo_emulator.profile import Registries

Document = dict[str, Any]

BASE = "Base"
ILO = "iLO"


@dataclass(frozen=True)
class Request:
    """One request. Header names are in lower case.

    :ivar query: the options in the URL, by their names.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Reply:
    """One reply; the document is sent as JSON."""

    status: HTTPStatus
    document: Document
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Message:
    """What a reply says of a request.

    :ivar registry: that knows the name: ``BASE`` or ``ILO``.
    :ivar args: what the registry's text about it has places for.
    """

    status: HTTPStatus
    registry: str
    name: str
    args: tuple[str, ...] = ()


SUCCESS = Message(HTTPStatus.OK, BASE, "Success")
CREATED = Message(HTTPStatus.CREATED, BASE, "Created")
SESSION_TERMINATED = Message(HTTPStatus.OK, BASE, "SessionTerminated")
RESET_REQUIRED = Message(HTTPStatus.OK, ILO, "SystemResetRequired")


class Problem(Exception):
    """A request that cannot be carried out; nothing has been done."""

    def __init__(
        self,
        name: str,
        *args: str,
        registry: str = BASE,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
    ) -> None:
        super().__init__(name)
        self.message = Message(status, registry, name, args)


def written(message: Message, registries: Registries) -> Document:
    """Write a message: in Redfish's form, and before it in that of HPE's first API if need be.

    An iLO gives neither text nor severity: those stand in the registry.
    """
    registry = {BASE: registries.base, ILO: registries.ilo}[message.registry]
    key = "MessageID" if registries.legacy else "MessageId"
    entry: Document = {key: f"{registry}.{message.name}"}
    if message.args:
        entry["MessageArgs"] = list(message.args)
    error = {
        "code": "iLO.0.10.ExtendedInfo",
        "message": "See @Message.ExtendedInfo for more information.",
        "@Message.ExtendedInfo": [entry],
    }
    if not registries.legacy:
        return {"error": error}
    return {
        "Type": "ExtendedError.1.0.0",
        "Name": "Extended Error Information",
        "Messages": [entry],
        "error": error,
    }
