"""The command ``ironic-ilo build-deploy-iso``."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from deploy_ramdisk.builder import BuildReport, build_deploy_iso, default_cache_dir


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a program's; its ``run`` takes the parsed arguments and returns 0.

    ``run`` raises :class:`ironic_ilo.exception.Error`, for the program to print.
    """
    parser = subparsers.add_parser(
        "build-deploy-iso",
        help="build the ISO that servers boot to be deployed",
        description="Build the deploy ISO from the Debian packages that apt offers here. Needs "
        "no root, and installs nothing.",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ISO to write")
    parser.add_argument(
        "--cache-dir",
        type=Path,
        help=f"where packages are kept between builds (default: {default_cache_dir()})",
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Build, with progress on standard error and the report on standard output."""
    report = build_deploy_iso(arguments.output, cache_dir=arguments.cache_dir, on_step=_print_step)
    sys.stdout.write(f"{_as_json(report) if arguments.json else _as_text(report)}\n")
    return 0


def _print_step(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _as_json(report: BuildReport) -> str:
    return json.dumps(dataclasses.asdict(report), default=str)


def _as_text(report: BuildReport) -> str:
    size, seconds = f"{report.size / 2**20:.1f} MiB", f"{report.seconds:.0f} s"
    kernel = f"kernel {report.kernel_version} with {len(report.modules)} modules"
    lines = [f"{report.output}: {size}, {kernel}, built in {seconds}"]
    lines += [
        f"Driver {driver} is left without firmware: {', '.join(files)}"
        for driver, files in report.missing_firmware.items()
    ]
    if report.missing_firmware:
        lines.append("Enable non-free-firmware in the apt sources to have it included.")
    if report.drivers_not_in_kernel:
        lines.append(f"Not in this kernel: {', '.join(report.drivers_not_in_kernel)}")
    return "\n".join(lines)
