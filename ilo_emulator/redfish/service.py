"""Redfish requests: slashes at the end of paths, and what all REST services have in common."""

from http import HTTPStatus
from typing import Any

from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish import accounts, manager, root, system
from ilo_emulator.redfish.document import ROOT, facts
from ilo_emulator.redfish.expansion import expand
from ilo_emulator.redfish.old_forms import with_old_forms
from ilo_emulator.rest.message import Document, Problem, Reply, Request, written
from ilo_emulator.rest.resources import ROOT as REST_ROOT
from ilo_emulator.rest.service import Service
from ilo_emulator.rest.sessions import Sessions

_LINKS = ("@odata.id", "target", "href")
_WITH_BODY = ("POST", "PATCH")


class RedfishService:
    """The Redfish service of one iLO."""

    def __init__(self, ilo: Ilo, sessions: Sessions) -> None:
        self._how = facts(ilo)
        self._may = sessions.may
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
            return _moved(request.path)
        if request.method in _WITH_BODY and request.body and not _is_json(request):
            return self._refuse_body(request)
        reply = await self._service.answer(request)
        document = self._in_its_form(request, self._expanded(request, reply))
        return Reply(reply.status, _with_slashes(document, slash=slash), reply.headers)

    async def redirect(self, request: Request) -> Reply:
        """Send a client of ``/rest/v1`` to the same place in Redfish."""
        return _moved(f"{ROOT}{request.path[len(REST_ROOT) :]}")

    def _expanded(self, request: Request, reply: Reply) -> Document:
        asked = request.method == "GET" and "$expand" in request.query
        # What a stranger sees has links to what he is not to see.
        if asked and self._how.expands and reply.status == HTTPStatus.OK and self._may(request):
            return expand(reply.document, self._service.read)
        return reply.document

    def _in_its_form(self, request: Request, document: Document) -> Document:
        """Show an iLO 4's document, or error, in the form for a client, or in both."""
        if not self._how.registries.legacy:
            return document
        error = {"error": document["error"]} if "error" in document else None
        if "odata-version" in request.headers:
            return error or document
        return document if error else with_old_forms(document)

    def _refuse_body(self, request: Request) -> Reply:
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        problem = Problem("MalformedJSON", status=status)
        error = written(problem.message, self._how.registries)
        return Reply(status, self._in_its_form(request, error))


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
