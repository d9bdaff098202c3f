"""Which temporary URLs have been read from: an empty file for each, beside the objects.

``<object>.<expires>`` is there from when a conductor makes the URL. It is of the year 1970 until
the image server, maybe on another machine, serves the URL for the first time, and of that moment
ever after. The name tells the URLs of an object apart, and grants nothing: no signature is in it.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_NEVER = 0


class FetchMarks:
    """The marks in one directory, which need not exist. Methods raise ``OSError``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def create(self, name: str, expires: int) -> int:
        """Make the mark of a new URL of an object.

        :param expires: when the URL is to expire, in seconds since the epoch.
        :returns: when it has to: that, or as little later as no other URL of the object does.
        """
        self._directory.mkdir(mode=0o700, exist_ok=True)
        while not self._try_create(self._path(name, expires)):
            expires += 1
        return expires

    def note_fetch(self, name: str, expires: int, now: float) -> None:
        """Note that a URL is read from; only the first time counts.

        Without a mark, it is one of before there were any.
        """
        path = self._path(name, expires)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime == _NEVER:
                os.utime(path, (now, now))

    def fetched_at(self, name: str, expires: int) -> float | None:
        """Tell when a URL was first read from; ``None``: not yet, or it has no mark any more."""
        try:
            return self._path(name, expires).stat().st_mtime or None
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove the marks of an object."""
        for path, owner, _expires in self._all():
            if owner == name:
                path.unlink(missing_ok=True)

    def remove_expired(self, before: float) -> None:
        """Remove the marks of URLs that expired before a moment, in seconds since the epoch."""
        for path, _owner, expires in self._all():
            if expires < before:
                path.unlink(missing_ok=True)

    @staticmethod
    def _try_create(path: Path) -> bool:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return False
        os.utime(path, (_NEVER, _NEVER))
        return True

    def _path(self, name: str, expires: int) -> Path:
        return self._directory / f"{name}.{expires}"

    def _all(self) -> Iterator[tuple[Path, str, int]]:
        for path in list(self._directory.iterdir()) if self._directory.is_dir() else []:
            owner, _dot, expires = path.name.rpartition(".")
            if expires.isdecimal():  # NFS has files of its own
                yield path, owner, int(expires)
