"""Find the processes that a process has started, while threads and processes come and go."""

from collections.abc import Iterator
from pathlib import Path


def find_children(pid: int) -> list[int]:
    """Find a process's children that have not been reaped, whichever thread started them."""
    tasks = _list(Path(f"/proc/{pid}/task"))
    return [int(child) for task in tasks for child in read_text(task / "children").split()]


def find_descendants(pid: int) -> Iterator[int]:
    """Find a process's children, and theirs."""
    for child in find_children(pid):
        yield child
        yield from find_descendants(child)


def find_name(pid: int) -> str:
    """Tell what a process runs, in 15 characters at most; empty: it has ended."""
    return read_text(Path(f"/proc/{pid}/comm")).strip()


def read_text(path: Path) -> str:
    """Read a file in ``/proc``; empty: what it tells of has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _list(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:  # it has ended
        return []
