"""A REST request from its parts to the parts of its reply: login, method, errors."""

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ilo_emulator import state
from ilo_emulator.ilo import Ilo
from ilo_emulator.rest import resources

# The registry's names of what can go wrong (HPE iLO 4 REST API, "Error messages").
_MESSAGES: dict[type[state.Refusal], str] = {
    state.InvalidValue: "Base.0.10.PropertyValueNotInList",
    state.NotInLegacyMode: "iLO.0.10.UnsupportedOperationInLegacyBootMode",
    state.MachineFailed: "Base.0.10.InternalError",
    state.ServerIsOff: "iLO.0.10.InvalidOperationForSystemState",
    state.PostInProgress: "iLO.0.10.UnableToModifyDuringSystemPOST",
}
_SUCCESS = "Base.0.10.Success"


@dataclass(frozen=True)
class Request:
    """One request. Header names are matched whatever their letter case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Reply:
    """One reply; the document is sent as JSON."""

    status: HTTPStatus
    document: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class RestService:
    """The REST service of one iLO, and its sessions."""

    def __init__(self, ilo: Ilo) -> None:
        self._ilo = ilo
        self._sessions: dict[str, str] = {}

    async def answer(self, request: Request) -> Reply:
        """Carry out a request."""
        self._ilo.record(f"{request.method} {request.path}")
        place = request.path.rstrip("/").lower()
        if request.method == "POST" and place == resources.SESSIONS.lower():
            return self._log_in(request)
        if not self._may(request):
            return _message(HTTPStatus.UNAUTHORIZED, "Base.0.10.NoValidSession")
        if request.method == "DELETE" and place.startswith(f"{resources.SESSIONS.lower()}/"):
            return self._log_out(place.rpartition("/")[2])
        resource = resources.find(request.path)
        if resource is None:
            return _message(HTTPStatus.NOT_FOUND, "Base.0.10.MalformedURL")
        return await self._use(resource, request)

    async def _use(self, resource: resources.Resource, request: Request) -> Reply:
        if request.method == "GET":
            allow = {"Allow": ", ".join(resource.methods)}
            return Reply(HTTPStatus.OK, resource.read(self._ilo), allow)
        if request.method not in resource.methods:
            return _message(HTTPStatus.METHOD_NOT_ALLOWED, "Base.0.10.ActionNotSupported")
        try:
            change = resource.patch if request.method == "PATCH" else resource.act
            await change(self._ilo, _read_object(request.body))
        except ValueError:
            return _message(HTTPStatus.BAD_REQUEST, "Base.0.10.MalformedJSON")
        except resources.UnknownProperty:
            return _message(HTTPStatus.BAD_REQUEST, "Base.0.10.PropertyNotWritableOrUnknown")
        except state.Refusal as refusal:
            return _message(HTTPStatus.BAD_REQUEST, _MESSAGES[type(refusal)])
        return _message(HTTPStatus.OK, _SUCCESS)

    def _log_in(self, request: Request) -> Reply:
        try:
            login = _read_object(request.body)
        except ValueError:
            return _message(HTTPStatus.BAD_REQUEST, "Base.0.10.MalformedJSON")
        if not self._knows(str(login.get("UserName")), str(login.get("Password"))):
            return _message(HTTPStatus.BAD_REQUEST, "iLO.0.10.UnauthorizedLoginAttempt")
        name, token = secrets.token_hex(8), secrets.token_hex(16)
        self._sessions[name] = token
        headers = {"X-Auth-Token": token, "Location": f"{resources.SESSIONS}/{name}"}
        return _message(HTTPStatus.CREATED, "Base.0.10.Created", headers)

    def _log_out(self, name: str) -> Reply:
        if self._sessions.pop(name, None) is None:
            return _message(HTTPStatus.NOT_FOUND, "Base.0.10.MalformedURL")
        return _message(HTTPStatus.OK, _SUCCESS)

    def _may(self, request: Request) -> bool:
        headers = {name.lower(): value for name, value in request.headers.items()}
        token = headers.get("x-auth-token")
        if token is not None:
            return any(_same(token, known) for known in self._sessions.values())
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            username, _, password = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return self._knows(username, password)

    def _knows(self, username: str, password: str) -> bool:
        server = self._ilo.server
        return username == server.username and _same(password, server.password)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _read_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    :raises ValueError: it is none.
    """
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one error for what is no object
    return document


def _message(status: HTTPStatus, name: str, headers: dict[str, str] | None = None) -> Reply:
    """Write a message as iLO 4 does: for its older clients and for Redfish's at once."""
    listed = [{"MessageID": name}]
    error = {
        "code": "iLO.0.10.ExtendedInfo",
        "message": "See @Message.ExtendedInfo for more information.",
        "@Message.ExtendedInfo": listed,
    }
    document = {
        "Type": "ExtendedError.1.0.0",
        "Name": "Extended Error Information",
        "Messages": listed,
        "error": error,
    }
    return Reply(status, document, headers or {})
