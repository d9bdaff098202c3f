"""The arguments of ``ironic-ilo check``; what it does needs Ironic, and a second to import it."""

import argparse
import sys
import warnings
from pathlib import Path
from typing import TypeAlias

from ironic_ilo.arguments import DEFAULT_CONFIG_FILE, add_config_file

_Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_HIGHEST_PORT = 65535
PASSWORD_VARIABLE = "IRONIC_ILO_PASSWORD"  # noqa: S105 - where it is, not what it is


def add_parser(subparsers: _Subparsers) -> None:
    """Add the command to a program's; its ``run`` takes the parsed arguments.

    ``run`` returns 0 when no check failed, and 1 otherwise.
    """
    parser = subparsers.add_parser(
        "check",
        # Else --password is taken for --password-file, and a password for a file's name.
        allow_abbrev=False,
        help="check what deploying a node needs, without changing anything",
        description="Check a node's iLO, the object store, the deploy ISO and the lifetimes of "
        "URLs. A NODE is read from Ironic's database, as the conductor's user on its host.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("node", nargs="?", metavar="NODE", help="UUID or name of a node")
    what.add_argument("--address", metavar="HOST", help="check the iLO at this address instead")
    _add_access(parser)
    add_config_file(
        parser,
        "configuration file of the conductor",
        f"with NODE {DEFAULT_CONFIG_FILE}; with --address none, and only the iLO is checked",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="end each check after so long (default: %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list of the findings")
    parser.set_defaults(run=_run, fail=parser.error)


def _add_access(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "with --address",
        f"The password is read from --password-file, else from ${PASSWORD_VARIABLE}, else asked "
        "for. Not given, all others are as for a node without them in driver_info.",
    )
    group.add_argument("--username", metavar="NAME", help="of the iLO; required")
    group.add_argument("--password-file", type=Path, metavar="FILE", help="holds the password")
    group.add_argument("--port", type=_port, help="its HTTPS port")
    group.add_argument(
        "--verify-ca",
        metavar="CA",
        help="True, False, or the CA file or directory to verify its certificate with",
    )
    group.add_argument(
        "--min-tls-version",
        metavar="VERSION",
        help="1.0, 1.1 or 1.2: the oldest TLS, with weak ciphers, to speak",
    )
    group.add_argument("--deploy-iso", metavar="HREF", help="check this ISO, with --config-file")


def _run(arguments: argparse.Namespace) -> int:
    given = (
        arguments.username,
        arguments.password_file,
        arguments.port,
        arguments.verify_ca,
        arguments.min_tls_version,
        arguments.deploy_iso,
    )
    if arguments.node and any(given):
        arguments.fail("NODE has all of its driver_info in the database: use --address instead")
    if arguments.address and not arguments.username:
        arguments.fail("--address needs --username")
    if not sys.warnoptions:  # Ironic's own warnings to developers
        warnings.simplefilter("ignore")
    from ironic_ilo.check import command  # noqa: PLC0415

    return command.run(arguments)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 3600:  # noqa: PLR2004 - said in the error
        raise argparse.ArgumentTypeError("must be from 1 to 3600")
    return seconds


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"must be from 1 to {_HIGHEST_PORT}")
    return port
