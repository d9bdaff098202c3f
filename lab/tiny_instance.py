"""An instance of a few MiB that is up in seconds, for tests: busybox on Debian's kernel.

Its ramdisk mounts the root file system that the kernel command line names, as Debian's does, and
a program in there reports on the serial console what it sees: the report proves that the image
was written, and that what was put beside it is of use to a system.
"""

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy_ramdisk import cpio, initramfs
from deploy_ramdisk.kernel import fetch_kernel
from deploy_ramdisk.modules import ModuleTree
from deploy_ramdisk.package_cache import PackageCache, default_cache_dir
from lab import cache, console
from lab.instance_image import InstanceImage, make_root_image

ROOT_LABEL = "tiny"
# Without the screen: an emulated CPU takes long to scroll one in graphics mode, as UEFI's is.
KERNEL_PARAMETERS = "console=ttyS0,115200"

_SCRIPTS = Path(__file__).with_name("tiny")
_LOGIN_PROMPT = "tiny login:"
_MODULES = (
    *("ahci", "megaraid_sas", "nvme", "sd_mod", "virtio_blk", "virtio_pci"),
    *("ext4", "crc32c_generic", "xfs", "isofs", "vfat", "nls_cp437", "nls_ascii", "efivarfs"),
)
_IMAGE_MIB = 8


@dataclass(frozen=True)
class ConfigDrive:
    """A file system labelled ``config-2``, as an instance found it.

    :ivar type: ``iso9660`` or ``vfat``.
    :ivar files: their contents, by path.
    """

    device: str
    type: str
    files: dict[str, bytes]


@dataclass(frozen=True)
class Report:
    """What a tiny instance saw when it started; devices are named as in ``sda1``.

    :ivar firmware: ``bios`` or ``uefi``.
    :ivar secure_boot: the firmware says that it enforces it.
    :ivar partitions: bytes of each, by device.
    :ivar root: device of the root file system.
    :ivar swap: ``device`` and ``size`` (bytes in use as swap) of ``LABEL=swap1``, if there is one.
    :ivar ephemeral: ``device``, ``type`` (``ext4`` or ``xfs``) and ``boots`` (how often it was
        mounted by this instance, written down in itself) of ``LABEL=ephemeral0``.
    :ivar esp: device of the FAT file system ``LABEL=efi-part``.
    """

    firmware: str
    secure_boot: bool
    partitions: dict[str, int]
    root: str
    swap: dict[str, Any] | None
    ephemeral: dict[str, Any] | None
    config_drive: ConfigDrive | None
    esp: str | None

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Read one; contents of files are in Base64."""
        values = json.loads(text)
        if drive := values["config_drive"]:
            files = {path: base64.b64decode(data) for path, data in drive["files"].items()}
            values["config_drive"] = ConfigDrive(**drive | {"files": files})
        return cls(**values)


def wait_for_report(log: Path, *, after: int, timeout: float) -> tuple[Report, int]:
    """Wait until a tiny instance has started, and tells what it sees.

    :param log: of its serial console.
    :param after: offset in bytes; what stands before it does not count.
    :param timeout: seconds.
    :returns: the report, and the offset behind it.
    :raises ProcessError: it did not come in time.
    """
    begin = console.wait_for_text(log, "tiny: ", after=after, timeout=timeout)
    end = console.wait_for_text(log, _LOGIN_PROMPT, after=begin, timeout=timeout)
    text = log.read_bytes()[begin:end].decode()
    return Report.from_json(text.splitlines()[0]), end


def build_tiny_instance() -> InstanceImage:
    """Make the instance, or find it in the cache.

    :raises InvalidInput: apt does not offer Debian's kernel.
    :raises ProcessError: a tool failed.
    """
    return InstanceImage(
        cache.build_once("tiny", recipe(), _build), login_prompt=_LOGIN_PROMPT, root_gib=1
    )


def recipe() -> str:
    """Name what the instance is made from, for the cache."""
    modules = [Path(__file__), Path(__file__).with_name("instance_image.py")]
    return cache.digest_files([*modules, *_SCRIPTS.iterdir()])


def _build(target: Path) -> None:
    packages = PackageCache(default_cache_dir())
    with packages.locked():
        kernel = fetch_kernel(packages)
        (static,) = packages.resolve(["busybox-static"])
        busybox = packages.unpack(static)
    shutil.copyfile(kernel.image, target / "vmlinuz")
    program = initramfs.static_program_entry("bin/busybox", [busybox])
    (target / "initrd.img").write_bytes(_ramdisk(kernel.modules, program))
    _make_root(target, program.data)


def _ramdisk(tree: ModuleTree, busybox: cpio.Entry) -> bytes:
    entries = {
        "bin/busybox": busybox,
        "init": cpio.file((_SCRIPTS / "ramdisk.sh").read_bytes(), 0o755),
        "modules": cpio.file(" ".join(tree.loadable(_MODULES)).encode()),
        "dev/console": cpio.character_device(5, 1, 0o600),
        "proc": cpio.directory(),
        "root": cpio.directory(),
    }
    modules = tree.closure(_MODULES)
    entries |= initramfs.module_entries(tree, modules, indexed=modules)
    return initramfs.compress([entries])


def _make_root(target: Path, busybox: bytes) -> None:
    program = target / "busybox"
    program.write_bytes(busybox)
    fill = (
        f"mkdir bin dev mnt proc sbin sys; install {program} bin/busybox; "
        f"install {_SCRIPTS}/system.sh sbin/init; "
        "for name in $(bin/busybox --list); do [ -e bin/$name ] || ln -s busybox bin/$name; done"
    )
    tree = target / "tree"
    make_root_image(tree, target / "root.qcow2", label=ROOT_LABEL, mib=_IMAGE_MIB, fill=fill)
    shutil.rmtree(tree)
    program.unlink()
