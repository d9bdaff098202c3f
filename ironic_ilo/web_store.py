"""The embedded object store: a directory, published by ``ironic-ilo serve-images``.

Conductors and image servers share the directory, all as the same user. Of each container::

    <root>/<container>/entries/<object>           JSON: what is stored under this name
                       contents/<object>.<etag>   the bytes; the ETag is their SHA-256
                       incoming/<random>          files on their way to either
                       fetched/<object>.<expires> whether a URL was read from: ``fetch_marks``
                       lock                       held (flock) by whoever changes the others

Every file appears by a rename, the content before the entry that names it, and is forgotten in
the reverse order. So a reader needs no lock, and a crash leaves nothing worse than a file that no
entry names, which ``sweep`` removes. It holds secrets: nobody else can enter or read any of it.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import math
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ironic_ilo.exception import InvalidInput, StoreError
from ironic_ilo.fetch_marks import FetchMarks
from ironic_ilo.object_store import ObjectInfo
from ironic_ilo.signed_path import NAME, PathSigner, parse_path

LOG = logging.getLogger(__name__)

_SECONDS_TO_LOCK = 60.0
_SECONDS_BETWEEN_TRIES = 0.01
_ABANDONED_SECONDS = 3600.0  # a running upload writes more often than this
# Conductors ask whether a URL was read from soon after it has expired, if not before.
_MARK_SECONDS = 24 * 3600.0
_CHUNK_BYTES = 1024 * 1024

# What Swift can hold as headers, and hands back unchanged.
_METADATA_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}", re.ASCII)
_METADATA_VALUE = re.compile(r"[ -~]{0,255}", re.ASCII)
_BASE_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~-]+)*", re.ASCII)


@dataclass(frozen=True)
class StoredObject:
    """One content of one object, open for reading.

    :ivar etag: SHA-256 of the content, as hex digits.
    :ivar size: bytes.
    :ivar stored_at: seconds since the epoch.
    """

    file: BinaryIO
    etag: str
    size: int
    stored_at: int


class ObjectDirectory:
    """Objects in a directory: ``ObjectStore`` but for the URLs.

    :param clock: the time in seconds since the epoch, by which objects expire.
    """

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._root = root
        self._clock = clock

    def create_root(self) -> None:
        """Make sure that the directory exists and can be read.

        :raises StoreError: it cannot.
        """
        with _reporting(f"Opening {self._root}"):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            next(self._root.iterdir(), None)

    def upload_object(
        self,
        container: str,
        object_name: str,
        path: Path,
        *,
        delete_after: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """See ``ObjectStore``; the identifier is the content's SHA-256."""
        _check_metadata(metadata or {})
        expiry = self._expiry(delete_after)
        with _reporting(f"Storing {path} as {container}/{object_name}"):
            place = self._container(container, object_name)
            place.create()
            with path.open("rb") as source, place.incoming() as (target, incoming):
                etag, size = _copy(source, target)
                now = int(self._clock())
                entry = _Entry(etag, size, now, expiry, dict(metadata or {}))
                with place.locked():
                    place.publish(object_name, entry, incoming)
        return etag

    def delete_object(self, container: str, object_name: str) -> None:
        """See ``ObjectStore``. A transfer that has begun goes on."""
        with _reporting(f"Deleting {container}/{object_name}"):
            place = self._container(container, object_name)
            if place.exists():
                with place.locked():
                    place.remove(object_name)
                    place.marks.remove(object_name)

    def get_object_info(self, container: str, object_name: str) -> ObjectInfo | None:
        """See ``ObjectStore``."""
        with _reporting(f"Reading {container}/{object_name}"):
            entry = self._live_entry(self._container(container, object_name), object_name)
        if entry is None:
            return None
        return ObjectInfo(object_name, entry.size, entry.delete_at, entry.metadata)

    def update_object(
        self,
        container: str,
        object_name: str,
        *,
        metadata: Mapping[str, str],
        delete_after: int | None,
    ) -> None:
        """See ``ObjectStore``."""
        _check_metadata(metadata)
        expiry = self._expiry(delete_after)
        with _reporting(f"Updating {container}/{object_name}"):
            place = self._container(container, object_name)
            with place.locked() if place.exists() else contextlib.nullcontext():
                entry = self._live_entry(place, object_name)
                if entry is None:
                    raise StoreError(f"Object {container}/{object_name} does not exist")
                place.write(object_name, replace(entry, delete_at=expiry, metadata=dict(metadata)))

    def list_objects(self, container: str, prefix: str = "") -> list[str]:
        """See ``ObjectStore``."""
        with _reporting(f"Listing {container}"):
            place = self._container(container)
            names = [name for name in place.names() if name.startswith(prefix)]
            return sorted(name for name in names if self._live_entry(place, name) is not None)

    def open_object(self, container: str, object_name: str) -> StoredObject | None:
        """Open an object for reading; ``None`` when it does not exist or has expired.

        :raises StoreError: it could not be read.
        """
        with _reporting(f"Reading {container}/{object_name}"):
            place = self._container(container, object_name)
            entry = self._live_entry(place, object_name)
            if entry is None:
                return None
            try:
                file = place.content(object_name, entry.etag).open("rb", buffering=0)
            except FileNotFoundError:  # deleted or replaced a moment ago
                return None
            return StoredObject(file, entry.etag, entry.size, entry.stored_at)

    def note_fetch(self, container: str, object_name: str, expires: int) -> None:
        """Note that the URL of an object that expires then is read from.

        :raises StoreError: it could not be noted.
        """
        with _reporting(f"Noting a read of {container}/{object_name}"):
            place = self._container(container, object_name)
            place.marks.note_fetch(object_name, expires, self._clock())

    def sweep(self) -> list[str]:
        """Remove expired and damaged objects, and what crashes have left behind.

        :returns: the objects removed, as ``container/object``.
        :raises StoreError: a directory could not be read or written.
        """
        removed: list[str] = []
        with _reporting(f"Sweeping {self._root}"):
            for path in sorted(self._root.iterdir()) if self._root.is_dir() else []:
                place = _Container(path)
                if place.exists():
                    removed += [f"{path.name}/{name}" for name in self._sweep(place)]
        return removed

    def _sweep(self, place: "_Container") -> list[str]:
        with place.locked():
            doomed = []
            for name in place.names():
                entry = self._live_entry(place, name)
                if entry is None or not place.is_whole(name, entry):
                    doomed.append(name)
                    place.remove(name)
            place.remove_strays(older_than=self._clock() - _ABANDONED_SECONDS)
            place.marks.remove_expired(self._clock() - _MARK_SECONDS)
        return doomed

    def _container(self, container: str, object_name: str | None = None) -> "_Container":
        for name in [container] if object_name is None else [container, object_name]:
            if not NAME.fullmatch(name):
                raise InvalidInput(f"The name {name!r} is not of the form {NAME.pattern}")
        return _Container(self._root / container)

    def _live_entry(self, place: "_Container", name: str) -> "_Entry | None":
        entry = place.read(name)
        if entry is None or (entry.delete_at is not None and self._clock() >= entry.delete_at):
            return None
        return entry

    def _expiry(self, delete_after: int | None) -> int | None:
        if delete_after is None:
            return None
        if delete_after < 1:
            raise InvalidInput(f"An object cannot expire after {delete_after} s, only later on")
        return math.ceil(self._clock() + delete_after)


class WebStore(ObjectDirectory):
    """``ObjectStore`` over a directory and the URLs of its image server.

    :param root: the directory; it is created when something is stored.
    :param base_url: where iLOs reach the image server, such as ``http://192.0.2.1:8088``.
    :param signing_key: at least 32 characters, the image server's.
    :raises InvalidInput: the key is too short, or the URL holds what some BMCs refuse.
    """

    def __init__(
        self,
        root: Path,
        base_url: str,
        signing_key: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(root, clock=clock)
        self._base_url = base_url.rstrip("/")
        if not _BASE_URL.fullmatch(self._base_url):
            raise InvalidInput(
                f"The image server's URL {base_url!r} is not of the form http(s)://host:port"
            )
        self._signer = PathSigner(signing_key)

    def get_tmp_url(self, container: str, object_name: str, timeout: int, *, suffix: str) -> str:
        """See ``ObjectStore``. The URL grants the object's content of this moment."""
        if timeout < 1:
            raise InvalidInput(f"A temporary URL cannot work for {timeout} s")
        stored = self.open_object(container, object_name)
        if stored is None:
            raise StoreError(f"Object {container}/{object_name} does not exist")
        stored.file.close()
        with _reporting(f"Making a URL of {container}/{object_name}"):
            marks = self._container(container, object_name).marks
            expires = marks.create(object_name, math.ceil(self._clock() + timeout))
        return self._base_url + self._signer.make(
            container, object_name, stored.etag, expires, suffix=suffix
        )

    def name_url(self, url: str) -> str | None:
        """See ``ObjectStore``."""
        path = parse_path(url.removeprefix(self._base_url))
        return None if path is None else f"{path.container}/{path.object_name}/{path.expires}"

    def fetched_at(self, url_name: str) -> float | None:
        """See ``ObjectStore``. It is the image server's moment, by its clock."""
        container, object_name, expires = url_name.split("/")
        with _reporting(f"Asking for reads of {container}/{object_name}"):
            place = self._container(container, object_name)
            return place.marks.fetched_at(object_name, int(expires))


@dataclass(frozen=True)
class _Entry:
    """What is stored under a name; ``ObjectInfo`` and ``StoredObject`` say what it means."""

    etag: str
    size: int
    stored_at: int
    delete_at: int | None
    metadata: dict[str, str]


class _Container:
    """The files of one container. Whoever changes any holds the lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = path / "entries"
        self._contents = path / "contents"
        self._incoming = path / "incoming"
        self.marks = FetchMarks(path / "fetched")

    def exists(self) -> bool:
        return self._entries.is_dir()

    def create(self) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The entries come last: exists() looks at them.
        for directory in (self._incoming, self._contents, self._entries):
            directory.mkdir(mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other thread, process and (over NFS) machine from changing the files."""
        deadline = time.monotonic() + _SECONDS_TO_LOCK
        with _opened(self._path / "lock", os.O_RDWR | os.O_CREAT) as file:
            while not _try_lock(file):
                if time.monotonic() >= deadline:
                    raise StoreError(
                        f"{self._path / 'lock'} is held by another process"
                        f" since {_SECONDS_TO_LOCK:g} s",
                        hint="Find it with 'lslocks', and end it.",
                    )
                time.sleep(_SECONDS_BETWEEN_TRIES)
            yield

    @contextlib.contextmanager
    def incoming(self) -> Iterator[tuple[BinaryIO, Path]]:
        """Yield a new file to write and then rename; it goes away when it still has its name."""
        path = self._incoming / secrets.token_hex(16)
        try:
            with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
                yield file, path
        finally:
            path.unlink(missing_ok=True)

    def names(self) -> list[str]:
        return [path.name for path in self._entries.iterdir()] if self.exists() else []

    def content(self, name: str, etag: str) -> Path:
        return self._contents / f"{name}.{etag}"

    def is_whole(self, name: str, entry: _Entry) -> bool:
        content = self.content(name, entry.etag)
        return content.is_file() and content.stat().st_size == entry.size

    def read(self, name: str) -> _Entry | None:
        path = self._entries / name
        try:
            return _Entry(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            # Everything here can be published again, so what is damaged is as good as gone.
            LOG.warning("%s is damaged; its object does not exist any more", path)
            return None

    def write(self, name: str, entry: _Entry) -> None:
        with self.incoming() as (file, path):
            file.write(json.dumps(asdict(entry)).encode())
            _flush(file)
            path.replace(self._entries / name)
        _flush_directory(self._entries)

    def publish(self, name: str, entry: _Entry, incoming: Path) -> None:
        """Make a flushed incoming file the content of an object."""
        old = self.read(name)
        incoming.replace(self.content(name, entry.etag))
        _flush_directory(self._contents)
        if old is None or old.etag != entry.etag:
            self.write(name, entry)
        else:  # the same bytes, for which a transfer may be resumed by their date
            self.write(name, replace(entry, stored_at=old.stored_at))
        if old is not None and old.etag != entry.etag:
            self.content(name, old.etag).unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        entry = self.read(name)
        (self._entries / name).unlink(missing_ok=True)
        _flush_directory(self._entries)
        if entry is not None:
            self.content(name, entry.etag).unlink(missing_ok=True)

    def remove_strays(self, *, older_than: float) -> None:
        """Remove contents that no entry names, and abandoned incoming files.

        :param older_than: seconds since the epoch; a younger incoming file is still written to.
        """
        named = set()
        for name in self.names():
            entry = self.read(name)
            if entry is not None:
                named.add(self.content(name, entry.etag))
        for path in set(self._contents.iterdir()) - named:
            path.unlink(missing_ok=True)
        for path in self._incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < older_than:
                    path.unlink()


@contextlib.contextmanager
def _reporting(action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{action} failed: {error}", hint="Check the file, the directory and the free space."
        ) from error


def _check_metadata(metadata: Mapping[str, str]) -> None:
    for key, value in metadata.items():
        if not _METADATA_KEY.fullmatch(key) or not _METADATA_VALUE.fullmatch(value):
            raise InvalidInput(
                f"Metadata {key!r} is not a lower-case name with a short value of ASCII text"
            )


def _opened(path: Path, flags: int) -> BinaryIO:
    return os.fdopen(os.open(path, flags, 0o600), "wb", closefd=True)


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _copy(source: BinaryIO, target: BinaryIO) -> tuple[str, int]:
    """Copy to the disk; return the SHA-256 and the number of the bytes that were written."""
    digest = hashlib.sha256()
    size = 0
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += target.write(chunk)
    _flush(target)
    return digest.hexdigest(), size


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
