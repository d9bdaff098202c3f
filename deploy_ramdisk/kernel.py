"""Debian's kernel: the package that its metapackage stands for, unpacked."""

from dataclasses import dataclass
from pathlib import Path

from deploy_ramdisk.modules import ModuleTree
from deploy_ramdisk.packages import Package, PackageCache
from ironic_ilo.exception import ImageError, InvalidInput
from ironic_ilo.execute import execute

_METAPACKAGE = "linux-image-amd64"
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


def fetch_kernel(cache: PackageCache) -> Kernel:
    """Fetch and unpack the kernel that apt offers, unless that was done before.

    :raises InvalidInput: apt does not offer it.
    :raises ImageError: the package is not what it should be.
    :raises ProcessError: downloading or unpacking failed.
    """
    package = cache.find(_package_name(cache))
    tree = cache.unpack(package, _index_modules)
    modules = _modules_directory(tree)
    image = tree / "boot" / f"vmlinuz-{modules.name}"
    return Kernel(package, image, ModuleTree.read(modules))


def _package_name(cache: PackageCache) -> str:
    """Name the package behind the metapackage, ``linux-image-<version>-amd64``."""
    depends = cache.dependencies([_METAPACKAGE]).get(_METAPACKAGE, ())
    kernels = [name for name in depends if name.startswith("linux-image-")]
    if len(kernels) != 1:
        raise InvalidInput(
            f"apt does not offer {_METAPACKAGE} as one kernel package: "
            f"{', '.join(kernels) or 'none'}.",
            hint="Use a Debian amd64 machine whose package lists are there (apt-get update).",
        )
    return kernels[0]


def _index_modules(tree: Path) -> None:
    version = _modules_directory(tree).name
    execute(["depmod", "--basedir", tree, version], timeout=_SECONDS_TO_INDEX)


def _modules_directory(tree: Path) -> Path:
    found = sorted(tree.glob("lib/modules/*")) or sorted(tree.glob("usr/lib/modules/*"))
    if len(found) != 1:
        raise ImageError(f"The kernel package has {len(found)} directories of modules, not one.")
    return found[0]
