"""Fetch Debian packages and unpack them, without root and without installing anything.

apt resolves, downloads and verifies; ``dpkg-deb`` unpacks. What was unpacked once stays in the
cache, by package version, so a second build downloads nothing.
"""

import fcntl
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from ironic_ilo.exception import InvalidInput, ProcessError
from ironic_ilo.execute import execute

_SECONDS_TO_RESOLVE = 120.0
_SECONDS_TO_DOWNLOAD = 1800.0
_SECONDS_TO_UNPACK = 300.0

_APT_FOUND_NONE = 100

# As if nothing were installed: what this machine has must not decide what the ramdisk gets.
_PRISTINE = ("-o", "Dir::State::status=/dev/null", "-o", "Debug::NoLocking=true")


@dataclass(frozen=True, order=True)
class Package:
    """A version of a package that the apt sources offer.

    :ivar file_name: of its archive, as apt names it.
    """

    name: str
    version: str
    file_name: str


class PackageCache:
    """Packages in a directory: their archives, and their unpacked files.

    :param directory: made when absent; nothing else may change it.
    :raises InvalidInput: it cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        self._archives = directory / "archives"
        self._unpacked = directory / "unpacked"
        try:
            for part in (self._archives, self._unpacked):
                part.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"No packages can be kept in {directory}: {error}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second build that shares this cache waiting."""
        with (self._archives / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def resolve(self, names: Iterable[str]) -> tuple[Package, ...]:
        """Name packages and all that they depend on, sorted.

        :raises InvalidInput: the apt sources do not offer one.
        """
        with tempfile.TemporaryDirectory(dir=self._archives) as empty:
            # apt leaves out what it has in its own archive.
            Path(empty, "partial").mkdir()
            options = [*_PRISTINE, "-o", f"Dir::Cache::archives={empty}"]
            options += ["--no-install-recommends", "--yes", "--print-uris"]
            return _listed(["apt-get", *options, "install", *names])

    def find(self, name: str) -> Package:
        """Find one package, without what it depends on.

        :raises InvalidInput: the apt sources do not offer it.
        """
        return _listed(["apt-get", "--print-uris", "download", name])[0]

    def dependencies(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Map those packages that the apt sources offer to what they depend on directly."""
        shown = execute(
            ["apt-cache", "--no-all-versions", "show", *names],
            timeout=_SECONDS_TO_RESOLVE,
            ok_codes=(0, _APT_FOUND_NONE),
        )
        stanzas = [_fields(stanza) for stanza in shown.stdout.split("\n\n") if stanza.strip()]
        return {fields["Package"]: _names(fields.get("Depends", "")) for fields in stanzas}

    def unpack(self, package: Package, prepare: Callable[[Path], None] | None = None) -> Path:
        """Fetch and unpack a package, unless that was done before.

        :param prepare: called once with the unpacked tree, before it is kept.
        :returns: the directory that stands for ``/``.
        :raises ProcessError: downloading or unpacking failed.
        """
        tree = self._unpacked / package.file_name.removesuffix(".deb")
        if tree.is_dir():
            return tree
        with tempfile.TemporaryDirectory(dir=self._unpacked) as private:
            root = Path(private, "root")
            archive = self._fetch(package)
            execute(["dpkg-deb", "--extract", archive, root], timeout=_SECONDS_TO_UNPACK)
            if prepare is not None:
                prepare(root)
            root.rename(tree)
            archive.unlink()
        return tree

    def _fetch(self, package: Package) -> Path:
        """Download an archive; apt verifies it, and one that is there already too."""
        wanted = f"{package.name}={package.version}"
        # apt-get download writes to its working directory, and as root drops to a user who may
        # not enter it: a needless warning.
        options = ["-o", "APT::Sandbox::User="]
        execute(
            ["env", f"--chdir={self._archives}", "apt-get", *options, "download", wanted],
            timeout=_SECONDS_TO_DOWNLOAD,
        )
        return self._archives / package.file_name


def _listed(command: Sequence[str]) -> tuple[Package, ...]:
    """Read what ``apt-get --print-uris`` prints: ``'URI' file-name size hash`` for each."""
    try:
        printed = execute(command, timeout=_SECONDS_TO_RESOLVE).stdout
    except ProcessError as error:
        raise InvalidInput(
            f"apt does not offer what the deploy ISO is built from: {error}",
            hint="Use a Debian amd64 machine whose package lists are there (apt-get update).",
        ) from error
    files = [line.split()[1] for line in printed.splitlines() if line.startswith("'")]
    return tuple(sorted(_package(file) for file in files))


def _package(file_name: str) -> Package:
    name, version, _architecture = file_name.split("_")
    return Package(name, unquote(version), file_name)


def _fields(stanza: str) -> dict[str, str]:
    """Read one package's description (deb822), each field's first line alone."""
    lines = [line for line in stanza.splitlines() if not line.startswith(" ")]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _names(depends: str) -> tuple[str, ...]:
    """Read a list such as ``a (>= 1), b | c``; of alternatives the first."""
    return tuple(item.split()[0] for item in depends.split(",") if item.strip())
