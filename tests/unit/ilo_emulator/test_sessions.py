"""Sessions of the REST services: how many there can be, and how long."""

from pathlib import Path

import pytest

from ilo_emulator.config import load
from ilo_emulator.rest.message import Request
from ilo_emulator.rest.sessions import IDLE_SECONDS, Sessions, TooManySessions
from tests.unit.ilo_emulator.conftest import CONFIG


class Clock:
    """Stands still but when it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(tmp_path: Path, clock: Clock) -> Sessions:
    (tmp_path / "lab.toml").write_text(CONFIG)
    return Sessions(load(tmp_path / "lab.toml").servers[0], 2, clock)


def with_token(token: str) -> Request:
    return Request("GET", "/redfish/v1/Systems", {"x-auth-token": token}, b"")


def test_there_is_a_limit_and_a_logout_makes_room(sessions: Sessions):
    first, _ = sessions.open()
    sessions.open()
    with pytest.raises(TooManySessions):
        sessions.open()
    sessions.end(first)
    sessions.open()
    assert len(sessions.names()) == 2


def test_a_session_ends_when_it_is_not_used(sessions: Sessions, clock: Clock):
    _, used = sessions.open()
    _, idle = sessions.open()
    clock.now = IDLE_SECONDS - 1
    assert sessions.may(with_token(used))
    clock.now = IDLE_SECONDS
    assert not sessions.may(with_token(idle))
    assert sessions.may(with_token(used))
    assert len(sessions.names()) == 1


def test_all_can_end_at_once(sessions: Sessions):
    _, token = sessions.open()
    sessions.clear()
    assert not sessions.may(with_token(token))


def test_tokens_are_not_shown(sessions: Sessions):
    _, token = sessions.open()
    assert token not in repr(vars(sessions))
