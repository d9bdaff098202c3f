"""The deploy ISO, built once for all labs of a machine."""

from pathlib import Path

import deploy_ramdisk
from deploy_ramdisk.builder import build_deploy_iso
from deploy_ramdisk.package_cache import PackageCache, default_cache_dir
from ironic_ilo import boot_loaders, images
from lab import cache


def build_cached_deploy_iso() -> Path:
    """Build the deploy ISO, or find it in the cache.

    :raises Error: what :func:`deploy_ramdisk.builder.build_deploy_iso` raises.
    """
    package = Path(deploy_ramdisk.__file__).parent
    sources = [path for path in package.rglob("*") if path.suffix != ".pyc" and path.is_file()]
    sources += [Path(boot_loaders.__file__), Path(images.__file__)]
    recipe = cache.digest_files(sources)
    return cache.build_once("deploy-iso", recipe, _build) / "deploy.iso"


def _build(target: Path) -> None:
    build_deploy_iso(target / "deploy.iso", PackageCache(default_cache_dir()))
