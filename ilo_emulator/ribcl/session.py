"""A RIBCL script from its bytes to the bytes of its reply."""

import hmac

from ilo_emulator.ilo import Ilo
from ilo_emulator.profile import Ribcl
from ilo_emulator.ribcl.commands import SyntaxProblem, execute
from ilo_emulator.ribcl.reply import DONE, Document, render, tag
from ilo_emulator.ribcl.request import Login, MalformedRequest, Request, parse

_LOGIN_FAILED = Document(0x005F, "Login failed.")
_USER_UNKNOWN = Document(0x000A, "User login name was not found.")
# Spelled as Ironic met it on iLO 6; the number is our own.
_DISABLED = Document(0x0001, "Error: RIBCLI is disabled.")
_NO_LOGIN = (
    DONE,
    Document(payload=tag("INFORM", "Scripting utility should be updated to the latest version.")),
)


async def answer(ilo: Ilo, body: bytes) -> bytes:
    """Carry out a script and write the reply: one document for each tag that opens or closes."""
    return render(await _documents(ilo, body), ilo.profile.ribcl_version)


async def _documents(ilo: Ilo, body: bytes) -> list[Document]:
    if ilo.ribcl is Ribcl.DISABLED:
        return [_DISABLED]
    try:
        request = parse(body)
    except MalformedRequest as problem:
        return [DONE, _syntax_error(str(problem))]
    if request.login is None:
        return list(_NO_LOGIN)
    refused = _refused(ilo, request.login)
    if refused is not None:
        ilo.record("LOGIN refused")
        return [DONE, refused]
    return [DONE, DONE, *await _carry_out(ilo, request)]


async def _carry_out(ilo: Ilo, request: Request) -> list[Document]:
    """Answer to all tags within LOGIN, and to the closing ones; an unknown tag is the end."""
    documents = []
    for block in request.blocks:
        documents.append(DONE)
        for command in block:
            try:
                documents.append(await execute(ilo, command))
            except SyntaxProblem as unknown:
                return [*documents, _syntax_error(str(unknown))]
        documents.append(DONE)
    return [*documents, DONE, DONE]


def _refused(ilo: Ilo, login: Login) -> Document | None:
    if login.username != ilo.server.username:
        return _USER_UNKNOWN
    wanted = ilo.server.password.encode()
    if any(hmac.compare_digest(given.encode(), wanted) for given in login.passwords):
        return None
    return _LOGIN_FAILED


def _syntax_error(place: str) -> Document:
    return Document(0x0001, f'Syntax error: Line #0: syntax error near "{place}" in the line.')
