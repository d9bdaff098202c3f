"""Fetch Debian packages and unpack them, without root and without installing anything.

apt resolves, downloads and verifies; ``dpkg-deb`` unpacks. What was unpacked once stays in the
cache, by package version, so a second build downloads nothing.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from deploy_ramdisk.packages import Package, PackageSource, Prepare, names_in, read_stanzas
from ironic_ilo.exception import InvalidInput, ProcessError
from ironic_ilo.execute import execute

_SECONDS_TO_RESOLVE = 120.0
_SECONDS_TO_DOWNLOAD = 1800.0
_SECONDS_TO_UNPACK = 300.0

_APT_FOUND_NONE = 100

# As if nothing were installed: what this machine has must not decide what the ramdisk gets.
_PRISTINE = ("-o", "Dir::State::status=/dev/null", "-o", "Debug::NoLocking=true")


def default_cache_dir() -> Path:
    """``$XDG_CACHE_HOME/ironic-ilo/deploy-ramdisk``, or the same in ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "ironic-ilo", "deploy-ramdisk")


class PackageCache(PackageSource):
    """Packages from this machine's apt sources, in a directory: archives, and unpacked files.

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
        with (self._archives / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def resolve(self, names: Iterable[str]) -> tuple[Package, ...]:
        with tempfile.TemporaryDirectory(dir=self._archives) as empty:
            # apt leaves out what it has in its own archive.
            Path(empty, "partial").mkdir()
            options = [*_PRISTINE, "-o", f"Dir::Cache::archives={empty}"]
            options += ["--no-install-recommends", "--yes", "--print-uris"]
            return _listed(["apt-get", *options, "install", *names])

    def find(self, name: str) -> Package:
        return _listed(["apt-get", "--print-uris", "download", name])[0]

    def dependencies(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        shown = execute(
            ["apt-cache", "--no-all-versions", "show", *names],
            timeout=_SECONDS_TO_RESOLVE,
            ok_codes=(0, _APT_FOUND_NONE),
        )
        stanzas = read_stanzas(shown.stdout)
        return {fields["Package"]: names_in(fields.get("Depends", "")) for fields in stanzas}

    def unpack(self, package: Package, prepare: Prepare | None = None) -> Path:
        archive = _archive_name(package)
        tree = self._unpacked / archive.removesuffix(".deb")
        if tree.is_dir():
            return tree
        with tempfile.TemporaryDirectory(dir=self._unpacked) as private:
            root = Path(private, "root")
            self._fetch(package)
            fetched = self._archives / archive
            execute(["dpkg-deb", "--extract", fetched, root], timeout=_SECONDS_TO_UNPACK)
            if prepare is not None:
                prepare(root)
            root.rename(tree)
            fetched.unlink()
        return tree

    def _fetch(self, package: Package) -> None:
        """Download an archive; apt verifies it, and one that is there already too."""
        wanted = f"{package.name}={package.version}"
        # apt-get download writes to its working directory, and as root drops to a user who may
        # not enter it: a needless warning.
        options = ["-o", "APT::Sandbox::User="]
        execute(
            ["env", f"--chdir={self._archives}", "apt-get", *options, "download", wanted],
            timeout=_SECONDS_TO_DOWNLOAD,
        )


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


def _package(archive: str) -> Package:
    name, version, architecture = archive.removesuffix(".deb").split("_")
    return Package(name, unquote(version), architecture)


def _archive_name(package: Package) -> str:
    """Name a package's archive as apt does: the colon of an epoch is quoted."""
    version = package.version.replace(":", "%3a")
    return f"{package.name}_{version}_{package.architecture}.deb"
