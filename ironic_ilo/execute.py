"""The one door to other programs.

No shell, no inherited environment but what a tool needs, a deadline always, and no child that
outlives the conductor: a ``qemu-img`` orphaned by a crash would write into the next deploy.
"""

import os
import selectors
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from ironic_ilo.exception import ProcessError

# Proxies and TLS settings of the conductor matter to some tools; nothing else of its
# environment does, and its secrets must not leak into children.
_PASSED_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "SOURCE_DATE_EPOCH")
_KEPT_OUTPUT = 64 * 1024
# Of a command, in an error: qemu-io can get thousands of commands as arguments.
_SHOWN_CHARACTERS = 1000
_SECONDS_TO_END = 5.0

_TICK_SECONDS = 1.0

OutputCallback = Callable[[str], None]
TickCallback = Callable[[int], None]


class ProgramNotFound(ProcessError):
    """A program is not installed on this machine."""


@dataclass(frozen=True)
class Result:
    """What a program printed (the last 64 KiB of each stream) and its exit code."""

    stdout: str
    stderr: str
    exit_code: int


@dataclass(frozen=True)
class Limits:
    """Bounds for a program that reads hostile input.

    :ivar address_space: bytes of virtual memory.
    :ivar cpu_seconds: seconds of CPU time.
    """

    address_space: int
    cpu_seconds: int


def execute(
    argv: Sequence[str | os.PathLike[str]],
    *,
    timeout: float,
    ok_codes: Sequence[int] = (0,),
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    limits: Limits | None = None,
    on_output: OutputCallback | None = None,
    on_tick: TickCallback | None = None,
) -> Result:
    """Run a program to its end.

    :param timeout: seconds after which it is killed.
    :param ok_codes: exit codes that are no failure.
    :param env: variables on top of the few that are passed on.
    :param pass_fds: descriptors it inherits, the way to hand over a secret.
    :param limits: resource bounds, for input that is not trusted.
    :param on_output: called with each piece of its standard output as it comes; what it
        raises ends the program.
    :param on_tick: called with its process id about every second, and whenever it printed
        something; what it raises ends the program.
    :raises ProgramNotFound: it is not installed.
    :raises ProcessError: it ended with another code, or did not end in time.
    """
    command = _bounded(argv, limits)
    with _started(command, argv, env, pass_fds) as process:
        stdout, stderr = _drain(process, time.monotonic() + timeout, on_output, on_tick)
        if process.poll() is None:
            raise ProcessError(
                f"{_shown(argv)} did not end within {timeout:g} s", hint=_last_line(stderr)
            )
        code = process.returncode
    if code not in ok_codes:
        reason = _last_lines(stderr) or _last_lines(stdout) or "it printed nothing"
        raise ProcessError(f"{_shown(argv)} failed (exit code {code}): {reason}", exit_code=code)
    return Result(stdout, stderr, code)


@contextmanager
def secret_descriptor(secret: str) -> Iterator[int]:
    """Yield a descriptor that reads as the secret, for ``pass_fds``: it stands in no file or argv.

    :param secret: at most 4096 bytes, what a pipe takes without a reader.
    """
    read_end, write_end = os.pipe()
    try:
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(secret.encode())
        yield read_end
    finally:
        os.close(read_end)


def _bounded(argv: Sequence[str | os.PathLike[str]], limits: Limits | None) -> list[str]:
    """Prefix a command so that it dies with the thread that waits for it, within its limits."""
    command = ["setpriv", "--pdeathsig", "KILL", "--"]
    if limits is not None:
        command += ["prlimit", f"--as={limits.address_space}", f"--cpu={limits.cpu_seconds}", "--"]
    return command + [os.fspath(arg) for arg in argv]


@contextmanager
def _started(
    command: list[str],
    argv: Sequence[str | os.PathLike[str]],
    env: Mapping[str, str] | None,
    pass_fds: Sequence[int],
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {name: os.environ[name] for name in _PASSED_ENVIRONMENT if name in os.environ}
    environment |= {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"} | dict(env or {})
    # Administrators' tools live in sbin, which is not on every service's PATH.
    environment["PATH"] = environment.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    for program in (command[0], argv[0]):
        if shutil.which(program, path=environment["PATH"]) is None:
            raise ProgramNotFound(
                f"{os.fspath(program)} was not found",
                hint="Install the package that provides it on this machine.",
            )
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a program and its children, and reap it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_SECONDS_TO_END)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _drain(
    process: subprocess.Popen[bytes],
    deadline: float,
    on_output: OutputCallback | None,
    on_tick: TickCallback | None,
) -> tuple[str, str]:
    """Read both streams until they close or the deadline passes; keep their ends."""
    assert process.stdout is not None  # noqa: S101 - both are pipes, see _started
    assert process.stderr is not None  # noqa: S101
    kept: dict[IO[bytes], bytes] = {process.stdout: b"", process.stderr: b""}
    with selectors.DefaultSelector() as selector:
        for stream in kept:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _events in selector.select(min(left, _TICK_SECONDS)):
                stream = process.stdout if key.fileobj is process.stdout else process.stderr
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(stream)
                kept[stream] = (kept[stream] + chunk)[-_KEPT_OUTPUT:]
                if chunk and on_output is not None and stream is process.stdout:
                    on_output(chunk.decode(errors="replace"))
            if on_tick is not None:
                on_tick(process.pid)
    _wait_until(process, deadline)
    return (
        kept[process.stdout].decode(errors="replace"),
        kept[process.stderr].decode(errors="replace"),
    )


def _wait_until(process: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return


def _shown(argv: Sequence[str | os.PathLike[str]]) -> str:
    shown = shlex.join(os.fspath(arg) for arg in argv)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}..."


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else ""


def _last_lines(text: str) -> str:
    return "; ".join(line.strip() for line in text.strip().splitlines()[-3:])
