"""A REST request from its parts to the parts of its reply: login, method, errors."""

from http import HTTPStatus

from ilo_emulator import state
from ilo_emulator.ilo import Ilo
from ilo_emulator.profile import Registries
from ilo_emulator.rest.message import (
    BASE,
    CREATED,
    ILO,
    SESSION_TERMINATED,
    SUCCESS,
    Document,
    Message,
    Problem,
    Reply,
    Request,
    written,
)
from ilo_emulator.rest.resource import Resource, Tree, check_etag, etag, read_object
from ilo_emulator.rest.sessions import Sessions, TooManySessions

_BAD, _FAILED = HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR
# The registries' names of what can go wrong (HPE's iLO RESTful API, "Error messages"). Those for a
# wrong ETag and a body that does not say that it is JSON are our own.
_MESSAGES: dict[type[state.Refusal], Message] = {
    refusal: Message(status, registry, name)
    for refusal, status, registry, name in (
        (state.InvalidValue, _BAD, BASE, "PropertyValueNotInList"),
        (state.NotInLegacyMode, _BAD, ILO, "UnsupportedOperationInLegacyBootMode"),
        (state.PostInProgress, _BAD, ILO, "UnableToModifyDuringSystemPOST"),
        (state.LicenseMissing, _BAD, ILO, "LicenseKeyRequired"),
        (state.DriveOccupied, _BAD, ILO, "MaxVirtualMediaConnectionEstablished"),
        (state.NoMedium, _BAD, ILO, "NoVirtualMediaConnectionAvailable"),
        (state.ServerIsOff, _BAD, ILO, "InvalidOperationForSystemState"),
        (state.MachineFailed, _FAILED, BASE, "InternalError"),
    )
}


class Service:
    """The REST service of one iLO.

    :param tree: the resources by their paths.
    :param place: the path of the collection of sessions.
    """

    def __init__(
        self, ilo: Ilo, tree: Tree, sessions: Sessions, place: str, registries: Registries
    ) -> None:
        self._ilo = ilo
        self._tree = {path.lower(): resource for path, resource in tree.items()}
        self._sessions = sessions
        self._place = place
        self._registries = registries

    async def answer(self, request: Request) -> Reply:
        """Carry out a request; letter case of the path and a slash at its end do not matter."""
        self._ilo.record(f"{request.method} {request.path}")
        try:
            return await self._answer(request, request.path.rstrip("/").lower())
        except Problem as problem:
            return self._say(problem.message)
        except state.Refusal as refusal:
            return self._say(_MESSAGES[type(refusal)])

    async def _answer(self, request: Request, path: str) -> Reply:
        if request.method == "POST" and path == self._place.lower():
            return self._log_in(request)
        resource = self._tree.get(path)
        if not (resource and resource.public) and not self._sessions.may(request):
            raise Problem("NoValidSession", status=HTTPStatus.UNAUTHORIZED)
        place, _, name = path.rpartition("/")
        if place == self._place.lower() and name in self._sessions.names():
            resource = self._session(name)
            if request.method == "DELETE":
                return self._log_out(name)
        if resource is None:
            raise Problem("ResourceMissingAtURI", request.path, status=HTTPStatus.NOT_FOUND)
        return await self._use(resource, request)

    async def _use(self, resource: Resource, request: Request) -> Reply:
        if request.method not in resource.methods:
            raise Problem("ActionNotSupported", status=HTTPStatus.METHOD_NOT_ALLOWED)
        if request.method == "GET":
            return self._show(resource)
        values = read_object(request.body)
        if request.method == "POST":
            assert resource.act is not None  # noqa: S101 - as its methods say
            await resource.act(self._ilo, values)
            return self._say(SUCCESS)
        assert resource.read is not None  # noqa: S101 - what can be changed can be read
        check_etag(request.headers.get("if-match"), resource.read(self._ilo))
        await resource.patch(self._ilo, values)
        return self._say(resource.changed)

    def read(self, path: str) -> Document:
        """Read the document that a link leads to."""
        name = path.rpartition("/")[2]
        is_session = path == f"{self._place}/{name}"
        return self._read(self._session(name) if is_session else self._tree[path.lower()])

    def _read(self, resource: Resource) -> Document:
        assert resource.read is not None  # noqa: S101 - as its methods, or links to it, say
        document = resource.read(self._ilo)
        return {"@odata.etag": f'W/"{etag(document)}"', **document}

    def _show(self, resource: Resource) -> Reply:
        document = self._read(resource)
        headers = {"Allow": ", ".join(resource.methods), "ETag": document["@odata.etag"]}
        return Reply(HTTPStatus.OK, document, headers)

    def _log_in(self, request: Request) -> Reply:
        login = read_object(request.body)
        if not self._sessions.knows(str(login.get("UserName")), str(login.get("Password"))):
            raise Problem("UnauthorizedLoginAttempt", registry=ILO)
        try:
            name, token = self._sessions.open()
        except TooManySessions:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            raise Problem("SessionLimitExceeded", status=status) from None
        place = f"https://{request.headers.get('host', '')}{self._place}/{name}/"
        return self._say(CREATED, {"X-Auth-Token": token, "Location": place})

    def _session(self, name: str) -> Resource:
        document = {
            "@odata.id": f"{self._place}/{name}",
            "@odata.type": "#Session.v1_0_0.Session",
            "Id": name,
            "Name": "User Session",
            "UserName": self._ilo.server.username,
        }
        return Resource(lambda _: document)

    def _log_out(self, name: str) -> Reply:
        self._sessions.end(name)
        return self._say(SESSION_TERMINATED)

    def _say(self, message: Message, headers: dict[str, str] | None = None) -> Reply:
        return Reply(message.status, written(message, self._registries), headers or {})
