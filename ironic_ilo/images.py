"""Make the two images that virtual media carries: a FAT floppy and a bootable ISO.

``boot_loaders`` has what makes the ISO boot.

Both are made alike: what goes in is staged in a private directory, an unprivileged tool packs
it, and the finished file appears under its name at once, readable by its owner alone. Nothing is
mounted. The same inputs give the same bytes, at any time and in any directory: a shared boot ISO
can be built again, and its name is a hash of what goes into it.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ironic_ilo.boot_loaders import (
    ESP_PATH,
    GrubFiles,
    IsolinuxFiles,
    check_file,
    grub,
    isolinux,
    split_kernel_params,
)
from ironic_ilo.exception import ImageError, InvalidInput, ProcessError
from ironic_ilo.execute import execute

FLOPPY_LABEL = "ir-vfd-dev"
"""The volume label by which a deploy ramdisk finds its floppy (ironic-python-agent's too)."""

# The first second that FAT can express (1980-01-01 UTC); both tools stamp it on everything.
_FIXED_TIME = {"SOURCE_DATE_EPOCH": "315532800", "TZ": "UTC"}
_SECONDS_TO_PACK = 300.0

_FLOPPY_KIB = 1440
_FLOPPY_CONTENT_KIB = 1400  # what the FATs and the root directory leave of it, with a margin
_CLUSTER_KIB = 32  # the largest that mkfs.fat chooses below 32 GiB
_FAT_OVERHEAD_KIB = 512

_ESP_CLUSTER_KIB = 4
_ESP_OVERHEAD_KIB = 64  # FATs, root directory (16 KiB), directories, with a margin

# A firmware reads the ISO from front to end; what nobody boots comes last.
_BOOT_ORDER = (ESP_PATH, "isolinux", "boot/grub/grub.cfg", "vmlinuz", "initrd")

# What stands for itself in FAT and on mtools' command line (which reads "x:" as a drive).
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_FAT_LABEL = re.compile(r"[A-Za-z0-9_-]{1,11}")
_ISO_VOLUME_ID = re.compile(r"[A-Z0-9_]{1,32}")  # d-characters, ECMA-119 section 8.4.6


def create_vfat_image(
    output_file: Path,
    *,
    parameters: Mapping[str, str] | None = None,
    files: Mapping[str, Path | bytes] | None = None,
    parameters_file: str = "parameters.txt",
    label: str = FLOPPY_LABEL,
) -> None:
    """Make a FAT image with a parameter file and other files at its root.

    It is a 1440 KiB floppy, or larger by whole MiB when the content needs it. It may carry
    secrets: only its owner can read it, and no temporary copy is left behind.

    :param output_file: replaced, whole or not at all.
    :param parameters: written as ``key=value`` lines, UTF-8, in this order.
    :param files: paths or contents, by name.
    :raises InvalidInput: a key, value, name, label or source file is no good; nothing was written.
    :raises ImageError: it could not be made.
    """
    files = files or {}
    own = {} if parameters is None else {parameters_file: _parameter_lines(parameters)}
    _check_names([*own, *files])
    content: dict[str, Path | bytes] = {**own, **files}
    _check_matches("volume label", label, _FAT_LABEL)
    _check_sources(content.values())
    with _making(output_file) as (tree, image):
        _stage(tree, content)
        serial = _digest(tree, content)[:8]
        # mkfs.fat keeps a label's case, by which Linux finds it; mformat does not.
        options = ["--invariant", "-n", label, "-i", serial]
        _pack("mkfs.vfat", *options, "-C", image, str(_floppy_kib(tree)))
        if content:
            _pack("mcopy", "-i", image, *(tree / name for name in content), "::")


def create_iso_image(
    output_file: Path,
    *,
    kernel: Path,
    ramdisk: Path,
    files: Mapping[str, Path | bytes] | None = None,
    kernel_params: str | Sequence[str] = (),
    volume_id: str = "IRONIC_BOOT",
    bios: IsolinuxFiles | None = None,
    uefi: GrubFiles | None = None,
) -> None:
    """Make an ISO 9660 image that boots a kernel at once, without a prompt, in either boot mode.

    With Secure Boot, UEFI boots a kernel that Debian has signed.

    :param output_file: replaced, whole or not at all.
    :param files: what the kernel is to find on the ISO besides: paths or contents, by path on it.
    :param kernel_params: the kernel command line, or its words.
    :param bios: isolinux, for BIOS mode; ``None``: Debian's.
    :param uefi: shim and GRUB, for UEFI mode; ``None``: Debian's.
    :raises InvalidInput: a parameter, the volume id or a source file is no good; nothing was
        written.
    :raises ImageError: it could not be made.
    """
    params = kernel_params if isinstance(kernel_params, str) else " ".join(kernel_params)
    _check_matches("volume id", volume_id, _ISO_VOLUME_ID)
    words = split_kernel_params(params)
    bios_loader = isolinux(bios or IsolinuxFiles(), params)
    uefi_loader = grub(uefi or GrubFiles(), words)
    content: dict[str, Path | bytes] = {"vmlinuz": kernel, "initrd": ramdisk, **(files or {})}
    content |= bios_loader.files | uefi_loader.files
    _check_sources([*content.values(), *uefi_loader.esp_files.values()])
    with _making(output_file) as (tree, image):
        _stage(tree, content)
        _make_esp(tree / ESP_PATH, uefi_loader.esp_files)
        options = [*_iso_options(volume_id), *bios_loader.options, *uefi_loader.options]
        _pack("xorriso", "-no_rc", "-as", "mkisofs", *options, "-o", image, tree)


def _parameter_lines(parameters: Mapping[str, str]) -> bytes:
    for key, value in parameters.items():
        if not key or "=" in key:
            raise InvalidInput(f"The parameter name {key!r} is empty or contains '='.")
        # A value may be a secret, so it is not shown.
        _check_one_line(f"the name of parameter {key!r}", key)
        _check_one_line(f"the value of parameter {key!r}", value)
    return "".join(f"{key}={value}\n" for key, value in parameters.items()).encode()


def _check_one_line(what: str, text: str) -> None:
    if any(char in text for char in "\n\r\0"):
        raise InvalidInput(f"A newline or NUL stands in {what}; it must be a single line.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"A lone surrogate stands in {what}; UTF-8 cannot hold it.") from None


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that FAT cannot hold side by side; it does not tell case apart."""
    seen: set[str] = set()
    for name in names:
        _check_matches("file name", name, _FILE_NAME)
        if name.lower() in seen:
            raise InvalidInput(f"Two files of a FAT image are named {name!r}.")
        seen.add(name.lower())


def _check_matches(what: str, text: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(text):
        raise InvalidInput(f"The {what} {text!r} is not of the form {pattern.pattern}")


def _check_sources(sources: Iterable[Path | bytes]) -> None:
    for source in sources:
        if isinstance(source, Path):
            check_file(source)


@contextmanager
def _making(output_file: Path) -> Iterator[tuple[Path, Path]]:
    """Yield an empty tree to fill and a file to make, and publish that file as the output.

    Both lie in a directory of their own, which nobody else can enter, beside the output: so
    the last step is a rename, and nothing has to be hidden from others before it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".making-", dir=output_file.parent) as private:
            tree, image = Path(private, "tree"), Path(private, "image")
            tree.mkdir()
            yield tree, image
            image.chmod(0o600)
            image.replace(output_file)
    except (OSError, ProcessError) as error:
        raise ImageError(f"{output_file} could not be made: {error}") from error


def _stage(tree: Path, content: Mapping[str, Path | bytes]) -> None:
    """Lay out what goes into an image; files are linked to, as a ramdisk may be large."""
    for name, source in content.items():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            target.write_bytes(source)
        else:
            target.symlink_to(source.resolve())


def _pack(*argv: str | Path) -> None:
    execute(argv, timeout=_SECONDS_TO_PACK, env=_FIXED_TIME | {"MTOOLSRC": os.devnull})


def _floppy_kib(tree: Path) -> int:
    """Find the size of an image that holds the files of a tree."""
    sizes = [file.stat().st_size for file in tree.iterdir()]
    if sum(-(-size // 1024) for size in sizes) <= _FLOPPY_CONTENT_KIB:
        return _FLOPPY_KIB
    content = _kib_in_clusters(sizes, _CLUSTER_KIB)
    # A FAT entry is at most 4 bytes, there are two FATs, and a cluster is at least 512 bytes.
    needed = content + content // 64 + _FAT_OVERHEAD_KIB
    return -(-needed // 1024) * 1024


def _kib_in_clusters(sizes: Iterable[int], cluster_kib: int) -> int:
    return cluster_kib * sum(-(-size // (cluster_kib * 1024)) for size in sizes)


def _digest(tree: Path, names: Iterable[str]) -> str:
    """Hash names and contents of a tree's files, as hex digits."""
    digest = hashlib.sha256()
    for name in names:
        with (tree / name).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


def _make_esp(image: Path, files: Mapping[str, Path]) -> None:
    """Make an EFI system partition that is just large enough."""
    sizes = [file.stat().st_size for file in files.values()]
    kib = _kib_in_clusters(sizes, _ESP_CLUSTER_KIB) + _ESP_OVERHEAD_KIB
    sectors = str(_ESP_CLUSTER_KIB * 2)
    _pack("mkfs.vfat", "--invariant", "-s", sectors, "-C", image, str(kib))
    parents = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    _pack("mmd", "-i", image, *(f"::{parent}" for parent in sorted(parents - {"."})))
    for name, file in files.items():
        _pack("mcopy", "-i", image, file.resolve(), f"::{name}")


def _iso_options(volume_id: str) -> list[str]:
    """Fix the order of files, and all that differs between two runs on the same content."""
    dates = ["--modification-date=1980010100000000", "--set_all_file_dates", "=315532800"]
    owners = ["-uid", "0", "-gid", "0", "-file-mode", "0444", "-dir-mode", "0555"]
    order = [
        option
        for weight, path in enumerate(reversed(_BOOT_ORDER), start=1)
        for option in ("--sort-weight", str(weight), f"/{path}")
    ]
    return ["-V", volume_id, "-R", "-f", "-no-pad", *dates, *owners, *order]
