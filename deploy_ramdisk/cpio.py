"""Write an initramfs archive without root: the kernel's "newc" cpio format.

Format: Linux ``Documentation/driver-api/early-userspace/buffer-format.rst``. Device nodes are only
numbers in it, so no privilege is needed to make them. The same entries give the same bytes:
they are sorted, owned by root, and dated 1970.
"""

import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One file, directory, symbolic link or device node.

    :ivar mode: type and permission bits, as in ``st_mode``.
    :ivar data: a file's content or a link's target.
    :ivar device: major and minor number of a device node.
    """

    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def file(data: bytes, permissions: int = 0o644) -> Entry:
    return Entry(stat.S_IFREG | permissions, data)


def directory(permissions: int = 0o755) -> Entry:
    return Entry(stat.S_IFDIR | permissions)


def symlink(target: str) -> Entry:
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def character_device(major: int, minor: int, permissions: int) -> Entry:
    return Entry(stat.S_IFCHR | permissions, device=(major, minor))


def pack(entries: Mapping[str, Entry]) -> bytes:
    """Make an archive.

    :param entries: by path relative to the root, without a leading slash; missing parent
        directories are added.
    """
    complete = {parent: directory() for parent in _parents(entries)} | dict(entries)
    chunks: list[bytes] = []
    # Sorted, a parent comes before what it holds, as the kernel needs it.
    for inode, path in enumerate(sorted(complete), start=1):
        chunks += _record(path, complete[path], inode)
    chunks += _record(_TRAILER, Entry(0), 0)
    return b"".join(chunks)


def _parents(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield from (str(parent) for parent in PurePosixPath(path).parents if parent.name)


def _record(path: str, entry: Entry, inode: int) -> Iterator[bytes]:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    owner, group, time, archive_device = 0, 0, 0, (0, 0)
    fields = [inode, entry.mode, owner, group, links, time, len(entry.data), *archive_device]
    fields += [*entry.device, len(name), 0]
    header = _MAGIC + b"".join(b"%08X" % field for field in fields) + name
    yield header + _padding(header)
    yield entry.data + _padding(entry.data)


def _padding(data: bytes) -> bytes:
    return b"\0" * (-len(data) % 4)
