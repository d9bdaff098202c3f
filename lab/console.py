"""Watching a serial console through its log."""

import time
from pathlib import Path

from ironic_ilo.exception import ProcessError

_POLL_SECONDS = 0.25
_SHOWN_LINES = 15


def end_of(log: Path) -> int:
    """Tell how many bytes a log has now; one that is not there yet has none."""
    return log.stat().st_size if log.exists() else 0


def wait_for_text(log: Path, text: str, *, after: int, timeout: float) -> int:
    """Wait until a console shows a text.

    :param after: offset in bytes; what stands before it does not count.
    :param timeout: seconds.
    :returns: the offset behind the text.
    :raises ProcessError: it did not come in time; the end of the log is in the text.
    """
    deadline = time.monotonic() + timeout
    wanted = text.encode()
    while (found := _read(log, after).find(wanted)) < 0:
        if time.monotonic() > deadline:
            raise ProcessError(
                f"The console did not show {text!r} within {timeout:g} s. "
                + _last_lines(log, after)
            )
        time.sleep(_POLL_SECONDS)
    return after + found + len(wanted)


def _read(log: Path, after: int) -> bytes:
    if not log.exists():
        return b""
    with log.open("rb") as file:
        file.seek(after)
        return file.read()


def _last_lines(log: Path, after: int) -> str:
    lines = _read(log, after).decode(errors="replace").splitlines()[-_SHOWN_LINES:]
    shown = "\n".join(f"    {line}" for line in lines) or "    (nothing)"
    return f"It last showed:\n{shown}\nThe whole log: {log}"
