"""The iLO's web server: framing as an iLO does it, and the faults of the wire."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web

from ilo_emulator import xmldata
from ilo_emulator.ilo import Ilo
from ilo_emulator.profile import Redfish, Rest, Ribcl
from ilo_emulator.redfish.service import RedfishService
from ilo_emulator.rest import resources
from ilo_emulator.rest.message import Reply, Request
from ilo_emulator.rest.service import Service
from ilo_emulator.rest.sessions import Sessions
from ilo_emulator.ribcl.session import answer

_HEADERS = {
    "Server": "Allegro-Software-RomPager/4.62",
    "Cache-Control": "no-cache",
    "Expires": "Thu, 26 Oct 1995 00:00:00 GMT",
}
# No multiple of a line's length: an iLO's chunks end in the middle of tags.
_CHUNK = 199
_POLL_SECONDS = 0.1

_Answer = Callable[[Request], Awaitable[Reply]]


class IloServer:
    """What one iLO answers over HTTPS."""

    def __init__(self, ilo: Ilo) -> None:
        self._ilo = ilo

    def application(self) -> web.Application:
        """Make the web application."""
        application = web.Application()
        if self._ilo.profile.ribcl is not Ribcl.ABSENT:
            application.router.add_post("/ribcl", self._ribcl)
        application.router.add_get("/xmldata", self._xmldata)
        if self._ilo.profile.redfish is not None:
            self._add_services(application, self._ilo.profile.redfish)
        return application

    def _add_services(self, application: web.Application, facts: Redfish) -> None:
        """Add the REST services, which have their sessions in common."""
        sessions = Sessions(self._ilo.server, facts.sessions)
        redfish = RedfishService(self._ilo, sessions)
        tree, place = resources.TREE, resources.SESSIONS
        rest = Service(self._ilo, tree, sessions, place, facts.registries)
        answers = {Rest.SERVED: rest.answer, Rest.MOVED: redfish.redirect}
        self._add(application, "redfish", redfish.answer, facts)
        if self._ilo.profile.rest in answers:
            self._add(application, "rest/v1", answers[self._ilo.profile.rest], facts)

    def _add(
        self, application: web.Application, root: str, answer: _Answer, facts: Redfish
    ) -> None:
        """Let a service answer to all below a path, whatever its letter case."""
        headers = {"Server": facts.server_header, "Content-Type": "application/json"}

        async def serve(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            await self._hesitate(request)
            given = {name.lower(): value for name, value in request.headers.items()}
            asked = Request(request.method, request.path, given, body, request.query)
            reply = await answer(asked)
            response = web.StreamResponse(
                status=reply.status, headers={**headers, **reply.headers}
            )
            return await self._send(request, response, json.dumps(reply.document).encode())

        application.router.add_route("*", f"/{{path:(?i:{root})(/.*)?}}", serve)

    async def _ribcl(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        await self._hesitate(request)
        return await self._send_xml(request, "text/xml", await answer(self._ilo, body))

    async def _xmldata(self, request: web.Request) -> web.StreamResponse:
        documents = {"all": xmldata.everything, "cpqkey": xmldata.license_key}
        item = request.query.get("item", "").lower()
        await self._hesitate(request)
        if item not in documents:
            raise web.HTTPNotFound
        document = documents[item](self._ilo).encode()
        return await self._send_xml(request, "application/xml", document)

    async def _hesitate(self, request: web.Request) -> None:
        """Apply the faults that keep a request from being carried out."""
        if self._ilo.faults.refuse:
            _cut(request)
        elif not self._ilo.faults.silent:
            return
        while request.transport is not None:  # until the client gives up
            await asyncio.sleep(_POLL_SECONDS)
        raise web.HTTPServiceUnavailable  # to nobody

    async def _send_xml(
        self, request: web.Request, content_type: str, body: bytes
    ) -> web.StreamResponse:
        headers = {**_HEADERS, "Content-Type": content_type}
        return await self._send(request, web.StreamResponse(headers=headers), body)

    async def _send(
        self, request: web.Request, response: web.StreamResponse, body: bytes
    ) -> web.StreamResponse:
        """Answer in chunks and close: python-hpilo reads no other framing."""
        faults = self._ilo.faults
        await asyncio.sleep(faults.slow_s)
        response.enable_chunked_encoding()
        response.force_close()
        await response.prepare(request)
        for chunk in _chunks(body[: len(body) // 2] if faults.drop else body):
            await response.write(chunk)
        if faults.drop:
            _cut(request)
        else:
            await response.write_eof()
        return response


def _chunks(body: bytes) -> Iterator[bytes]:
    return (body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK))


def _cut(request: web.Request) -> None:
    """Break the connection off."""
    if request.transport is not None:
        request.transport.abort()
