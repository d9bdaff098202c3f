"""The checks of the object store: publish something, read it as an iLO does, remove it again."""

import contextlib
import os
import pwd
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from ironic_ilo.check.fetch import Answer, Remote
from ironic_ilo.check.findings import Check, Group, Verdict, ok, warning
from ironic_ilo.exception import InvalidInput, StoreError
from ironic_ilo.object_store import ObjectStore

_SIZE = 4096
# The middle of it.
_OFFSET, _COUNT = 1024, 512
# It goes by itself when this process is killed.
_LIFETIME_SECONDS = 600
_SECONDS_CLOCKS_MAY_DIFFER = 60


@dataclass(frozen=True)
class Place:
    """Where images are published.

    :ivar description: for people.
    :ivar open: opens it; raises ``Error`` when it cannot be used.
    :ivar verify: the CA file, or whether to verify certificates, when its URLs are read.
    """

    description: str
    container: str
    open: Callable[[], ObjectStore]
    verify: bool | str = True


def make_group(place: Place, seconds: float) -> Group:
    """Make the checks of a store.

    :param seconds: for each answer.
    """
    examination = _Examination(place, seconds)
    checks = [
        Check("store", examination.open),
        Check("store-publish", examination.publish, needs=["store"]),
        Check("store-ranges", examination.read_ranges, needs=["store-publish"]),
        Check("store-remove", examination.remove, needs=["store-publish"]),
    ]
    return Group(checks, examination.close)


class _Examination:
    """One object in a store; each method is one check."""

    _store: ObjectStore
    _remote: Remote

    def __init__(self, place: Place, seconds: float) -> None:
        self._place = place
        self._seconds = seconds
        self._name = f"check-{secrets.token_hex(8)}"
        self._content = secrets.token_bytes(_SIZE)
        self._is_stored = False

    def close(self) -> None:
        """Remove what may be left when a check failed; what cannot be removed expires."""
        if self._is_stored:
            with contextlib.suppress(StoreError):
                self._delete()

    def open(self) -> Verdict:
        self._store = self._place.open()
        return ok(self._place.description)

    def publish(self) -> Verdict:
        container = self._place.container
        with tempfile.NamedTemporaryFile(prefix="ironic-ilo-check-") as file:
            file.write(self._content)
            file.flush()
            self._is_stored = True
            self._store.upload_object(
                container, self._name, Path(file.name), delete_after=_LIFETIME_SECONDS
            )
        url = self._store.get_tmp_url(container, self._name, _LIFETIME_SECONDS, suffix=".img")
        self._remote = Remote(url, verify=self._place.verify, seconds=self._seconds)
        return ok(f"{_SIZE} bytes as {container}/{self._name}, with a URL at {self._remote.place}")

    def read_ranges(self) -> Verdict:
        length = self._remote.head().headers.get("Content-Length")
        if length != str(_SIZE):
            raise StoreError(f"{self._remote.place} says that {_SIZE} bytes are {length}")
        answer = self._remote.ask_range(_OFFSET, _COUNT)
        if answer.body != self._content[_OFFSET : _OFFSET + _COUNT]:
            raise StoreError(
                f"{self._remote.place} serves other bytes than were stored",
                hint="Something in between changes them: look for proxies and caches.",
            )
        return _judge_clock(answer, self._remote.place, time.time())

    def remove(self) -> Verdict:
        self._delete()
        return ok("removed")

    def _delete(self) -> None:
        self._store.delete_object(self._place.container, self._name)
        self._is_stored = False


def check_owner(directory: Path) -> None:
    """Check that we are the user whose image server serves a directory.

    What another user publishes there, root included, it cannot read.

    :raises InvalidInput: we are not.
    :raises StoreError: the directory cannot be found.
    """
    try:
        owner = directory.stat().st_uid
    except OSError as error:
        raise StoreError(
            f"{directory} of [ilo]web_store_root cannot be used ({error.strerror})",
            hint="Start 'ironic-ilo serve-images', which makes it, and run this as its user.",
        ) from None
    if owner != os.geteuid():
        name = _name_user(owner)
        raise InvalidInput(
            f"{directory} of [ilo]web_store_root belongs to {name}, and this runs as "
            f"{_name_user(os.geteuid())}",
            hint=f"Run this as {name}: sudo -u {name} ironic-ilo check ...",
        )


def _name_user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"


def _judge_clock(answer: Answer, place: str, now: float) -> Verdict:
    """Judge the clock of a server, by which URLs expire."""
    seen = f"{place} serves HTTP ranges"
    try:
        ahead = parsedate_to_datetime(answer.headers["Date"]).timestamp() - now
    except (KeyError, ValueError):
        return ok(seen)
    if abs(ahead) > _SECONDS_CLOCKS_MAY_DIFFER:
        direction = "ahead" if ahead > 0 else "behind"
        return warning(
            f"{seen}; its clock is {abs(ahead):.0f} s {direction}",
            "URLs expire by its clock: set both by NTP.",
        )
    return ok(seen)
