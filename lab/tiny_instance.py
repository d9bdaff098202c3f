"""An instance of a few MiB that is up in seconds, for tests: busybox on Debian's kernel.

Its ramdisk mounts the root file system that the kernel command line names, as Debian's does, and
the prompt comes from a program in there: seeing it proves that the image was written. When there
is an ephemeral partition it counts the boots in there, and says so.
"""

import shutil
from pathlib import Path

from deploy_ramdisk import cpio, initramfs
from deploy_ramdisk.kernel import fetch_kernel
from deploy_ramdisk.modules import ModuleTree
from deploy_ramdisk.package_cache import PackageCache, default_cache_dir
from lab import cache
from lab.instance_image import InstanceImage, make_root_image

_MODULES = ("ahci", "ext4", "crc32c_generic", "megaraid_sas", "sd_mod", "virtio_blk", "virtio_pci")
_IMAGE_MIB = 8

_RAMDISK_INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
modprobe -a {modules}
root=$(sed -n 's/.*root=\\([^ ]*\\).*/\\1/p' /proc/cmdline)
for second in $(seq 60); do
    device=$(findfs "$root" 2>/dev/null) && break
    sleep 1
done
mount -t ext4 -o ro "$device" /root || echo "tiny: cannot mount $root" >/dev/ttyS0
umount /proc
mount --move /dev /root/dev
exec switch_root /root /sbin/init
"""
_SYSTEM_INIT = """\
#!/bin/busybox sh
PATH=/bin
busybox mount -t proc proc /proc
if device=$(busybox findfs LABEL=ephemeral0 2>/dev/null); then
    busybox mount -t ext4 "$device" /mnt && echo boot >>/mnt/boots
    boots=$(busybox wc -l </mnt/boots)
    busybox sync
    printf '\\ntiny: ephemeral0 has seen %s boots\\n' "$boots" >/dev/ttyS0
fi
while :; do
    printf '\\ntiny login: ' >/dev/ttyS0
    read -r name </dev/ttyS0
done
"""


def build_tiny_instance() -> InstanceImage:
    """Make the instance, or find it in the cache.

    :raises InvalidInput: apt does not offer Debian's kernel.
    :raises ProcessError: a tool failed.
    """
    recipe = cache.digest_files([Path(__file__), Path(__file__).with_name("instance_image.py")])
    directory = cache.build_once("tiny", recipe, _build)
    return InstanceImage(directory, login_prompt="tiny login:", root_gib=1)


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
    init = _RAMDISK_INIT.format(modules=" ".join(tree.loadable(_MODULES)))
    entries = {
        "bin/busybox": busybox,
        "init": cpio.file(init.encode(), 0o755),
        "dev/console": cpio.character_device(5, 1, 0o600),
        "proc": cpio.directory(),
        "root": cpio.directory(),
    }
    entries |= initramfs.module_entries(tree, tree.closure(_MODULES))
    return initramfs.compress([entries])


def _make_root(target: Path, busybox: bytes) -> None:
    program, init = target / "busybox", target / "init"
    program.write_bytes(busybox)
    init.write_text(_SYSTEM_INIT)
    fill = f"mkdir bin dev mnt proc sbin; install {program} bin/busybox; install {init} sbin/init"
    tree = target / "tree"
    make_root_image(tree, target / "root.qcow2", label="tiny", mib=_IMAGE_MIB, fill=fill)
    shutil.rmtree(tree)
    program.unlink()
    init.unlink()
