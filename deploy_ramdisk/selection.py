"""Decide which kernel modules and which firmware go on the deploy ISO, or in its ramdisk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy_ramdisk import trees
from deploy_ramdisk.modules import ModuleTree, as_module_names
from ironic_ilo.exception import ImageError


@dataclass(frozen=True)
class Selection:
    """What goes in, and what should but cannot.

    :ivar modules: all modules, with what they depend on.
    :ivar in_ramdisk: those of them that must be there before the ISO can be read.
    :ivar not_in_kernel: drivers that this kernel does not have.
    :ivar firmware: files, by the name that drivers ask for.
    :ivar missing_firmware: names of files that are in no package, by driver.
    """

    modules: tuple[str, ...]
    in_ramdisk: tuple[str, ...]
    not_in_kernel: tuple[str, ...]
    firmware: Mapping[str, Path]
    missing_firmware: Mapping[str, tuple[str, ...]]


def select(
    tree: ModuleTree,
    *,
    always: Iterable[str],
    media: Iterable[str],
    hardware: Iterable[str],
    firmware_trees: Iterable[Path],
) -> Selection:
    """Choose modules, what they depend on, and the firmware that is there for them.

    :param always: modules that no deploy can do without.
    :param media: drivers that reach virtual media, when a server has the device.
    :param hardware: drivers, which a server loads when it has the device.
    :param firmware_trees: unpacked firmware packages.
    :raises ImageError: the kernel lacks one of the first.
    """
    needed = as_module_names(always)
    drivers = as_module_names([*media, *hardware])
    if lacking := tree.lacks(needed):
        raise ImageError(
            f"Kernel {tree.directory.name} has no module named {', '.join(lacking)}, which no "
            "deploy can do without."
        )
    modules = tree.closure([*needed, *drivers])
    wanted = tree.firmware(modules)
    found = _find({name for names in wanted.values() for name in names}, firmware_trees)
    missing = {
        driver: tuple(name for name in names if name not in found)
        for driver, names in wanted.items()
    }
    return Selection(
        modules=modules,
        in_ramdisk=tree.closure([*needed, *as_module_names(media)]),
        not_in_kernel=tree.lacks(drivers),
        firmware=found,
        missing_firmware={driver: names for driver, names in missing.items() if names},
    )


def _find(names: Iterable[str], firmware_trees: Iterable[Path]) -> dict[str, Path]:
    places = list(firmware_trees)
    files = {name: trees.find(f"lib/firmware/{name}", places) for name in sorted(names)}
    return {name: file for name, file in files.items() if file is not None}
