"""Find files in trees that each stand for ``/``: an unpacked package, or an installed system.

A link in a tree means what it would mean there: Debian's absolute links, such as the one to its
dynamic loader, lead into the tree and never into this machine's own files.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

_LINKS_AT_MOST = 40  # as the kernel has it: path_resolution(7)


def find(path: str, trees: Iterable[Path]) -> Path | None:
    """Find a file or directory in the first tree that has it.

    :param path: as it was before Debian merged ``/`` into ``/usr``; either place will do.
    :returns: where it is, with all links followed.
    :raises OSError: the links go in a circle.
    """
    return next(find_all(path, trees), None)


def find_all(path: str, trees: Iterable[Path]) -> Iterator[Path]:
    """Find a file or directory in each tree, as :func:`find` does, in both places."""
    for tree in trees:
        for place in (path, f"usr/{path}"):
            found = follow(tree, place)
            if found.exists():
                yield found


def follow(tree: Path, path: str) -> Path:
    """Follow the links in a path as a process would whose root directory is the tree."""
    done, links = PurePosixPath("/"), 0
    parts = list(reversed(PurePosixPath(path).parts))
    while parts:
        part = parts.pop()
        # A part "/", which begins an absolute link, starts again from the root.
        step = done.parent if part == ".." else done / part
        file = tree / step.relative_to("/")
        if not file.is_symlink():
            done = step
            continue
        links += 1
        if links > _LINKS_AT_MOST:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(tree / path))
        parts += reversed(file.readlink().parts)
    return tree / done.relative_to("/")
