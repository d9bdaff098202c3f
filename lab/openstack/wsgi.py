"""Runs the services that are WSGI applications, as Keystone and Glance are, in cheroot.

As a program: ``python -m lab.openstack.wsgi MODULE:ATTRIBUTE --port N``. cheroot's own command
does not serve: importing Keystone's application reads the command line, and refuses it.
"""

import argparse
import importlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from cheroot import wsgi

from lab.process import Program, Starting, starting
from lab.settings import LOOPBACK

_THREADS = 8
_SECONDS_TO_START = 120.0


@contextmanager
def starting_application(
    name: str,
    application: str,
    *,
    port: int,
    log: Path,
    environment: Mapping[str, str],
    is_ready: Callable[[], bool],
) -> Iterator[Starting]:
    """Run a WSGI application on the loopback interface while the block runs.

    :param name: what people call it.
    :param application: ``module:attribute``.
    :param environment: variables that tell it where its configuration is.
    :param is_ready: tells whether it answers.
    """
    program = Program(
        name,
        [sys.executable, "-P", "-m", "lab.openstack.wsgi", application, f"--port={port}"],
        log,
        environment=environment,
    )
    with starting(program, is_ready=is_ready, timeout=_SECONDS_TO_START) as service:
        yield service


def main(argv: Sequence[str]) -> None:
    """Serve an application until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("application", metavar="MODULE:ATTRIBUTE")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args(argv)
    module, _, attribute = arguments.application.partition(":")
    application = getattr(importlib.import_module(module), attribute)
    server = wsgi.Server((LOOPBACK, arguments.port), application, numthreads=_THREADS)
    server.prepare()
    # By a thread, for it waits until the main thread, which is interrupted here, serves no more.
    signal.signal(signal.SIGTERM, lambda *_: Thread(target=server.stop).start())
    server.serve()


if __name__ == "__main__":
    own_arguments = sys.argv[1:]
    del sys.argv[1:]
    main(own_arguments)
