"""A Debian in a tar file, made by mmdebstrap without root or mounts of ours."""

import os
from collections.abc import Iterable
from pathlib import Path

from ironic_ilo.exception import ProcessError
from ironic_ilo.execute import execute
from lab.process import Program, run

SUITE = "bookworm"

_SECONDS_TO_BOOTSTRAP = 1800.0
_SECONDS_TO_TRY = 10.0


def bootstrap(
    tarball: Path,
    log: Path,
    *,
    variant: str,
    packages: Iterable[str],
    left_out: Iterable[str],
    options: Iterable[str],
) -> None:
    """Install packages, and what they depend on.

    :param log: takes what mmdebstrap prints.
    :param variant: mmdebstrap's name for the packages that are there anyway.
    :param left_out: patterns of files that are not installed.
    :param options: more options of mmdebstrap: its hooks.
    :raises ProcessError: it failed.
    """
    arguments = [
        f"--variant={variant}",
        "--architectures=amd64",
        f"--include={','.join(packages)}",
        '--aptopt=Apt::Install-Recommends "false"',
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in left_out),
        *options,
    ]
    program = Program(
        "mmdebstrap",
        [*_command(), *arguments, SUITE, tarball],
        log,
        # It needs administrators' tools, and removes its directory in /tmp when told to stop.
        environment={"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"},
        stop_seconds=60.0,
    )
    run(program, timeout=_SECONDS_TO_BOOTSTRAP)


def _command() -> list[str]:
    """Choose how it gets to be root of what it installs: in a user namespace, if it may make one.

    Containers and chroots often forbid that; sudo is what ``./run`` installs packages with, too.
    """
    if os.geteuid() == 0:
        return ["mmdebstrap", "--mode=root"]
    try:
        execute(["unshare", "--user", "true"], timeout=_SECONDS_TO_TRY)
    except ProcessError:
        return ["sudo", "--non-interactive", "mmdebstrap", "--mode=root"]
    return ["mmdebstrap", "--mode=unshare"]
