"""The ``ironic-ilo`` command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import deploy_ramdisk.cli
from ironic_ilo import exception
from ironic_ilo.check import cli as check_cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    :returns: the exit code: 0, 1 when it failed, 2 when it was called wrongly.
    """
    parser = argparse.ArgumentParser(
        prog="ironic-ilo", description="Tools beside the ironic-ilo driver for Ironic."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve_images(subparsers)
    deploy_ramdisk.cli.add_parsers(subparsers)
    check_cli.add_parser(subparsers)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except exception.Error as exc:
        sys.stderr.write(f"ironic-ilo: {exc}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _add_serve_images(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "serve-images",
        help="serve floppies and boot ISOs to the iLOs",
        description="Serve the images that conductors publish, under signed and expiring URLs. "
        "Its configuration is the [ilo] section of ironic.conf.",
    )
    parser.add_argument(
        "--config-file",
        action="append",
        type=Path,
        metavar="FILE",
        help="configuration file; repeat it for several (default: /etc/ironic/ironic.conf)",
    )
    parser.add_argument(
        "--ready-file",
        type=Path,
        metavar="FILE",
        help="write the port that is listened on to this file, once it is",
    )
    parser.set_defaults(run=_serve_images)


def _serve_images(arguments: argparse.Namespace) -> None:
    # Only this command needs Ironic's options ($state_path), and they take a second to import.
    from ironic_ilo import serve_images  # noqa: PLC0415

    serve_images.run(arguments.config_file, arguments.ready_file)
