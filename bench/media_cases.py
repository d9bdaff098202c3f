"""Making floppies and boot ISOs: ours, and the functions of Ironic that do the same.

What Ironic 39 has needs neither root nor mounts for these; only to take the EFI boot loader out of
a deploy ISO would it mount that, so it is given a ready one here.
"""

import os
import random
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ironic.common import images as ironic_images
from ironic.common.kernel_parameters import KernelCommandLine
from ironic.conf import CONF

from bench.case import Case, Context
from bench.measure import measure
from bench.results import Row, Sample
from bench.stores import MIB
from ironic_ilo import images
from ironic_ilo.boot_loaders import IsolinuxFiles

_PARAMETERS = {f"parameter_{number}": "0123456789abcdef" * 4 for number in range(12)}
_KERNEL_PARAMS = ("root=UUID=6fb8a0c5-9d4e-4d1a-8f64-6c5d6f1a2b3c", "ro", "console=ttyS0")
# As Debian's are, and its ESP of shim and GRUB.
_KERNEL_MIB, _RAMDISK_MIB, _ESP_MIB = 8, 32, 6

Make = Callable[[Path], None]


class MediaCase(Case):
    """Files made by ours and by Ironic's functions.

    A row's ratio: how many times as long as ours the function took.
    """

    @abstractmethod
    def makers(self, directory: Path) -> Mapping[str, Make]:
        """Return the functions, ours first; each makes the file it is given."""

    def seconds(self, context: Context) -> float:
        """See :class:`Case`."""
        return 6.0 + 3.0 * context.repeat

    def bytes_needed(self, context: Context) -> int:
        """See :class:`Case`."""
        del context
        return 8 * _RAMDISK_MIB * MIB

    def measure(self, context: Context, directory: Path) -> Sequence[Row]:
        """See :class:`Case`."""
        with _what_ironic_needs(directory):
            makers = self.makers(directory)
            samples: dict[str, list[Sample]] = {name: [] for name in makers}
            for _round in context.rounds(self.name):
                for name, make in makers.items():
                    samples[name].append(_measure_once(make, directory / "made"))
        rows = [Row(self.name, name, found) for name, found in samples.items()]
        return [replace(row, ratio=row.wall_s / rows[0].wall_s) for row in rows]


class FloppyCase(MediaCase):
    """A floppy with a parameter file."""

    name = "floppy"

    def makers(self, directory: Path) -> Mapping[str, Make]:
        """See :class:`MediaCase`."""
        del directory
        return {
            "ironic-ilo": lambda made: images.create_vfat_image(made, parameters=_PARAMETERS),
            "ironic.common.images": lambda made: ironic_images.create_vfat_image(
                str(made), parameters=_PARAMETERS
            ),
        }


class BootIsoCase(MediaCase):
    """An ISO that boots an instance's kernel; ours boots in both modes, theirs in one."""

    name = "boot-iso"

    def makers(self, directory: Path) -> Mapping[str, Make]:
        """See :class:`MediaCase`."""
        kernel = _noise(directory / "vmlinuz", _KERNEL_MIB)
        ramdisk = _noise(directory / "initrd", _RAMDISK_MIB)
        esp = _noise(directory / "esp", _ESP_MIB)
        params = KernelCommandLine.parse(" ".join(_KERNEL_PARAMS))
        theirs = {"kernel": str(kernel), "ramdisk": str(ramdisk), "kernel_cmd_line": params}
        return {
            "ironic-ilo, BIOS and UEFI": lambda made: images.create_iso_image(
                made, kernel=kernel, ramdisk=ramdisk, kernel_params=_KERNEL_PARAMS
            ),
            "ironic.common.images, BIOS": lambda made: (
                ironic_images.create_isolinux_image_for_bios(str(made), **theirs)
            ),
            "ironic.common.images, UEFI": lambda made: ironic_images.create_esp_image_for_uefi(
                str(made), esp_image=str(esp), **theirs
            ),
        }


def all_media_cases() -> list[Case]:
    """Make the cases of virtual media."""
    return [FloppyCase(), BootIsoCase()]


def _measure_once(make: Make, made: Path) -> Sample:
    try:
        return measure(lambda: make(made))
    finally:
        made.unlink(missing_ok=True)


def _noise(path: Path, mib: int) -> Path:
    path.write_bytes(random.Random(mib).randbytes(mib * MIB))
    return path


@contextmanager
def _what_ironic_needs(directory: Path) -> Iterator[None]:
    """Let Ironic find isolinux, and mkisofs: xorriso under that name, so both pack alike."""
    tools = directory / "tools"
    tools.mkdir()
    (tools / "mkisofs").symlink_to("/usr/bin/xorrisofs")
    path = os.environ["PATH"]
    CONF.set_override("isolinux_bin", str(IsolinuxFiles().isolinux_bin))
    os.environ["PATH"] = f"{path}:/usr/sbin:{tools}"
    try:
        yield
    finally:
        os.environ["PATH"] = path
        CONF.clear_override("isolinux_bin")
