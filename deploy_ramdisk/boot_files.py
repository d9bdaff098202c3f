"""Debian's boot loaders, from the packages that a deploy ISO is built from."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from deploy_ramdisk import trees
from deploy_ramdisk.packages import Package, PackageSource
from ironic_ilo.boot_loaders import GrubFiles, IsolinuxFiles
from ironic_ilo.exception import ImageError

_Files = TypeVar("_Files", IsolinuxFiles, GrubFiles)


@dataclass(frozen=True)
class BootFiles:
    """What makes the ISO boot, in both boot modes.

    :ivar packages: those that the files are from.
    """

    packages: tuple[Package, ...]
    bios: IsolinuxFiles
    uefi: GrubFiles


def fetch_boot_files(source: PackageSource, names: Iterable[str]) -> BootFiles:
    """Have the boot loaders' files at hand, out of packages of these names.

    What the packages depend on is for installing boot loaders on a disk, and is left out.

    :raises InvalidInput: a package is not to be had.
    :raises ImageError: a file is in none of them.
    :raises ProcessError: downloading or unpacking failed.
    """
    packages = tuple(source.find(name) for name in names)
    places = list(dict.fromkeys(source.unpack(package) for package in packages))
    return BootFiles(packages, _find(IsolinuxFiles(), places), _find(GrubFiles(), places))


def _find(files: _Files, places: list[Path]) -> _Files:
    """Name the same files in unpacked packages."""
    paths: dict[str, Path] = dataclasses.asdict(files)
    return dataclasses.replace(files, **{n: _find_file(p, places) for n, p in paths.items()})


def _find_file(path: Path, places: list[Path]) -> Path:
    found = trees.find(str(path.relative_to("/")), places)
    if found is None:
        raise ImageError(f"{path} is in none of the packages that should have it.")
    return found
