"""The commands ``ironic-ilo build-deploy-iso`` and ``dib-elements-path``."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TypeAlias

import deploy_ramdisk
from deploy_ramdisk.builder import BuildReport, build_deploy_iso
from deploy_ramdisk.installed_packages import InstalledPackages
from deploy_ramdisk.package_cache import PackageCache, default_cache_dir

_Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_parsers(subparsers: _Subparsers) -> None:
    """Add the commands to a program's; their ``run`` takes the parsed arguments and returns 0.

    ``run`` raises :class:`ironic_ilo.exception.Error`, for the program to print.
    """
    _add_build(subparsers)
    _add_elements_path(subparsers)


def _add_build(subparsers: _Subparsers) -> None:
    parser = subparsers.add_parser(
        "build-deploy-iso",
        help="build the ISO that servers boot to be deployed",
        description="Build the deploy ISO from the Debian packages that apt offers here. Needs "
        "no root, and installs nothing.",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ISO to write")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--cache-dir",
        type=Path,
        default=default_cache_dir(),
        help="where packages are kept between builds (default: %(default)s)",
    )
    source.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="fetch nothing: take what is installed in this root directory of a Debian",
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.set_defaults(run=_build)


def _add_elements_path(subparsers: _Subparsers) -> None:
    parser = subparsers.add_parser(
        "dib-elements-path",
        help="print where the elements for diskimage-builder are",
        description="Print the directory to put into ELEMENTS_PATH, for diskimage-builder to find "
        "the element ironic-ilo-deploy-iso.",
    )
    parser.set_defaults(run=_print_elements_path)


def _print_elements_path(_arguments: argparse.Namespace) -> int:
    sys.stdout.write(f"{Path(deploy_ramdisk.__file__).parent / 'elements'}\n")
    return 0


def _build(arguments: argparse.Namespace) -> int:
    """Build, with progress on standard error and the report on standard output."""
    root: Path | None = arguments.root
    source = PackageCache(arguments.cache_dir) if root is None else InstalledPackages(root)
    report = build_deploy_iso(arguments.output, source, on_step=_print_step)
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
