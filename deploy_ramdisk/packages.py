"""Debian packages, wherever they are: on a mirror, or installed in a root."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Prepare = Callable[[Path], None]


@dataclass(frozen=True, order=True)
class Package:
    """A version of a package."""

    name: str
    version: str
    architecture: str


class PackageSource(Protocol):
    """Where a build takes its packages from."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep a second build that shares the source waiting."""

    def resolve(self, names: Iterable[str]) -> tuple[Package, ...]:
        """Name packages and all that they depend on, sorted.

        :raises InvalidInput: one is not to be had.
        """

    def find(self, name: str) -> Package:
        """Find one package, without what it depends on.

        :raises InvalidInput: it is not to be had.
        """

    def dependencies(self, names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """Map those packages that are to be had to what they depend on directly."""

    def unpack(self, package: Package, prepare: Prepare | None = None) -> Path:
        """Have a package's files at hand.

        :param prepare: does to a freshly unpacked tree what installing the package would do.
        :returns: a directory that stands for ``/``; what else is in it does not matter.
        :raises ProcessError: downloading or unpacking failed.
        """


def read_stanzas(text: str) -> Iterator[dict[str, str]]:
    """Read packages' descriptions (deb822), each field's first line alone."""
    for stanza in text.split("\n\n"):
        lines = [line for line in stanza.splitlines() if not line.startswith(" ")]
        fields = {
            name: value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        if fields:
            yield fields


def names_in(depends: str) -> tuple[str, ...]:
    """Name the packages in a list such as ``a (>= 1), b:any | c``; of alternatives the first."""
    return tuple(item.split()[0].partition(":")[0] for item in depends.split(",") if item.strip())
