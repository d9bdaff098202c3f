"""Debian's kernel: the package that its metapackage stands for, unpacked."""

from dataclasses import dataclass
from pathlib import Path

from deploy_ramdisk import trees
from deploy_ramdisk.modules import ModuleTree
from deploy_ramdisk.packages import Package, PackageSource
from ironic_ilo.exception import ImageError, InvalidInput
from ironic_ilo.execute import execute

METAPACKAGE = "linux-image-amd64"
_PREFIX = "linux-image-"
_SECONDS_TO_INDEX = 120.0


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel.

    :ivar image: the file that a boot loader loads.
    """

    package: Package
    image: Path
    modules: ModuleTree

    @property
    def version(self) -> str:
        """The version, as ``uname -r`` says it."""
        return self.modules.directory.name


def fetch_kernel(source: PackageSource) -> Kernel:
    """Have the kernel at hand that the metapackage stands for.

    :raises InvalidInput: it is not to be had.
    :raises ImageError: the package is not what it should be.
    :raises ProcessError: downloading or unpacking failed.
    """
    package = source.find(_package_name(source))
    version = package.name.removeprefix(_PREFIX)
    tree = source.unpack(package, lambda unpacked: _index_modules(unpacked, version))
    image = _find(f"boot/vmlinuz-{version}", tree)
    return Kernel(package, image, ModuleTree.read(_modules(version, tree)))


def _package_name(source: PackageSource) -> str:
    """Name the package behind the metapackage, ``linux-image-<version>-amd64``."""
    depends = source.dependencies([METAPACKAGE]).get(METAPACKAGE, ())
    kernels = [name for name in depends if name.startswith(_PREFIX)]
    if len(kernels) != 1:
        raise InvalidInput(
            f"{METAPACKAGE} is not to be had as one kernel package: "
            f"{', '.join(kernels) or 'none'}.",
            hint="It is a package of Debian for amd64: bring apt's lists up to date (apt-get "
            "update), or install it in the root that was named.",
        )
    return kernels[0]


def _index_modules(tree: Path, version: str) -> None:
    found = _modules(version, tree)
    execute(["depmod", "--basedir", tree, found.name], timeout=_SECONDS_TO_INDEX)


def _modules(version: str, tree: Path) -> Path:
    return _find(f"lib/modules/{version}", tree)


def _find(path: str, tree: Path) -> Path:
    found = trees.find(path, [tree])
    if found is None:
        raise ImageError(f"The kernel's package has no {path}.")
    return found
