"""Build the deploy ISO: Debian's kernel and boot loaders, programs, and our init scripts."""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from deploy_ramdisk import cpio, initramfs
from deploy_ramdisk.boot_files import BootFiles, fetch_boot_files
from deploy_ramdisk.cpio import Entry
from deploy_ramdisk.kernel import METAPACKAGE, Kernel, fetch_kernel
from deploy_ramdisk.lists import read_names
from deploy_ramdisk.modules import ModuleTree, as_module_names
from deploy_ramdisk.packages import PackageSource
from deploy_ramdisk.selection import Selection, select
from ironic_ilo.exception import ImageError, InvalidInput
from ironic_ilo.images import create_iso_image

KERNEL_PARAMETERS = (
    "console=tty0",
    "console=ttyS0,115200",
    "quiet",
    # Our own messages go through /dev/kmsg, and none may be dropped.
    "printk.devkmsg=on",
)
"""The kernel command line: the same for every node."""

# Here, since diskimage-builder installs what they name.
_PACKAGE_LISTS = ("elements", "ironic-ilo-deploy-iso", "deploy-iso-packages")

# A TLS client, and what erases disks; their libraries go with them.
_LINKED_PROGRAMS = (
    "usr/bin/wget",
    "usr/bin/fallocate",
    "sbin/hdparm",
    "usr/bin/sg_raw",
    "usr/bin/sg_sanitize",
)

# What the ramdisk loads by name: read by its init, too.
_LOADED = ("modules-load", "modules-target")

StepCallback = Callable[[str], None]


@dataclass(frozen=True)
class BuildReport:
    """What a build made.

    :ivar size: bytes of the ISO.
    :ivar sha256: of the ISO; the same packages give the same bytes.
    :ivar ramdisk_size: bytes of the compressed ramdisk.
    :ivar kernel_version: as ``uname -r`` says.
    :ivar packages: what it is made of, as ``name=version``.
    :ivar modules: kernel modules in it.
    :ivar drivers_not_in_kernel: listed drivers that this kernel does not have.
    :ivar missing_firmware: files that a driver may ask for and that are in no package, by driver.
    :ivar seconds: how long it took.
    """

    output: Path
    size: int
    sha256: str
    ramdisk_size: int
    kernel_version: str
    packages: tuple[str, ...]
    modules: tuple[str, ...]
    drivers_not_in_kernel: tuple[str, ...]
    missing_firmware: Mapping[str, tuple[str, ...]]
    seconds: float


def build_deploy_iso(
    output: Path, source: PackageSource, *, on_step: StepCallback | None = None
) -> BuildReport:
    """Build the deploy ISO. Needs no root, installs nothing, and mounts nothing.

    :param output: the ISO; replaced, whole or not at all.
    :param source: the same packages from another source give the same ISO.
    :param on_step: called with a line about each step as it begins.
    :raises InvalidInput: a package is not to be had, or a directory cannot be written to.
    :raises ImageError: the packages are not what they should be, or the ISO could not be made.
    :raises ProcessError: a download failed, or a tool did.
    """
    started = time.monotonic()
    _check_directory(output.parent)
    step = on_step or (lambda _line: None)
    with source.locked():
        parts = _fetch(source, step)
    try:
        chosen = _select(parts)
        step(f"packing {len(chosen.modules)} kernel modules and the programs")
        ramdisk = initramfs.compress(_segments(parts, chosen))
        drivers = _drivers(parts, chosen)
    except OSError as error:
        raise ImageError(f"The packages' files could not be read: {error}") from error
    step("writing the ISO")
    _write_iso(output, parts, ramdisk, drivers)
    return BuildReport(
        output=output,
        size=output.stat().st_size,
        sha256=_sha256(output),
        ramdisk_size=len(ramdisk),
        kernel_version=parts.kernel.version,
        packages=parts.packages,
        modules=chosen.modules,
        drivers_not_in_kernel=chosen.not_in_kernel,
        missing_firmware=chosen.missing_firmware,
        seconds=time.monotonic() - started,
    )


def _check_directory(directory: Path) -> None:
    if not (directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)):
        raise InvalidInput(f"{directory} is not a directory that can be written to.")


@dataclass(frozen=True)
class _Parts:
    """Unpacked packages.

    :ivar userland: trees of the programs and their libraries.
    :ivar firmware: trees of those firmware packages that are to be had.
    :ivar packages: all of them, as ``name=version``.
    """

    kernel: Kernel
    boot: BootFiles
    userland: tuple[Path, ...]
    firmware: tuple[Path, ...]
    packages: tuple[str, ...]


def _fetch(source: PackageSource, step: StepCallback) -> _Parts:
    step("getting the kernel")
    kernel = fetch_kernel(source)
    step("getting the boot loaders")
    boot = fetch_boot_files(source, _list(*_PACKAGE_LISTS, "boot-loaders.txt"))
    step("resolving the other packages")
    userland = [name for name in _list(*_PACKAGE_LISTS, "required.txt") if name != METAPACKAGE]
    firmware = source.dependencies(_list(*_PACKAGE_LISTS, "firmware.txt"))
    others = source.resolve([*userland, *firmware])
    step(f"getting {len(others)} packages")
    trees = {package.name: source.unpack(package) for package in others}
    packages = sorted((kernel.package, *boot.packages, *others))
    return _Parts(
        kernel=kernel,
        boot=boot,
        userland=_trees(tree for name, tree in trees.items() if name not in firmware),
        firmware=_trees(tree for name, tree in trees.items() if name in firmware),
        packages=tuple(f"{p.name}={p.version}" for p in packages),
    )


def _trees(trees: Iterable[Path]) -> tuple[Path, ...]:
    """Keep each tree once: packages that are installed share one."""
    return tuple(dict.fromkeys(trees))


def _select(parts: _Parts) -> Selection:
    return select(
        parts.kernel.modules,
        always=[name for loaded in _LOADED for name in _list("data", f"{loaded}.txt")],
        media=_list("data", "modules-media.txt"),
        hardware=_list("data", "modules-hardware.txt"),
        firmware_trees=parts.firmware,
    )


def _list(*path: str) -> tuple[str, ...]:
    return read_names(resources.files("deploy_ramdisk").joinpath(*path).read_text("utf-8"))


def _segments(parts: _Parts, chosen: Selection) -> tuple[dict[str, Entry], ...]:
    """The ramdisk's entries, in two parts, which are packed at the same time."""
    busybox = {"bin/busybox": initramfs.static_program_entry("bin/busybox", parts.userland)}
    linked = [initramfs.program_entries(program, parts.userland) for program in _LINKED_PROGRAMS]
    firmware = {
        f"lib/firmware/{name}": cpio.file(file.read_bytes())
        for name, file in chosen.firmware.items()
    }
    programs = initramfs.base_entries() | _load_lists(parts.kernel.modules) | busybox | firmware
    for entries in linked:
        programs |= entries
    modules = initramfs.module_entries(
        parts.kernel.modules, chosen.in_ramdisk, indexed=chosen.modules
    )
    return programs, modules


def _load_lists(tree: ModuleTree) -> dict[str, Entry]:
    """List what is to be loaded; what is built into the kernel is not."""
    lists = {
        name: tree.loadable(as_module_names(_list("data", f"{name}.txt"))) for name in _LOADED
    }
    return {
        f"deploy/{name}": cpio.file("\n".join((*modules, "")).encode())
        for name, modules in lists.items()
    }


def _drivers(parts: _Parts, chosen: Selection) -> dict[str, bytes]:
    """The drivers that a server reads from the ISO when it has the device, by path."""
    on_iso = [name for name in chosen.modules if name not in chosen.in_ramdisk]
    packed = initramfs.packed_modules(parts.kernel.modules, on_iso)
    return {f"drivers/{name}": data for name, data in packed.items()}


def _write_iso(output: Path, parts: _Parts, ramdisk: bytes, drivers: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as private:
        file = Path(private, "initrd")
        try:
            file.write_bytes(ramdisk)
        except OSError as error:
            raise ImageError(f"The ramdisk could not be written: {error}") from error
        create_iso_image(
            output,
            kernel=parts.kernel.image,
            ramdisk=file,
            files=drivers,
            kernel_params=KERNEL_PARAMETERS,
            volume_id="IRONIC_DEPLOY",
            bios=parts.boot.bios,
            uefi=parts.boot.uefi,
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
