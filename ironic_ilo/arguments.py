"""Arguments that several commands take; nothing of Ironic is imported here."""

import argparse
from pathlib import Path

#: What Ironic's own services read when they are told nothing.
DEFAULT_CONFIG_FILE = Path("/etc/ironic/ironic.conf")


def add_config_file(
    parser: argparse.ArgumentParser,
    what: str = "configuration file",
    default: str = str(DEFAULT_CONFIG_FILE),
) -> None:
    """Add ``--config-file``, which can be given several times: a list of paths, or ``None``.

    :param what: whose file it is.
    :param default: what is read without one, in words.
    """
    parser.add_argument(
        "--config-file",
        action="append",
        type=Path,
        metavar="FILE",
        help=f"{what}; repeat it for several (default: {default})",
    )
