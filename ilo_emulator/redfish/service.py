"""Redfish requests: slashes at the end of paths, and what all REST services have in common."""

from http import HTTPStatus
from typing import Any

from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish import accounts, manager, root, system
from ilo_emulator.redfish.document import ROOT, facts
from ilo_emulator.rest.message import Problem, Reply, Request, written
from ilo_emulator.rest.resources import ROOT as REST_ROOT
from ilo_emulator.rest.service import Service
from ilo_emulator.rest.sessions import Sessions

_LINKS = ("@odata.id", "target")
_WITH_BODY = ("POST", "PATCH")


class RedfishService:
    """The Redfish service of one iLO."""

    def __init__(self, ilo: Ilo, sessions: Sessions) -> None:
        self._ilo = ilo
        self._how = facts(ilo)
        tree = {
            **root.tree(sessions),
            **accounts.tree(),
            **system.tree(ilo),
            **manager.tree(ilo, sessions),
        }
        self._service = Service(ilo, tree, sessions, root.SESSIONS, self._how.registries)

    async def answer(self, request: Request) -> Reply:
        """Carry out a request."""
        slash = request.path.endswith("/")
        if request.path.rstrip("/").lower() == ROOT.rpartition("/")[0]:
            return Reply(HTTPStatus.OK, {"v1": f"{ROOT}/"})
        if self._how.needs_slash and not slash:
            self._ilo.record(f"{request.method} {request.path} redirected")
            return _moved(request.path)
        if request.method in _WITH_BODY and request.body and not _is_json(request):
            return self._refuse_body()
        reply = await self._service.answer(request)
        return Reply(reply.status, _with_slashes(reply.document, slash=slash), reply.headers)

    async def redirect(self, request: Request) -> Reply:
        """Send a client of ``/rest/v1`` to the same place in Redfish."""
        return _moved(f"{ROOT}{request.path[len(REST_ROOT) :]}")

    def _refuse_body(self) -> Reply:
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        problem = Problem("MalformedJSON", status=status)
        return Reply(status, written(problem.message, self._how.registries))


def _moved(path: str) -> Reply:
    place = {"Location": f"{path.rstrip('/')}/"}
    return Reply(HTTPStatus.PERMANENT_REDIRECT, {}, place)


def _is_json(request: Request) -> bool:
    return "json" in request.headers.get("content-type", "")


def _with_slashes(value: Any, *, slash: bool) -> Any:
    """Write links in the form in which the document was asked for, as an iLO does."""
    if isinstance(value, list):
        return [_with_slashes(each, slash=slash) for each in value]
    if not isinstance(value, dict):
        return value
    end = "/" if slash else ""
    return {
        name: f"{content}{end}" if name in _LINKS else _with_slashes(content, slash=slash)
        for name, content in value.items()
    }
