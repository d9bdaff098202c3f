"""``ilo-emulator``: emulated iLOs in the foreground, until SIGTERM or SIGINT."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ilo_emulator.config import Config, ConfigError, load
from ilo_emulator.emulator import StartError, running


def main(argv: Sequence[str] | None = None) -> int:
    """Run the emulator; the exit code is 2 for a bad configuration, 1 when it cannot start."""
    arguments = _arguments(argv)
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("qemu").setLevel(logging.WARNING)  # it reports every end of a connection
    try:
        config = load(arguments.config)
    except ConfigError as error:
        return _complain(error, 2)
    try:
        asyncio.run(_run(config))
    except (StartError, OSError) as error:
        return _complain(error, 1)
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ilo-emulator", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the TOML file, see the docs")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more")
    return parser.parse_args(argv)


async def _run(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(config):
        await stop.wait()


def _complain(error: Exception, code: int) -> int:
    sys.stderr.write(f"ilo-emulator: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
