"""An ISO with the real ironic-python-agent, as operators of the ``direct`` deploy interface have.

Debian's programs and kernel, the agent and its libraries from PyPI in the releases that
``agent/requirements.txt`` names, and an init of ours, small enough for emulated processors. All is
in the ramdisk, which is cached; an ISO is made of it in seconds, with the kernel command line that
a lab needs.
"""

import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from deploy_ramdisk import cpio
from deploy_ramdisk.cpio import Entry
from deploy_ramdisk.kernel import fetch_kernel
from deploy_ramdisk.modules import ModuleTree
from deploy_ramdisk.package_cache import PackageCache, default_cache_dir
from ironic_ilo.execute import execute
from ironic_ilo.images import create_iso_image
from lab import cache
from lab.mmdebstrap import bootstrap

# As the agent itself demands; without the screen, see tiny_instance.
_KERNEL_PARAMETERS = "boot_method=vmedia console=ttyS0,115200 quiet"
_SCRIPTS = Path(__file__).with_name("agent")
_REQUIREMENTS = _SCRIPTS / "requirements.txt"
# Debian's.
_PYTHON = "3.11"
_LIBRARIES = "usr/lib/python3/dist-packages"
_PACKAGES = (
    *("busybox-static", "iproute2", "kmod", "mount", "python3", "udev"),
    # What the agent calls to describe a machine, to write an image, and to make it boot.
    *("bsdextrautils", "dmidecode", "efibootmgr", "gdisk", "hdparm", "lshw", "mdadm", "parted"),
    *("pciutils", "psmisc", "qemu-utils", "smartmontools"),
)
_LEFT_OUT = (
    "/lib/udev/hwdb.d/*",
    "/usr/bin/qemu-io",
    "/usr/bin/qemu-nbd",
    "/usr/bin/qemu-storage-daemon",
    "/usr/lib/x86_64-linux-gnu/gconv/*",
    *(f"/usr/share/{part}/*" for part in ("doc", "i18n", "info", "locale", "man")),
)
# Without it, Debian 12 installs all of Perl to merge /usr.
_MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
# What maintainers' scripts made, and this machine's DNS servers.
_REMOVED = ("dev/", "etc/resolv.conf", "usr/lib/udev/hwdb.bin", "var/cache/", "var/lib/dpkg/")
_MODULES = (
    *("ahci", "megaraid_sas", "nvme", "sd_mod", "sr_mod", "virtio_blk", "virtio_pci"),
    *("e1000", "e1000e", "virtio_net", "xhci_pci", "usb_storage", "uas", "virtio_rng"),
    *("vfat", "nls_cp437", "nls_ascii", "isofs", "ext4", "crc32c_generic", "efivarfs"),
)
_SECONDS_TO_DOWNLOAD = 600.0
_SECONDS_TO_COMPRESS = 600.0


def build_agent_ramdisk(log: Path) -> Path:
    """Make ``vmlinuz`` and ``initrd.img`` in a directory, or find them in the cache.

    :param log: takes what mmdebstrap prints.
    :raises Error: a package is not to be had, or a tool failed.
    """
    sources = [Path(__file__), Path(__file__).with_name("mmdebstrap.py"), *_SCRIPTS.iterdir()]
    recipe = cache.digest_files(sources)
    return cache.build_once("agent", recipe, lambda target: _build(target, log))


def make_agent_iso(output: Path, ramdisk: Path, *, advertise_host: str) -> None:
    """Make an ISO for one server.

    :param ramdisk: the directory that :func:`build_agent_ramdisk` gives.
    :param advertise_host: where the conductor reaches the agent: one in QEMU's user network
        cannot know.
    :raises Error: it could not be made.
    """
    create_iso_image(
        output,
        kernel=ramdisk / "vmlinuz",
        ramdisk=ramdisk / "initrd.img",
        kernel_params=f"{_KERNEL_PARAMETERS} ipa-advertise-host={advertise_host}",
        volume_id="IRONIC_AGENT",
    )


def _build(target: Path, log: Path) -> None:
    tree, tarball = target / "tree", target / "root.tar"
    packages = PackageCache(default_cache_dir())
    with packages.locked():
        kernel = fetch_kernel(packages)
        shutil.copyfile(kernel.image, target / "vmlinuz")
        _copy_modules(kernel.modules, tree / "usr/lib/modules" / kernel.version)
    _download_agent(tree / _LIBRARIES)
    _install(tree, kernel.version, tarball, log)
    shutil.rmtree(tree)
    entries = dict(_read_tarball(tarball)) | _our_entries()
    tarball.unlink()
    _compress(cpio.pack(entries), target)


def _copy_modules(tree: ModuleTree, target: Path) -> None:
    files = [str(tree.paths[name]) for name in tree.closure(_MODULES)]
    for name in (*files, "modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree.directory / name, target / name)


def _download_agent(target: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    pip += ["--python-version", _PYTHON, "--only-binary=:all:"]
    execute([*pip, "--target", target, "-r", _REQUIREMENTS], timeout=_SECONDS_TO_DOWNLOAD)


def _install(tree: Path, kernel_version: str, tarball: Path, log: Path) -> None:
    """Install Debian's packages, and put a tree of files into them."""
    # Of an initramfs, the kernel forgets the files' times, by which Python would know what it has
    # compiled.
    compile_all = "python3 -m compileall -f -q -j 2 --invalidation-mode unchecked-hash"
    bootstrap(
        tarball,
        log,
        variant="essential",
        packages=_PACKAGES,
        left_out=_LEFT_OUT,
        options=[
            f"--hook-dir={_MERGED_USR}",
            f"--customize-hook=sync-in {tree} /",
            f"--customize-hook=chroot $1 depmod {kernel_version}",
            f"--customize-hook=chroot $1 {compile_all} /usr/lib/python3 /usr/lib/python{_PYTHON}",
        ],
    )


def _read_tarball(tarball: Path) -> Iterator[tuple[str, Entry]]:
    """Read what is in the tar file; hard links become files of their own."""
    with tarfile.open(tarball) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if name in ("", ".") or f"{name}/".startswith(_REMOVED):
                continue
            if member.isdir():
                yield name, cpio.directory(member.mode)
            elif member.issym():
                yield name, cpio.symlink(member.linkname)
            elif content := tar.extractfile(member):
                yield name, cpio.file(content.read(), member.mode)


def _our_entries() -> dict[str, Entry]:
    scripts = {path.name: path.read_bytes() for path in _SCRIPTS.iterdir()}
    inittab = scripts.pop("inittab")
    return {
        "init": cpio.symlink("usr/bin/busybox"),
        "usr/sbin/poweroff": cpio.symlink("../bin/busybox"),
        "usr/sbin/reboot": cpio.symlink("../bin/busybox"),
        "etc/inittab": cpio.file(inittab),
        "dev/console": cpio.character_device(5, 1, 0o600),
        **{f"lab/{name}": cpio.file(data, 0o755) for name, data in scripts.items()},
    }


def _compress(archive: bytes, target: Path) -> None:
    file = target / "initrd"
    file.write_bytes(archive)
    execute(
        ["zstd", "--quiet", "-T0", "-12", "--rm", file, "-o", target / "initrd.img"],
        timeout=_SECONDS_TO_COMPRESS,
    )
