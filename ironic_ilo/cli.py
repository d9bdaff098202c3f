"""The ``ironic-ilo`` command."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import deploy_ramdisk.cli
from ironic_ilo import exception
from ironic_ilo.arguments import add_config_file
from ironic_ilo.check import cli as check_cli

_SOMETHING_FOUND = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    :returns: the exit code: 0, 1 when it failed, 2 when it was called wrongly, 3 when a check
        has found something.
    """
    parser = argparse.ArgumentParser(
        prog="ironic-ilo", description="Tools beside the ironic-ilo driver for Ironic."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve_images(subparsers)
    _add_upgrade_check(subparsers)
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
    add_config_file(parser)
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


def _add_upgrade_check(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "upgrade-check",
        help="list what nodes have left of Ironic's removed ilo drivers",
        description="List nodes, deploy templates, runbooks and options that name what went with "
        "Ironic's ilo and ilo5 hardware types, and what to do. Ironic's configuration and "
        "database are read, and nothing is changed. The exit code is 3 if there is something to "
        "do.",
    )
    add_config_file(parser)
    parser.set_defaults(run=_check_upgrade)


def _check_upgrade(arguments: argparse.Namespace) -> int:
    # Of no use to whoever runs this: what Ironic imports tries eventlet.
    warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
    from ironic_ilo import upgrade_check  # noqa: PLC0415 - as above

    findings = upgrade_check.run(arguments.config_file)
    for finding in sorted(findings, key=lambda each: not each.must):
        mark = "to do" if finding.must else "note"
        sys.stdout.write(f"{mark}: {finding.subject}: {finding.text}\n")
    if not findings:
        sys.stdout.write("Nothing is left of the removed drivers.\n")
    return _SOMETHING_FOUND if findings else 0
