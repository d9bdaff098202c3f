"""A whole disk with the tiny instance on it, which boots from the disk itself, in BIOS and UEFI.

One FAT partition is all that a firmware needs: syslinux for BIOS, Debian's signed shim and GRUB
for UEFI with Secure Boot or without, and the kernel and ramdisk that both load. A second one holds
the root file system. It is made without root: nothing is mounted.
"""

import enum
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ironic_ilo.execute import execute
from lab import cache
from lab.instance_image import InstanceImage
from lab.tiny_instance import KERNEL_PARAMETERS, ROOT_LABEL, build_tiny_instance

_MIB = 1024 * 1024
_BOOT_MIB = 24
_SECONDS_TO_MAKE = 300.0
_KERNEL_PARAMETERS = f"root=LABEL={ROOT_LABEL} ro {KERNEL_PARAMETERS}"
_SYSLINUX_CONFIG = f"""\
default linux
label linux
  kernel /vmlinuz
  initrd /initrd.img
  append {_KERNEL_PARAMETERS}
"""
# GRUB's $root is the partition that it was loaded from.
_GRUB_CONFIG = f"""\
linux /vmlinuz {_KERNEL_PARAMETERS}
initrd /initrd.img
boot
"""
_MASTER_BOOT_CODE = Path("/usr/lib/syslinux/mbr")
_SHIM = Path("/usr/lib/shim/shimx64.efi.signed")
_GRUB = Path("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")


class Table(enum.StrEnum):
    """The kinds of partition table, as sfdisk names them."""

    GPT = "gpt"
    MSDOS = "dos"


@dataclass(frozen=True)
class _Kind:
    """How a BIOS is told what to boot, by kind of partition table.

    :ivar boot_code: what starts the partition marked so.
    :ivar boot: the boot partition's type and mark, in sfdisk's words.
    :ivar linux: the root partition's type.
    """

    boot_code: str
    boot: str
    linux: str


_KINDS = {
    Table.GPT: _Kind("gptmbr.bin", 'type=uefi, attrs="LegacyBIOSBootable"', "linux"),
    Table.MSDOS: _Kind("mbr.bin", "type=uefi, bootable", "linux"),
}


@dataclass(frozen=True)
class WholeDiskImage:
    """The same disk in two formats."""

    raw: Path
    qcow2: Path


def build_whole_disk_image(table: Table) -> WholeDiskImage:
    """Make the image, or find it in the cache.

    :raises Error: what :func:`build_tiny_instance` raises.
    :raises ProcessError: a tool failed.
    """
    tiny = build_tiny_instance()
    recipe = cache.digest_files([Path(__file__)], tiny.directory.name, table)
    directory = cache.build_once(
        f"whole-disk-{table}", recipe, lambda target: _build(target, tiny, table)
    )
    return WholeDiskImage(directory / "disk.raw", directory / "disk.qcow2")


def _build(target: Path, tiny: InstanceImage, table: Table) -> None:
    boot, root, disk = target / "boot.fat", target / "root.ext4", target / "disk.raw"
    _make_boot_partition(target / "tree", boot, tiny)
    _convert(tiny.root, "qcow2", root, "raw")
    _make_disk(disk, table, [boot, root])
    _convert(disk, "raw", target / "disk.qcow2", "qcow2")
    boot.unlink()
    root.unlink()


def _make_boot_partition(tree: Path, image: Path, tiny: InstanceImage) -> None:
    files: Mapping[str, Path | bytes] = {
        "vmlinuz": tiny.kernel,
        "initrd.img": tiny.ramdisk,
        "syslinux.cfg": _SYSLINUX_CONFIG.encode(),
        # Where firmware looks on a disk that it has never seen, shim beside itself, and GRUB.
        "EFI/BOOT/BOOTX64.EFI": _SHIM,
        "EFI/BOOT/grubx64.efi": _GRUB,
        "EFI/debian/grub.cfg": _GRUB_CONFIG.encode(),
    }
    for name, source in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source if isinstance(source, bytes) else source.read_bytes())
    # The sectors before it: a BIOS boot sector counts from the begin of the disk.
    _run("mkfs.vfat", "-h", str(_MIB // 512), "-C", image, str(_BOOT_MIB * 1024))
    _run("mcopy", "-s", "-i", image, *sorted(tree.iterdir()), "::")
    _run("syslinux", "--install", image)
    shutil.rmtree(tree)


def _make_disk(disk: Path, table: Table, partitions: list[Path]) -> None:
    kind = _KINDS[table]
    sizes = [path.stat().st_size // _MIB for path in partitions]
    # A MiB before the partitions, and one behind them, which GPT's backup takes.
    with disk.open("wb") as file:
        file.truncate((sum(sizes) + 2) * _MIB)
    script = (
        f"label: {table}\n"
        f"start=1MiB, size={sizes[0]}MiB, {kind.boot}\n"
        f"size={sizes[1]}MiB, type={kind.linux}\n"
    )
    script_file = disk.with_suffix(".sfdisk")
    script_file.write_text(script)
    _run("sh", "-c", 'exec sfdisk --quiet "$1" <"$2"', "sfdisk", disk, script_file)
    script_file.unlink()
    with disk.open("r+b") as file:
        file.write((_MASTER_BOOT_CODE / kind.boot_code).read_bytes())
        file.seek(_MIB)
        for path in partitions:
            file.write(path.read_bytes())


def _convert(source: Path, source_format: str, target: Path, target_format: str) -> None:
    _run("qemu-img", "convert", "-f", source_format, "-O", target_format, source, target)


def _run(*argv: str | Path) -> None:
    execute(argv, timeout=_SECONDS_TO_MAKE, env={"MTOOLSRC": os.devnull})
