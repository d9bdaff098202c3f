"""A private tgtd: a real iSCSI target in user space, for tests of whatever speaks to one."""

import contextlib
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LUN = 1
_SECONDS_TO_ACT = 30.0
_SECONDS_TO_END = 10.0


class Tgtd:
    """One running tgtd; :func:`start_tgtd` makes it.

    :ivar portal: ``host:port`` where it listens.
    :ivar process: the daemon, for tests that freeze or end it.
    """

    def __init__(
        self, portal: str, process: subprocess.Popen, control: tuple[list[str], dict[str, str]]
    ) -> None:
        self.portal = portal
        self.process = process
        self._tgtadm_command, self._environment = control
        self._accounts: dict[str, str] = {}
        self._tids: dict[str, str] = {}
        self._last_tid = 0

    def add_target(
        self,
        iqn: str,
        backing_file: Path,
        *,
        lun: int = LUN,
        chap: tuple[str, str] | None = None,
        initiator_iqn: str | None = None,
        thin: bool = False,
        sector_size: int = 512,
    ) -> None:
        """Offer a file as a disk.

        :param chap: user and secret that an initiator must prove to know; ``None``: no proof.
        :param initiator_iqn: the only initiator accepted; ``None``: any.
        :param thin: punch holes for UNMAP, and say that they read as zeros (LBPRZ).
        """
        self._last_tid += 1
        tid = self._tids[iqn] = str(self._last_tid)
        target = ("--mode", "target", "--tid", tid)
        self._tgtadm("--op", "new", *target, "-T", iqn)
        self.add_unit(iqn, backing_file, lun=lun, thin=thin, sector_size=sector_size)
        if chap is not None:
            self._require_chap(tid, *chap)
        bound = ("-I", "ALL") if initiator_iqn is None else ("-Q", initiator_iqn)
        self._tgtadm("--op", "bind", *target, *bound)

    def add_unit(
        self, iqn: str, backing_file: Path, *, lun: int, thin: bool = False, sector_size: int = 512
    ) -> None:
        """Offer one more file as a disk of a target; see :meth:`add_target`."""
        unit = ("--mode", "logicalunit", "--tid", self._tids[iqn], "--lun", str(lun))
        self._tgtadm("--op", "new", *unit, "-b", str(backing_file),
                     "--blocksize", str(sector_size))  # fmt: skip
        if thin:
            self._tgtadm("--op", "update", *unit, "--params", "thin_provisioning=1")

    def remove_target(self, iqn: str) -> None:
        """Withdraw a disk, unless it is gone already, and end who uses it."""
        if iqn not in self._tids:
            return
        delete = ("--op", "delete", "--force", "--mode", "target", "--tid", self._tids.pop(iqn))
        # Refused while a command of a session that has just ended is still at work.
        _wait_until(lambda: self._succeeds(*delete), "tgtd does not give up the target")

    def fail_writes_beyond(self, offset: int) -> None:
        """Let whatever is written behind so many bytes of a file fail, as on a broken disk."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (offset, offset))

    def _require_chap(self, tid: str, user: str, secret: str) -> None:
        account = ("--mode", "account", "--user", user)
        if user not in self._accounts:
            self._tgtadm("--op", "new", *account, "--password", secret)
        assert self._accounts.setdefault(user, secret) == secret, "a user has one secret in a tgtd"
        self._tgtadm("--op", "bind", *account, "--tid", tid)

    def _tgtadm(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tgtadm_command, *arguments], env=self._environment, check=False,
            capture_output=True, text=True, timeout=_SECONDS_TO_ACT,
        )  # fmt: skip
        # Arguments hold a secret, which belongs in no test log either.
        assert done.returncode == 0, f"tgtadm {arguments[:4]} failed: {done.stderr}"
        return done.stdout

    def _succeeds(self, *arguments: str) -> bool:
        with contextlib.suppress(AssertionError):
            self._tgtadm(*arguments)
            return True
        return False

    def wait_until_ready(self) -> None:
        """Wait until it takes commands and connections."""
        _wait_until(self._answers, "tgtd does not answer: is its port or control port taken?")

    def _answers(self) -> bool:
        with contextlib.suppress(AssertionError):
            return self.portal in self._tgtadm("--op", "show", "--mode", "portal")
        return False


def _wait_until(condition: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + _SECONDS_TO_ACT
    while not condition():
        assert time.monotonic() < deadline, failure
        time.sleep(0.05)


@contextmanager
def start_tgtd(portal: str, control_port: int) -> Iterator[Tgtd]:
    """Run a tgtd that listens on ``portal`` alone, and end it.

    :param portal: ``host:port``, an IPv6 address in brackets.
    :param control_port: names its control socket, in a directory of its own; not a TCP port.
    """
    with tempfile.TemporaryDirectory(prefix="tgtd-") as directory:
        environment = {
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
            "TGT_IPC_SOCKET": f"{directory}/control",
        }
        log = Path(directory, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["tgtd", "-f", "-C", str(control_port), "--iscsi", f"portal={portal}"],
                env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                # Python ignores SIGXFSZ; so does tgtd then: see fail_writes_beyond.
                restore_signals=False,
            )  # fmt: skip
        command = ["tgtadm", "-C", str(control_port), "--lld", "iscsi"]
        try:
            tgtd = Tgtd(portal, process, (command, environment))
            tgtd.wait_until_ready()
            yield tgtd
        finally:
            process.kill()  # it ignores SIGTERM while it has targets
            process.wait(_SECONDS_TO_END)
