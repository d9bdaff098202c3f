"""The demo's instance: a real, small Debian, made by mmdebstrap without root or mounts of ours.

Nobody can log in: the root password is locked. A login prompt is all that the demo looks for.
"""

import io
import shutil
import tarfile
from pathlib import Path

from lab import cache
from lab.instance_image import InstanceImage, make_root_image
from lab.mmdebstrap import bootstrap

HOST_NAME = "proliant"
ROOT_GIB = 2
_IMAGE_MIB = 1024

_PACKAGES = ("initramfs-tools", "iproute2", "linux-image-amd64", "systemd-sysv", "udev", "zstd")
# The demo needs none of these, and each costs time: on its way to the disk, or when udev loads it.
_LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    *(
        f"/lib/modules/*/kernel/{part}/*"
        for part in (
            "arch/x86/kvm",
            "drivers/bluetooth",
            "drivers/gpu",
            "drivers/iio",
            "drivers/infiniband",
            "drivers/media",
            "drivers/mtd",
            "drivers/net/wireless",
            "drivers/parport",
            "drivers/staging",
            "drivers/watchdog",
            "net/bluetooth",
            "net/mac80211",
            "net/wireless",
            "sound",
        )
    ),
)
# What ProLiants and QEMU attach a disk to. Only those that match are loaded; MODULES=most would
# triple the ramdisk, which a server reads through its iLO.
_DISK_DRIVERS = (
    "ahci ata_piix hpsa smartpqi megaraid_sas mpt3sas nvme sd_mod virtio_blk virtio_pci "
    "virtio_scsi ext4 xhci_pci ehci_pci uhci_hcd usb_storage uas"
)
_INITRAMFS_HOOK = f"""\
#!/bin/sh
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules {_DISK_DRIVERS}
"""
# Emulated CPUs are slow: the prompt comes much earlier when systemd does not look for disks to
# decrypt, and udev is asked about those devices only that the instance has to find at each boot.
_UNUSED_GENERATORS = (
    "bless-boot",
    "cryptsetup",
    "debug",
    "gpt-auto",
    "hibernate-resume",
    "integritysetup",
    "rc-local",
    "run",
    "system-update",
    "sysv",
    "veritysetup",
)
_COLDPLUG = """\
[Service]
ExecStart=
ExecStart=-udevadm trigger --type=devices --action=add --prioritized-subsystem=block,net \
--subsystem-match=block --subsystem-match=net --subsystem-match=pci --subsystem-match=virtio
ExecStart=-udevadm trigger --type=devices --action=add --sysname-match=ttyS0
"""
# Work for long-lived systems, which only delays the prompt of one that lives for minutes.
_MASKED_UNITS = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer "
    "e2scrub_reap.service fstrim.timer getty-static.service systemd-pstore.service"
)
_ENABLED_UNITS = "serial-getty@ttyS0.service systemd-networkd.service"
_OUR_FILES = {
    "etc/fstab": "LABEL=root / ext4 errors=remount-ro 0 1\n",
    "etc/hostname": f"{HOST_NAME}\n",
    "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {HOST_NAME}\n",
    "etc/initramfs-tools/conf.d/lab": "MODULES=list\nCOMPRESS=zstd\n",
    "etc/initramfs-tools/hooks/disks": _INITRAMFS_HOOK,
    # Empty, and there: without it systemd would set up all units anew, as at a first boot.
    "etc/machine-id": "",
    "etc/systemd/network/dhcp.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n",
    "etc/systemd/system/systemd-udev-trigger.service.d/few.conf": _COLDPLUG,
    # An empty file masks the generator of the same name.
    **{
        f"etc/systemd/system-generators/systemd-{name}-generator": ""
        for name in _UNUSED_GENERATORS
    },
}
# This machine's DNS servers, and backups of passwd and shadow, which their owner cannot read.
_REMOVED = "etc/resolv.conf etc/*-"


def build_debian_image(log: Path) -> InstanceImage:
    """Make the image, or find it in the cache.

    :param log: takes what mmdebstrap prints.
    :raises ProcessError: mmdebstrap, or a tool after it, failed.
    """
    modules = [Path(__file__).with_name(name) for name in ("instance_image.py", "mmdebstrap.py")]
    recipe = cache.digest_files([Path(__file__), *modules])
    directory = cache.build_once("debian", recipe, lambda target: _build(target, log))
    return InstanceImage(directory, login_prompt=f"{HOST_NAME} login:", root_gib=ROOT_GIB)


def _build(target: Path, log: Path) -> None:
    tarball, ours = target / "root.tar", target / "ours.tar"
    tree = target / "tree"
    _write_our_files(ours)
    _bootstrap(tarball, ours, log)
    fill = (
        f"tar --xattrs --exclude='./dev/*' -xf {tarball}; tar -xf {ours}; rm -f {_REMOVED}; "
        f"cp boot/vmlinuz-* {target}/vmlinuz; cp boot/initrd.img-* {target}/initrd.img"
    )
    image = target / "root.qcow2"
    make_root_image(tree, image, label="root", mib=_IMAGE_MIB, fill=fill)
    shutil.rmtree(tree)
    tarball.unlink()
    ours.unlink()


def _write_our_files(tarball: Path) -> None:
    """Write the files that make a Debian our instance, owned by root, as a tar file."""
    with tarfile.open(tarball, "w") as tar:
        for name, content in _OUR_FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if "/hooks/" in name else 0o644
            tar.addfile(entry, io.BytesIO(content.encode()))


def _bootstrap(tarball: Path, ours: Path, log: Path) -> None:
    """Install Debian into a tar file.

    Our files go in before the kernel, whose ramdisk they configure, and once more afterwards:
    mmdebstrap resets some of them.
    """
    bootstrap(
        tarball,
        log,
        variant="minbase",
        packages=_PACKAGES,
        left_out=_LEFT_OUT,
        options=[
            f"--essential-hook=tar-in {ours} /",
            f"--customize-hook=chroot $1 systemctl --quiet enable {_ENABLED_UNITS}",
            f"--customize-hook=chroot $1 systemctl --quiet mask {_MASKED_UNITS}",
        ],
    )
