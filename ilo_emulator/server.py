"""The iLO's web server: framing as an iLO does it, and the faults of the wire."""

import asyncio
import json
from collections.abc import Iterator

from aiohttp import web

from ilo_emulator import xmldata
from ilo_emulator.ilo import Ilo
from ilo_emulator.profile import Ribcl
from ilo_emulator.rest.resources import ROOT
from ilo_emulator.rest.service import Request, RestService
from ilo_emulator.ribcl.session import answer

_HEADERS = {
    "Server": "Allegro-Software-RomPager/4.62",
    "Cache-Control": "no-cache",
    "Expires": "Thu, 26 Oct 1995 00:00:00 GMT",
}
_REST_HEADERS = {"Server": "HP-iLO-Server/1.30", "Content-Type": "application/json"}
# No multiple of a line's length: an iLO's chunks end in the middle of tags.
_CHUNK = 199
_POLL_SECONDS = 0.1


class IloServer:
    """What one iLO answers over HTTPS."""

    def __init__(self, ilo: Ilo) -> None:
        self._ilo = ilo
        self._rest = RestService(ilo)

    def application(self) -> web.Application:
        """Make the web application."""
        application = web.Application()
        if self._ilo.profile.ribcl is not Ribcl.ABSENT:
            application.router.add_post("/ribcl", self._ribcl)
        application.router.add_get("/xmldata", self._xmldata)
        if self._ilo.profile.rest:
            application.router.add_route("*", f"{ROOT}{{rest:(/.*)?}}", self._serve_rest)
        return application

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

    async def _serve_rest(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        await self._hesitate(request)
        asked = Request(request.method, request.path, request.headers, body)
        reply = await self._rest.answer(asked)
        response = web.StreamResponse(
            status=reply.status, headers={**_REST_HEADERS, **reply.headers}
        )
        return await self._send(request, response, json.dumps(reply.document).encode())

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
