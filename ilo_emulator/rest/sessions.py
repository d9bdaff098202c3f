"""Who has logged in: sessions, limited in number and time, and HTTP's Basic login."""

import base64
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ilo_emulator.config import ServerConfig
from ilo_emulator.rest.message import Request

#: Seconds without a request after which a session ends, as an iLO is delivered.
IDLE_SECONDS = 1800


class TooManySessions(Exception):
    """There is no place for another session."""


@dataclass
class _Session:
    token: str = field(repr=False)
    used_at: float


class Sessions:
    """The sessions of one iLO.

    :param limit: how many there can be at a time.
    """

    def __init__(
        self, server: ServerConfig, limit: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._server = server
        self._limit = limit
        self._clock = clock
        self._sessions: dict[str, _Session] = {}

    def names(self) -> list[str]:
        """Name the sessions that there are."""
        self._expire()
        return list(self._sessions)

    def open(self) -> tuple[str, str]:
        """Open a session: its name and its token.

        :raises TooManySessions: there is no place for it.
        """
        self._expire()
        if len(self._sessions) >= self._limit:
            raise TooManySessions
        name, token = secrets.token_hex(8), secrets.token_hex(16)
        self._sessions[name] = _Session(token, self._clock())
        return name, token

    def end(self, name: str) -> None:
        """End a session."""
        del self._sessions[name]

    def clear(self) -> None:
        """End all sessions."""
        self._sessions.clear()

    def may(self, request: Request) -> bool:
        """Tell whether a request is logged in. A wrong token is not mended by a password."""
        token = request.headers.get("x-auth-token")
        if token is not None:
            return self._use(token)
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            username, _, password = base64.b64decode(encoded).decode().partition(":")
        except ValueError:
            return False
        return self.knows(username, password)

    def knows(self, username: str, password: str) -> bool:
        """Tell whether a login is right."""
        return username == self._server.username and _same(password, self._server.password)

    def _use(self, token: str) -> bool:
        self._expire()
        for session in self._sessions.values():
            if _same(token, session.token):
                session.used_at = self._clock()
                return True
        return False

    def _expire(self) -> None:
        oldest = self._clock() - IDLE_SECONDS
        self._sessions = {
            name: session for name, session in self._sessions.items() if session.used_at > oldest
        }


def _same(given: str, wanted: str) -> bool:
    # Headers that are no UTF-8 come with surrogates.
    return hmac.compare_digest(given.encode(errors="surrogateescape"), wanted.encode())
