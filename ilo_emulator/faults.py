"""Faults that can be asked for, to see how a client bears them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

_MOST = 3600
_MOST_BYTES = 1 << 40


class InvalidFaultsError(ValueError):
    """The faults asked for make no sense; the text says which."""


@dataclass(frozen=True)
class Faults:
    """How an iLO misbehaves.

    :ivar slow_s: seconds that every reply takes.
    :ivar silent: it takes requests and never answers.
    :ivar refuse: it closes every connection before a reply.
    :ivar drop: it closes every connection in the middle of a reply.
    :ivar no_license: it has no licence for virtual media.
    :ivar no_privileges: its user may log in and read, and nothing else.
    :ivar post_refusals: how many changes of boot settings it refuses, as if it were in POST.
    :ivar post_s: seconds after each start that POST takes, during which it refuses them.
    :ivar not_ready: how many REST requests it refuses, as if it had just been reset itself.
    :ivar etags_change: no ETag is that of a resource any more by the time that it is sent back.
    :ivar login_delay_s: seconds after a wrong password during which it lets nobody open a session.
    :ivar anonymous_data_off: it tells nobody at ``/xmldata`` what it is.
    :ivar ribcl_disabled: it says to every RIBCL script that RIBCL is disabled.
    :ivar eject_fails: it ejects no virtual media.
    :ivar stale_inserted: seconds after an eject during which it still shows the medium.
    :ivar media_rate: bytes per second at which virtual media come; 0: as fast as they can.
    """

    slow_s: float = 0.0
    silent: bool = False
    refuse: bool = False
    drop: bool = False
    no_license: bool = False
    no_privileges: bool = False
    post_refusals: int = 0
    post_s: float = 0.0
    not_ready: int = 0
    etags_change: bool = False
    login_delay_s: float = 0.0
    anonymous_data_off: bool = False
    ribcl_disabled: bool = False
    eject_fails: bool = False
    stale_inserted: float = 0.0
    media_rate: int = 0

    @classmethod
    def from_json(cls, body: object) -> "Faults":
        """Read faults from a decoded JSON object; those not named are off.

        :raises InvalidFaultsError: it is no object, or a name or a value is wrong.
        """
        if not isinstance(body, Mapping):
            raise InvalidFaultsError("faults must be a JSON object")
        known = {field.name: field.type for field in dataclasses.fields(cls)}
        for name, value in body.items():
            if name not in known:
                raise InvalidFaultsError(f"unknown fault {name!r}; known: {', '.join(known)}")
            _check(name, value, type(getattr(cls, name)))
        return cls(**body)


def _check(name: str, value: object, wanted: type) -> None:
    if wanted is bool:
        if not isinstance(value, bool):
            raise InvalidFaultsError(f"{name} must be true or false")
        return
    allowed: tuple[type, ...] = (int,) if wanted is int else (int, float)
    most = _MOST_BYTES if name == "media_rate" else _MOST
    if isinstance(value, bool) or not isinstance(value, allowed) or not 0 <= value <= most:  # type: ignore[operator]
        raise InvalidFaultsError(f"{name} must be a number from 0 to {most}")
