"""What has been found out about a file, remembered for as long as it does not change.

An image is hashed and inspected once per conductor, not by every step of every node: the files
that Ironic's cache gives to the nodes are hard links to one. What is known stands in this
process's memory alone, so no image and no neighbour in the cache's directory can claim to be
verified, and a conductor that starts anew looks again.
"""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ironic_ilo.exception import ImageError

_Fact = TypeVar("_Fact")

# Far more than a conductor deploys at a time; a fact is some hundred bytes.
_MOST = 1000


@dataclass(frozen=True)
class Identity:
    """Which content a file had when it was looked at: it changes with every write.

    Not the time of the last change of its inode, which each hard link to it changes.
    """

    device: int
    inode: int
    size: int
    modified_ns: int


_known: dict[tuple[Identity, Hashable], Future[Any]] = {}
_lock = threading.Lock()


def identify(path: Path) -> Identity:
    """Tell a file's content from others.

    :raises OSError: it is not there.
    """
    found = path.stat()
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def require_same(path: Path, identity: Identity) -> None:
    """Check that a file has still the content that was looked at.

    :raises ImageError: it has been replaced, removed or written to.
    """
    try:
        found = identify(path)
    except OSError:
        found = None
    if found != identity:
        raise ImageError(
            f"The file {path} changed while it was in use",
            hint="Find out who writes to the conductor's image cache, or to the file that it "
            "links to; then deploy again.",
        )


def find_out(path: Path, question: Hashable, look: Callable[[], _Fact]) -> _Fact:
    """Return what ``look`` says about a file; it is asked once while the file stays as it is.

    Whoever asks in the meantime waits for that answer. A failure is told to them, too, and is not
    remembered.

    :param question: what ``look`` finds out, with all that its answer depends on.
    :raises OSError: the file is not there.
    :raises ImageError: it changed while ``look`` was at it.
    """
    identity = identify(path)
    key = (identity, question)
    with _lock:
        known = _known.get(key)
        fact = known or _known.setdefault(key, Future())
    if known is None:
        _answer(key, fact, path, look)
    result: _Fact = fact.result()
    return result


def _answer(
    key: tuple[Identity, Hashable], fact: Future[Any], path: Path, look: Callable[[], Any]
) -> None:
    try:
        found = look()
        require_same(path, key[0])
    except BaseException as error:  # noqa: BLE001 - whatever it is, others wait for it
        with _lock:
            del _known[key]
        fact.set_exception(error)
        return
    fact.set_result(found)
    with _lock:
        _forget_oldest()


def _forget_oldest() -> None:
    done = [key for key, fact in _known.items() if fact.done()]
    for key in done[: max(0, len(done) - _MOST)]:
        del _known[key]
