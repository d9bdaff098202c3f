"""What an ISO says of itself: its size, and what boots it (ECMA-119; El Torito 1.0).

Three sectors tell that, which is why no library reads the whole tree, perhaps over HTTP.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ironic_ilo.exception import ImageError

Reader = Callable[[int, int], bytes]
"""Reads bytes at an offset; fewer, or none, behind the end."""

_SECTOR = 2048
_FIRST_DESCRIPTOR = 16
# More than any ISO has.
_MOST_DESCRIPTORS = 16
_MAGIC = b"CD001"
_BOOT_RECORD, _PRIMARY, _TERMINATOR = 0, 1, 255
_EL_TORITO = b"EL TORITO SPECIFICATION"
_ENTRY = 32
_VALIDATION = 0x01
_BOOTABLE = 0x88
_SECTION_HEADERS = (0x90, 0x91)
_PLATFORMS = {0x00: "BIOS", 0xEF: "UEFI"}

_BUILD_AGAIN = "Name the file that 'ironic-ilo build-deploy-iso' made, or make it again."


@dataclass(frozen=True)
class Iso:
    """What an ISO says of itself.

    :ivar size: bytes of its volume; the file may be larger.
    :ivar boots: ``BIOS``, ``UEFI`` or both.
    """

    size: int
    boots: tuple[str, ...]


def read_iso(read: Reader) -> Iso:
    """Read an ISO, and make sure that it is all there.

    :raises ImageError: it is no ISO, is cut off, or does not boot.
    """
    descriptors = {each[0]: each for each in _read_descriptors(read)}
    if _PRIMARY not in descriptors:
        raise ImageError("It is no ISO 9660 image", hint=_BUILD_AGAIN)
    (blocks,) = struct.unpack_from("<L", descriptors[_PRIMARY], 80)
    (block_size,) = struct.unpack_from("<H", descriptors[_PRIMARY], 128)
    size = blocks * block_size
    if not read(max(size - 1, 0), 1):
        raise ImageError(
            f"It is cut off: it says that it has {size} bytes, and there are fewer",
            hint="Copy or upload it again.",
        )
    return Iso(size, _read_platforms(read, descriptors.get(_BOOT_RECORD, b"")))


def _read_descriptors(read: Reader) -> Iterator[bytes]:
    for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _MOST_DESCRIPTORS):
        descriptor = read(number * _SECTOR, _SECTOR)
        if len(descriptor) < _SECTOR or descriptor[1:6] != _MAGIC:
            return
        if descriptor[0] == _TERMINATOR:
            return
        yield descriptor


def _read_platforms(read: Reader, boot_record: bytes) -> tuple[str, ...]:
    if boot_record[7 : 7 + len(_EL_TORITO)] != _EL_TORITO:
        raise ImageError("It is an ISO that does not boot (no El Torito)", hint=_BUILD_AGAIN)
    (sector,) = struct.unpack_from("<L", boot_record, 71)
    catalog = read(sector * _SECTOR, _SECTOR)
    platforms = tuple(dict.fromkeys(_parse_catalog(catalog)))
    if not platforms:
        raise ImageError("It is an ISO that does not boot (empty catalog)", hint=_BUILD_AGAIN)
    return platforms


def _parse_catalog(catalog: bytes) -> Iterator[str]:
    """Name the platforms of the bootable entries: a first one, then sections of their own."""
    entries = [catalog[at : at + _ENTRY] for at in range(0, len(catalog) - _ENTRY + 1, _ENTRY)]
    if not entries or entries[0][0] != _VALIDATION or entries[0][30:32] != b"\x55\xaa":
        return
    platform = entries[0][1]
    for entry in entries[1:]:
        if entry[0] in _SECTION_HEADERS:
            platform = entry[1]
        elif entry[0] == _BOOTABLE and platform in _PLATFORMS:
            yield _PLATFORMS[platform]
