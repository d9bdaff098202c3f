"""A root as diskimage-builder leaves it, with all that the deploy ISO is made of installed in it.

Files are those of Debian's packages, and the kernel's modules are indexed. The packages' own
scripts have not run: that would take root, and a minute.
"""

import subprocess
from pathlib import Path

import deploy_ramdisk
from deploy_ramdisk.kernel import METAPACKAGE, fetch_kernel
from deploy_ramdisk.lists import read_names
from deploy_ramdisk.package_cache import PackageCache, default_cache_dir

LISTS = Path(deploy_ramdisk.__file__).parent / (
    "elements/ironic-ilo-deploy-iso/deploy-iso-packages"
)
MERGED = ("bin", "lib", "lib64", "sbin")


def make_installed_root(root: Path) -> None:
    """Install what the element's lists name and apt offers, as a Debian of today: in /usr."""
    cache = PackageCache(default_cache_dir())
    required = set(read_names((LISTS / "required.txt").read_text())) - {METAPACKAGE}
    boot_loaders = read_names((LISTS / "boot-loaders.txt").read_text())
    firmware = read_names((LISTS / "firmware.txt").read_text())
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    with cache.locked():
        kernel = fetch_kernel(cache).package
        packages = list(cache.resolve([*required, *cache.dependencies(firmware)]))
        packages += [cache.find(name) for name in boot_loaders]
        for package in (kernel, *packages):
            _copy(cache.unpack(package), root)
    _write_status(root, [METAPACKAGE, kernel.name, *(package.name for package in packages)])


def _copy(tree: Path, root: Path) -> None:
    """Copy a package's files to where the merge of / into /usr has them."""
    with subprocess.Popen(["tar", "-C", tree, "-c", "."], stdout=subprocess.PIPE) as pack:
        unpack = ["tar", "-C", root, "-x", "--keep-directory-symlink"]
        subprocess.run(unpack, stdin=pack.stdout, check=True)
    assert pack.returncode == 0


def _write_status(root: Path, names: list[str]) -> None:
    """Write what dpkg keeps: the packages' own descriptions, and their status."""
    show = ["apt-cache", "--no-all-versions", "show", *names]
    shown = subprocess.run(show, stdout=subprocess.PIPE, text=True, check=True).stdout
    status = root / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text(shown.replace("\nVersion:", "\nStatus: install ok installed\nVersion:"))
