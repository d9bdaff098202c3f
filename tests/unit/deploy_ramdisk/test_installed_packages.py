"""Packages that are installed in a root, by what dpkg has written down there."""

import pytest

from deploy_ramdisk.installed_packages import InstalledPackages
from deploy_ramdisk.kernel import fetch_kernel
from deploy_ramdisk.packages import Package
from ironic_ilo.exception import ImageError, InvalidInput
from tests.unit.deploy_ramdisk.module_tree import VERSION, make_module_tree

STATUS = f"""\
Package: linux-image-amd64
Status: install ok installed
Architecture: amd64
Version: 6.1-1
Depends: linux-image-{VERSION} (= 6.1-1)

Package: linux-image-{VERSION}
Status: install ok installed
Architecture: amd64
Version: 6.1-1
Depends: kmod, linux-base

Package: wget
Status: install ok installed
Architecture: amd64
Version: 1:1.21
Depends: libc6 (>= 2.34), libidn2-0 | libidn1, python3:any
Conffiles:
 /etc/wgetrc c43064699caf6109f4b3da0405c06ebb
Description: retrieves files
 from the web

Package: libc6
Status: hold ok installed
Architecture: amd64
Version: 2.36
Pre-Depends: libgcc-s1

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.35

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Version: 12
Depends: libc6 (>= 2.35)

Package: firmware-qlogic
Status: deinstall ok config-files
Architecture: all
Version: 2023
"""


@pytest.fixture
def root(tmp_path):
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text(STATUS)
    return tmp_path


def test_resolves_to_what_is_installed(root):
    assert InstalledPackages(root).resolve(["wget"]) == (
        Package("libc6", "2.36", "amd64"),
        Package("libgcc-s1", "12", "amd64"),
        Package("wget", "1:1.21", "amd64"),
    )


def test_a_package_that_is_not_installed_is_an_input_error(root):
    with pytest.raises(InvalidInput, match=f"busybox-static is not installed in {root}"):
        InstalledPackages(root).resolve(["wget", "busybox-static"])


def test_removed_packages_are_not_to_be_had(root):
    packages = InstalledPackages(root)
    assert packages.dependencies(["firmware-qlogic", "libgcc-s1"]) == {"libgcc-s1": ("libc6",)}


def test_a_root_without_debian_is_an_input_error(tmp_path):
    with pytest.raises(InvalidInput, match=r"cannot be read: .*root directory of a Debian"):
        InstalledPackages(tmp_path)


def test_of_several_kernels_the_metapackage_names_one(root):
    make_module_tree(root, {"net/tg3": {}})
    (root / "lib/modules/6.1.0-old").mkdir()
    (root / "boot").mkdir()
    (root / "boot" / f"vmlinuz-{VERSION}").write_bytes(b"kernel")
    kernel = fetch_kernel(InstalledPackages(root))
    assert (kernel.version, kernel.image.read_bytes()) == (VERSION, b"kernel")


def test_a_kernel_whose_files_were_removed_is_refused(root):
    with pytest.raises(ImageError, match=f"has no boot/vmlinuz-{VERSION}"):
        fetch_kernel(InstalledPackages(root))
