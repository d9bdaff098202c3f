"""The lab's commands: ``demo``, ``up``, ``status``, ``env``, ``down``."""

import argparse
import json
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from ilo_emulator.firmware import BootMode
from ilo_emulator.profile import PROFILES
from ironic_ilo.exception import Error, InvalidInput
from lab.demo import Demo, Result
from lab.keeper import Lab, find_lab, stop_lab
from lab.openstack.keystone import ADMIN, OWNER
from lab.process import own_command
from lab.report import reporting, timeline_table
from lab.settings import OPENSTACK, STANDALONE, UEFI, Ports, Settings, default_directory
from lab.signals import Stopped, stopped_by_signals
from lab.status import print_nodes, read_status
from lab.up import bring_up

_MOST_NODES = 64
_BIOS = "bios"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    :returns: the exit code: 0, 1 when it failed, 2 when it was called wrongly, 130 or 143 when a
        signal stopped it.
    """
    arguments = _parser().parse_args(argv)
    try:
        with stopped_by_signals(
            signal.SIGINT, signal.SIGTERM, signal.SIGHUP, notice="\nStopping ...\n"
        ):
            arguments.run(arguments)
    except Error as error:
        Console(stderr=True).print(f"\n{error}", style="red", markup=False, highlight=False)
        return 1
    except Stopped as stopped:
        sys.stderr.write("Stopped; nothing is left running.\n")
        return stopped.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./run lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = _add(commands, "demo", _demo, "deploy Debian onto an emulated server, start to end")
    demo.prog = "./run demo"
    _add_settings(demo)
    demo.add_argument("--keep", action="store_true", help="leave everything running at the end")
    demo.add_argument("--no-reboot", action="store_true", help="do not boot the instance twice")
    demo.add_argument("--json", action="store_true", help="print the outcome as one JSON object")
    up = _add(commands, "up", _up, "start Ironic and emulated servers, enrolled")
    _add_settings(up)
    up.add_argument("--nodes", type=_node_count, default=1, metavar="N", help="servers (1)")
    status = _add(commands, "status", _status, "show services and nodes")
    status.add_argument("--json", action="store_true", help="as one JSON object")
    env = _add(commands, "env", _env, "print variables for the baremetal client, for eval")
    env.add_argument("--user", choices=(ADMIN, OWNER), default=ADMIN, help="of Keystone (admin)")
    _add(commands, "down", _down, "stop everything that 'up' or 'demo --keep' started")
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: object,
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.add_argument(
        "--dir",
        type=Path,
        default=default_directory(),
        help="the lab's files; one lab each (default: .lab in the checkout)",
    )
    parser.set_defaults(run=run)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--services",
        choices=(STANDALONE, OPENSTACK),
        default=STANDALONE,
        help="what Ironic works with: an image server, or Keystone, Glance and Swift (standalone)",
    )
    parser.add_argument(
        "--generation", choices=PROFILES, metavar="NAME",
        help=f"of the servers: {', '.join(PROFILES)} (one with the boot mode)",
    )  # fmt: skip
    parser.add_argument(
        "--boot-mode", choices=(_BIOS, UEFI),
        help="that the servers are delivered with (the generation's own; bios without one)",
    )  # fmt: skip
    parser.add_argument(
        "--secure-boot", action="store_true", help="servers in UEFI mode, with Secure Boot on"
    )
    for name, port in asdict(Ports()).items():
        parser.add_argument(
            Ports.option(name), type=int, default=port, metavar="N", help=f"0: any ({port})"
        )
    parser.add_argument(
        "--address",
        default=Settings.first_address,
        help=f"loopback address of the first iLO; the others follow ({Settings.first_address})",
    )


def _node_count(text: str) -> int:
    count = int(text)
    if count not in range(1, _MOST_NODES + 1):
        raise argparse.ArgumentTypeError(f"must be from 1 to {_MOST_NODES}")
    return count


def _boot_mode(arguments: argparse.Namespace) -> BootMode:
    """Choose the boot mode of the servers."""
    if arguments.secure_boot and arguments.boot_mode == _BIOS:
        raise InvalidInput("There is no Secure Boot in BIOS mode", hint="Use --boot-mode uefi.")
    known = PROFILES[arguments.generation].boot_modes if arguments.generation else tuple(BootMode)
    if not (arguments.boot_mode or arguments.secure_boot):
        return known[0]
    chosen = BootMode.LEGACY if arguments.boot_mode == _BIOS else BootMode.UEFI
    if chosen not in known:
        raise InvalidInput(
            f"Servers of {arguments.generation} do not boot in {chosen.lower()} mode",
            hint="Choose another --generation or --boot-mode.",
        )
    return chosen


def _settings(arguments: argparse.Namespace, nodes: int) -> Settings:
    return Settings(
        directory=arguments.dir.resolve(),
        ports=Ports(**{name: getattr(arguments, f"{name}_port") for name in asdict(Ports())}),
        nodes=nodes,
        first_address=arguments.address,
        services=arguments.services,
        generation=arguments.generation,
        boot_mode=_boot_mode(arguments).lower(),
        secure_boot=arguments.secure_boot,
    )


def _demo(arguments: argparse.Namespace) -> None:
    console = Console(stderr=arguments.json)
    with reporting(console) as reporter:
        settings = _settings(arguments, nodes=1)
        demo = Demo(settings, reporter, keep=arguments.keep, reboot=not arguments.no_reboot)
        result = demo.run()
    if arguments.json:
        print(json.dumps(result.as_dict()))
    else:
        _print_result(console, demo, result)
    if arguments.keep:
        _print_how_to_play(console, _find(arguments.dir))


def _up(arguments: argparse.Namespace) -> None:
    console = Console()
    with reporting(console) as reporter:
        bring_up(_settings(arguments, arguments.nodes), reporter)
    lab = _find(arguments.dir)
    print_nodes(console, read_status(lab))
    _print_how_to_play(console, lab)


def _status(arguments: argparse.Namespace) -> None:
    status = read_status(_find(arguments.dir))
    if arguments.json:
        print(json.dumps(status))
        return
    console = Console()
    for service in status["services"]:
        answer = "answers" if service["answers"] else "does not answer"
        console.print(f"{service['name']:<13} {service['url']} {answer}", highlight=False)
    print_nodes(console, status)


def _env(arguments: argparse.Namespace) -> None:
    print("\n".join(_environment(_find(arguments.dir), arguments.user)))


def _down(arguments: argparse.Namespace) -> None:
    if not stop_lab(arguments.dir.resolve()):
        print(f"No lab is running in {arguments.dir}.")


def _find(directory: Path) -> Lab:
    lab = find_lab(directory.resolve())
    if lab is None:
        raise InvalidInput(
            f"No lab is running in {directory}", hint="Start one with './run lab up'."
        )
    return lab


def _print_result(console: Console, demo: Demo, result: Result) -> None:
    console.print(timeline_table(demo.timeline))
    logins = "a login twice" if result.logins_seen > 1 else "a login"
    console.print(
        f"The node is {result.provision_state} and {result.power_state}, in {result.boot_mode} "
        f"mode; its instance asked for {logins}. "
        f"Deploying took {result.seconds['deploy']:.0f} s.",
        highlight=False,
    )
    console.print(f"Console log: {result.console_log}", soft_wrap=True, highlight=False)
    console.print(f"Screenshot:  {result.screenshot}", soft_wrap=True, highlight=False)


def _environment(lab: Lab, user: str) -> list[str]:
    if lab.services.keystone is None:
        variables = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": lab.services.api_url}
    else:
        variables = lab.services.keystone.environment(user)
    commands = shlex.quote(str(own_command("baremetal").parent))
    return [
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f"export PATH={commands}:$PATH",
    ]


def _print_how_to_play(console: Console, lab: Lab) -> None:
    option = "" if lab.directory == default_directory() else f" --dir {lab.directory}"
    name = next(iter(lab.services.servers))
    lines = [
        "",
        "It is all left running. To play with it:",
        f'    eval "$(./run lab env{option})"',
        "    baremetal node list",
        f"    baremetal node show {name}",
        f"    baremetal node reboot {name}",
        f"    baremetal node undeploy {name}",
        f"    ./run lab status{option}",
        f"    ./run lab down{option}",
    ]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
