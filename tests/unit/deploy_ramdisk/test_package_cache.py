"""Fetching and unpacking packages: apt is a script that answers as apt does; dpkg-deb is real."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy_ramdisk.kernel import fetch_kernel
from deploy_ramdisk.package_cache import PackageCache
from deploy_ramdisk.packages import Package
from ironic_ilo.exception import ImageError, InvalidInput, ProcessError
from tests.unit.deploy_ramdisk.module_tree import VERSION, make_module_tree

APT_GET = """#!/bin/sh
# Answers --print-uris from the archives beside it, and downloads by copying.
echo "$*" >>"{log}"
case "$*" in
    *nowhere*) echo "E: Unable to locate package nowhere" >&2; exit 100 ;;
    *--print-uris*)
        echo "Reading package lists..."
        for deb in {pool}/*.deb; do
            echo "'http://deb.example/$(basename "$deb")' $(basename "$deb") 1 SHA256:0"
        done ;;
    *download*) cp {pool}/*.deb . ;;
esac
"""
APT_CACHE = """#!/bin/sh
[ -s {pool}/Packages ] || {{ echo "E: No packages found" >&2; exit 100; }}
cat {pool}/Packages
"""


@pytest.fixture
def pool(tmp_path, monkeypatch) -> Path:
    """Put the scripts on PATH; the packages that they offer are in this directory."""
    directory, programs = tmp_path / "pool", tmp_path / "programs"
    for each in (directory, programs):
        each.mkdir()
    for name, script in {"apt-get": APT_GET, "apt-cache": APT_CACHE}.items():
        program = programs / name
        program.write_text(script.format(pool=directory, log=tmp_path / "log"))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return directory


@pytest.fixture
def cache(tmp_path) -> PackageCache:
    return PackageCache(tmp_path / "cache")


def make_package(pool: Path, name: str, version: str, tree: Path) -> None:
    """Build a real package from a tree."""
    control = tree / "DEBIAN/control"
    control.parent.mkdir(parents=True)
    fields = {"Package": name, "Version": version, "Architecture": "amd64"}
    fields |= {"Maintainer": "Nobody <nobody@example.org>", "Description": "test"}
    control.write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    file = pool / f"{name}_{version.replace(':', '%3a')}_amd64.deb"
    subprocess.run(["dpkg-deb", "--build", tree, file], check=True, capture_output=True)


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "log").read_text().splitlines()


def test_a_package_is_fetched_and_unpacked_once(pool, cache, tmp_path):
    (tmp_path / "tree/bin").mkdir(parents=True)
    (tmp_path / "tree/bin/program").write_text("v1")
    make_package(pool, "tool", "1:2.0-3", tmp_path / "tree")
    (package,) = cache.resolve(["tool"])
    assert package == Package("tool", "1:2.0-3", "amd64")
    first = cache.unpack(package)
    assert (first / "bin/program").read_text() == "v1"
    assert cache.unpack(package) == first
    assert len([call for call in calls(tmp_path) if "download tool=1:2.0-3" in call]) == 1


def test_what_is_installed_here_does_not_count(pool, cache, tmp_path):
    (tmp_path / "tree").mkdir()
    make_package(pool, "tool", "1", tmp_path / "tree")
    cache.resolve(["tool"])
    assert "Dir::State::status=/dev/null" in calls(tmp_path)[0]


def test_a_package_that_cannot_be_prepared_is_not_kept(pool, cache, tmp_path):
    (tmp_path / "tree").mkdir()
    make_package(pool, "tool", "1", tmp_path / "tree")
    (package,) = cache.resolve(["tool"])

    def refuse(_root: Path) -> None:
        raise ProcessError("depmod failed")

    with pytest.raises(ProcessError):
        cache.unpack(package, refuse)
    assert cache.unpack(package).is_dir()
    assert len([call for call in calls(tmp_path) if "download" in call]) == 2


def test_what_apt_does_not_offer_is_an_input_error_with_a_hint(pool, cache):
    with pytest.raises(InvalidInput, match=r"Unable to locate package nowhere.*apt-get update"):
        cache.resolve(["nowhere"])


def test_dependencies_are_those_of_packages_on_offer(pool, cache):
    (pool / "Packages").write_text(
        "Package: meta\nVersion: 1\nDepends: real-1.0 (= 1), libc6 | libc, other\n"
        "Description: long\n of several lines\n\nPackage: firmware-x\nVersion: 2\n"
    )
    assert cache.dependencies(["meta", "firmware-x", "firmware-y"]) == {
        "meta": ("real-1.0", "libc6", "other"),
        "firmware-x": (),
    }


def test_nothing_on_offer_is_no_error(pool, cache):
    assert cache.dependencies(["firmware-x"]) == {}


def test_a_cache_that_cannot_be_made_is_an_input_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="No packages can be kept"):
        PackageCache(tmp_path / "file" / "cache")


def offer_kernel(pool: Path, tree: Path, depends: str) -> None:
    (pool / "Packages").write_text(f"Package: linux-image-amd64\nDepends: {depends}\n")
    make_package(pool, f"linux-image-{VERSION}", "6.1-1", tree)


def test_the_kernel_behind_the_metapackage_is_found_and_indexed(pool, cache, tmp_path):
    make_module_tree(tmp_path / "tree", {"net/tg3": {"depends": ("libphy",)}, "net/libphy": {}})
    for index in (tmp_path / "tree/lib/modules" / VERSION).glob("modules.dep*"):
        index.unlink()
    (tmp_path / "tree/boot").mkdir()
    (tmp_path / "tree/boot" / f"vmlinuz-{VERSION}").write_bytes(b"kernel")
    offer_kernel(pool, tmp_path / "tree", f"linux-image-{VERSION} (= 6.1-1), linux-base")
    kernel = fetch_kernel(cache)
    assert (kernel.version, kernel.image.read_bytes()) == (VERSION, b"kernel")
    assert kernel.modules.closure(["tg3"]) == ("libphy", "tg3")


@pytest.mark.parametrize("depends", ["", "linux-image-6.1 (= 1), linux-image-6.12"])
def test_a_metapackage_without_one_kernel_is_refused(pool, cache, depends):
    (pool / "Packages").write_text(f"Package: linux-image-amd64\nDepends: {depends}\n")
    with pytest.raises(InvalidInput, match="as one kernel package"):
        fetch_kernel(cache)


def test_a_kernel_package_without_modules_is_refused(pool, cache, tmp_path):
    (tmp_path / "tree").mkdir()
    offer_kernel(pool, tmp_path / "tree", f"linux-image-{VERSION}")
    with pytest.raises(ImageError, match=f"has no lib/modules/{VERSION}"):
        fetch_kernel(cache)
