"""Packages that are installed in a root already: a chroot, or an image that is being built."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from deploy_ramdisk.packages import Package, PackageSource, Prepare, names_in, read_stanzas
from ironic_ilo.exception import InvalidInput

_STATUS = "var/lib/dpkg/status"
_INSTALLED = "install ok installed", "hold ok installed"
_ARCHITECTURES = ("amd64", "all")


class InstalledPackages(PackageSource):
    """What dpkg has installed in a root. Nothing in there is changed.

    :param root: the directory that stands for ``/``.
    :raises InvalidInput: it is no root of a Debian system.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            status = (root / _STATUS).read_text(encoding="utf-8")
        except OSError as error:
            raise InvalidInput(
                f"What is installed in {root} cannot be read: {error}",
                hint="Name the root directory of a Debian amd64 system.",
            ) from error
        self._stanzas = {
            fields["Package"]: fields for fields in read_stanzas(status) if _counts(fields)
        }

    def locked(self) -> AbstractContextManager[None]:
        return nullcontext()

    def resolve(self, names: Iterable[str]) -> tuple[Package, ...]:
        found = {name: self.find(name) for name in names}
        unseen = list(found)
        while unseen:
            for name in self._needs(unseen.pop()):
                # What is not there by this name, dpkg has accepted another package for.
                if name in self._stanzas and name not in found:
                    found[name] = self.find(name)
                    unseen.append(name)
        return tuple(sorted(found.values()))

    def find(self, name: str) -> Package:
        if name not in self._stanzas:
            raise InvalidInput(f"Package {name} is not installed in {self._root}.")
        fields = self._stanzas[name]
        return Package(name, fields["Version"], fields["Architecture"])

    def dependencies(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        return {name: self._needs(name) for name in names if name in self._stanzas}

    def unpack(self, package: Package, prepare: Prepare | None = None) -> Path:  # noqa: ARG002
        """Point to the root: installing the package has unpacked and prepared it there."""
        return self._root

    def _needs(self, name: str) -> tuple[str, ...]:
        fields = self._stanzas[name]
        return names_in(fields.get("Pre-Depends", "")) + names_in(fields.get("Depends", ""))


def _counts(fields: dict[str, str]) -> bool:
    return fields["Status"] in _INSTALLED and fields["Architecture"] in _ARCHITECTURES
