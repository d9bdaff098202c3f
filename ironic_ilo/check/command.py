"""What ``ironic-ilo check`` does: one group of checks after the other, printed as they end."""

import argparse
import getpass
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ironic.conf import CONF

from ironic_ilo import publisher
from ironic_ilo.arguments import DEFAULT_CONFIG_FILE
from ironic_ilo.check import deploy_iso, ilo, report, store, subject
from ironic_ilo.check.cli import PASSWORD_VARIABLE
from ironic_ilo.check.findings import (
    Check,
    Finding,
    Group,
    Status,
    Verdict,
    ok,
    run_checks,
    skipped,
)
from ironic_ilo.check.lifetimes import judge_lifetimes
from ironic_ilo.exception import InvalidInput
from ironic_ilo.ironic_records import load_config
from ironic_ilo.object_store import ObjectStore

_NEEDS_CONFIG = "Name the conductor's --config-file to have it checked."


def run(arguments: argparse.Namespace) -> int:
    """Check, and print what is found.

    :returns: the exit code: 0, or 1 when a check failed.
    :raises InvalidInput: there is no password.
    """
    _be_quiet()
    findings = _Checking(arguments).findings()
    show = report.print_json if arguments.json else report.print_text
    return 1 if Status.FAILURE in show(findings, sys.stdout) else 0


def _be_quiet() -> None:
    """Let the libraries log nothing to the terminal: their errors come back as findings."""
    logging.getLogger().addHandler(logging.NullHandler())


class _Checking:
    """One run of the command."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._files: Sequence[Path] = arguments.config_file or (
            [DEFAULT_CONFIG_FILE] if arguments.node else []
        )
        self._node: Any = None if arguments.node else _make_node(arguments)
        self._is_configured = False
        # What is asked in a check must be able to fail before its deadline, with better words.
        self._answer_seconds = arguments.timeout / 2

    def findings(self) -> Iterator[Finding]:
        """Check, one after the other."""
        yield from self._run(Group(list(self._first_checks())))
        if self._node is not None:
            for group in self._groups():
                yield from self._run(group)

    def _run(self, group: Group) -> Iterator[Finding]:
        return run_checks(group, self._arguments.timeout)

    def _first_checks(self) -> Iterator[Check]:
        if self._files:
            yield Check("configuration", self._configuration)
        else:
            load_config([])
        if self._node is None:
            yield Check("node", self._find_node, needs=["configuration"])

    def _configuration(self) -> Verdict:
        load_config(self._files)
        self._is_configured = True
        return ok(", ".join(map(str, self._files)))

    def _find_node(self) -> Verdict:
        self._node = subject.read_node(self._arguments.node)
        return subject.judge_node(self._node)

    def _groups(self) -> Iterator[Group]:
        yield ilo.make_group(partial(subject.read_access, self._node), self._answer_seconds)
        if not self._is_configured:
            hidden = ("store", "deploy-iso", "url-lifetimes")
            yield Group([_skip(name, "no configuration", _NEEDS_CONFIG) for name in hidden])
            return
        yield store.make_group(_place(), self._answer_seconds)
        if self._arguments.node or self._arguments.deploy_iso:
            yield deploy_iso.make_group(self._node, self._answer_seconds)
        else:
            yield Group([_skip("deploy-iso", "no ISO", "Name it with --deploy-iso.")])
        yield Group([Check("url-lifetimes", _lifetimes)])


def _lifetimes() -> Verdict:
    return judge_lifetimes(
        CONF.ilo.deploy_helper_images_ttl, CONF.conductor.deploy_callback_timeout
    )


def _skip(name: str, detail: str, hint: str) -> Check:
    return Check(name, lambda: skipped(detail, hint))


def _place() -> store.Place:
    container = CONF.ilo.swift_ilo_container
    if CONF.ilo.use_web_server_for_images:
        description = f"image server at {CONF.ilo.web_store_url}"
        return store.Place(description, container, _open_web_store)
    # A file with its CA, or whether to verify it at all.
    verify = not CONF.swift.insecure and (CONF.swift.cafile or True)
    return store.Place("Swift", container, publisher.get_object_store, verify)


def _open_web_store() -> ObjectStore:
    opened = publisher.get_object_store()
    store.check_owner(Path(CONF.ilo.web_store_root))
    return opened


def _make_node(arguments: argparse.Namespace) -> subject.GivenNode:
    info = {
        "ilo_address": arguments.address,
        "ilo_username": arguments.username,
        "ilo_password": _read_password(arguments.password_file),
        "client_port": arguments.port,
        "ilo_verify_ca": arguments.verify_ca,
        "ilo_min_tls_version": arguments.min_tls_version,
        "deploy_iso": arguments.deploy_iso,
    }
    return subject.GivenNode(
        arguments.address, {name: value for name, value in info.items() if value is not None}
    )


def _read_password(path: Path | None) -> str:
    """Read the iLO's password from a file, the environment, or the terminal."""
    if path is not None:
        try:
            return path.read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{path} cannot be read: {error}") from None
    if PASSWORD_VARIABLE in os.environ:
        return os.environ[PASSWORD_VARIABLE]
    if not sys.stdin.isatty():
        raise InvalidInput(
            "There is no password, and no terminal to ask for it",
            hint=f"Use --password-file, or set {PASSWORD_VARIABLE}.",
        )
    return getpass.getpass("Password of the iLO: ")
