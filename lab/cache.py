"""Things that take minutes to build, kept for the next time."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from lab.settings import cache_directory

_DIGEST_LENGTH = 16
_SECONDS_KEPT = 7 * 24 * 3600.0


def digest_files(files: Iterable[Path], *more: str) -> str:
    """Name a recipe by a hash of the files that it consists of, and of what else matters."""
    digest = hashlib.sha256()
    for part in (*(file.read_bytes() for file in sorted(files)), *map(str.encode, more)):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:_DIGEST_LENGTH]


def build_once(name: str, recipe: str, build: Callable[[Path], None]) -> Path:
    """Return the directory that a recipe makes; it is built unless it is there already.

    Another process that wants the same waits. What other recipes made goes when nobody has wanted
    it for a week: another checkout may use it now.

    :param name: of the thing; there is one current recipe for it.
    :param recipe: a hash that changes whenever the result would.
    :param build: fills the empty directory it is given, or raises.
    """
    cache = cache_directory()
    done = cache / f"{name}-{recipe}"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.is_dir():
            os.utime(done)
            return done
        _remove_old(cache.glob(f"{name}-*"))
        unfinished = Path(tempfile.mkdtemp(prefix=f"{name}-unfinished-", dir=cache))
        try:
            build(unfinished)
            unfinished.rename(done)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return done


def _remove_old(directories: Iterable[Path]) -> None:
    for directory in directories:
        if time.time() - directory.stat().st_mtime > _SECONDS_KEPT:
            shutil.rmtree(directory)
