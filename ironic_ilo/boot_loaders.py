"""What makes an ISO boot: isolinux in BIOS mode, and GRUB in UEFI mode, Secure Boot included.

Both are Debian's. In UEFI mode the firmware starts ``EFI/BOOT/BOOTX64.EFI`` from the EFI system
partition (ESP), a FAT image on the ISO. That is shim, signed by Microsoft; it starts
``grubx64.efi`` beside it, signed by Debian, which starts a kernel signed by Debian. GRUB is the
variant for CDs: it takes the whole CD for its root and reads ``/boot/grub/grub.cfg`` there, as a
script within it says (``strings gcdx64.efi.signed``). So kernel and ramdisk are on the ISO once,
for both.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ironic_ilo.exception import InvalidInput

# Linux on x86 takes 2047 (COMMAND_LINE_SIZE); both boot loaders add up to 40 to ours (BOOT_IMAGE=,
# initrd=), and isolinux 6.04 was seen to hand 1985 over whole.
_MAX_KERNEL_PARAMS_BYTES = 1900

_PLAIN_TEXT = re.compile(r"[ -&(-\[\]-~]*")  # printable ASCII but ' and \
# A double quote may open at the start of a word, or of its value, and then closes the word.
_WORD = re.compile(r'(?P<name>[^ "]*=)?"(?P<quoted>[^"]*)"(?![^ ])|(?P<plain>[^ "]+)(?![^ ])')

ESP_PATH = "boot/grub/efi.img"
"""Where the ESP stands on an ISO."""


@dataclass(frozen=True)
class IsolinuxFiles:
    """Where isolinux lives: the places of Debian's packages isolinux and syslinux-common."""

    isolinux_bin: Path = Path("/usr/lib/ISOLINUX/isolinux.bin")
    ldlinux_c32: Path = Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")


@dataclass(frozen=True)
class GrubFiles:
    """Where shim and the CD's GRUB live: Debian's shim-signed and grub-efi-amd64-signed."""

    shim: Path = Path("/usr/lib/shim/shimx64.efi.signed")
    grub: Path = Path("/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed")


PACKAGES = {
    "isolinux.bin": "isolinux",
    "ldlinux.c32": "syslinux-common",
    "shimx64.efi.signed": "shim-signed",
    "gcdx64.efi.signed": "grub-efi-amd64-signed",
}
"""Debian's package of each file, by the file's name."""


@dataclass(frozen=True)
class BootLoader:
    """What one firmware needs on an ISO that holds ``/vmlinuz`` and ``/initrd``.

    :ivar files: what to add, by path on the ISO.
    :ivar options: the El Torito entry, as options of ``xorriso -as mkisofs``.
    :ivar esp_files: what the ESP at :data:`ESP_PATH` holds, by path in it.
    """

    files: dict[str, Path | bytes]
    options: Sequence[str]
    esp_files: Mapping[str, Path]


def check_installed() -> None:
    """Check that Debian's boot loaders are on this machine.

    :raises InvalidInput: a package is not installed.
    """
    for files in (IsolinuxFiles(), GrubFiles()):
        for field in fields(files):
            check_file(getattr(files, field.name))


def check_file(path: Path) -> None:
    """Check that a file is there.

    :raises InvalidInput: it is not; when it is a boot loader's, the error names its package.
    """
    if not path.is_file():
        package = PACKAGES.get(path.name)
        hint = f"Install the package {package}." if package else "Check the path."
        raise InvalidInput(f"{path} is not a file.", hint=hint)


def split_kernel_params(params: str) -> list[str]:
    """Split a kernel command line into words, without their double quotes.

    :raises InvalidInput: it is too long, or a boot loader would change it on its way to the
        kernel. GRUB puts a word that has blanks into double quotes, and a backslash before each
        quote or backslash of its own, which Linux takes for text.
    """
    if len(params) > _MAX_KERNEL_PARAMS_BYTES:
        raise InvalidInput(
            f"The kernel parameters are longer than {_MAX_KERNEL_PARAMS_BYTES} bytes."
        )
    if not _PLAIN_TEXT.fullmatch(params) or _WORD.sub("", params).strip():
        raise InvalidInput(
            f"GRUB cannot hand the kernel parameters {params!r} to Linux unchanged.",
            hint="Use printable ASCII without backslashes and single quotes, and double quotes "
            'only around a whole value or word, as in name="a b".',
        )
    words = _WORD.finditer(params)
    return [word["plain"] or f"{word['name'] or ''}{word['quoted']}" for word in words]


def isolinux(bios: IsolinuxFiles, kernel_params: str) -> BootLoader:
    """Boot in BIOS mode at once: no prompt, no time-out, no key held down stops it."""
    config = f"""\
default linux
prompt 0
timeout 0
noescape 1
label linux
  kernel /vmlinuz
  initrd /initrd
  append {kernel_params}
"""
    files: dict[str, Path | bytes] = {
        "isolinux/isolinux.bin": bios.isolinux_bin,
        "isolinux/ldlinux.c32": bios.ldlinux_c32,
        "isolinux/isolinux.cfg": config.encode(),
    }
    entry = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot"]
    return BootLoader(files, [*entry, "-boot-load-size", "4", "-boot-info-table"], {})


def grub(uefi: GrubFiles, words: Iterable[str]) -> BootLoader:
    """Boot in UEFI mode at once, with kernel parameters from :func:`split_kernel_params`.

    A script without a menu looks for no key. When it fails, GRUB would go on at its prompt: which
    is for superusers alone, and the one that is named here has no password.
    """
    # In single quotes, nothing has a meaning in GRUB's language.
    quoted = " ".join(f"'{word}'" for word in words)
    config = f"""\
set superusers=nobody
linux /vmlinuz {quoted}
initrd /initrd
boot
"""
    # If the firmware does not tell GRUB its drive, GRUB takes the one that has /.disk/info.
    files: dict[str, Path | bytes] = {
        "boot/grub/grub.cfg": config.encode(),
        ".disk/info": b"ironic-ilo\n",
    }
    entry = ["-eltorito-alt-boot", "-e", ESP_PATH, "-no-emul-boot"]
    esp_files = {"EFI/BOOT/BOOTX64.EFI": uefi.shim, "EFI/BOOT/grubx64.efi": uefi.grub}
    return BootLoader(files, entry, esp_files)
