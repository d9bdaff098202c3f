"""Services and builds are started, waited for, and always reaped."""

import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ironic_ilo.exception import ProcessError
from lab.process import Program, own_command, run, running

DEADLINE = 60


def shell(tmp_path, script, **options):
    return Program("The thing", ["sh", "-c", script], tmp_path / "logs" / "thing.log", **options)


def is_alive(pid):
    """Tell a living process from one that is gone, or dead and not yet reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_own_command_is_that_of_this_environment():
    assert own_command("python3").samefile(sys.executable)


def test_service_runs_while_the_block_does(tmp_path):
    ready = tmp_path / "ready"
    program = shell(tmp_path, f"sleep 0.2; touch {ready}; exec sleep 600")
    with running(program, is_ready=ready.exists, timeout=DEADLINE) as process:
        assert ready.exists()
        assert is_alive(process.pid)
    assert process.returncode == -signal.SIGTERM


def test_children_of_a_service_end_with_it(tmp_path):
    child = tmp_path / "child"
    script = f"sleep 600 & echo $! >{child}.new; mv {child}.new {child}; wait"
    with running(shell(tmp_path, script), is_ready=child.exists, timeout=DEADLINE):
        pid = int(child.read_text())
        assert is_alive(pid)
    wait_until(lambda: not is_alive(pid))


def test_service_that_ignores_sigterm_is_killed(tmp_path):
    ready = tmp_path / "ready"
    script = f"trap '' TERM; touch {ready}; while :; do sleep 0.1; done"
    program = shell(tmp_path, script, stop_seconds=0.3)
    with running(program, is_ready=ready.exists, timeout=DEADLINE) as process:
        pass
    assert process.returncode == -signal.SIGKILL


def test_service_ends_when_the_block_fails(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        running(shell(tmp_path, "sleep 600"), is_ready=lambda: True, timeout=1) as process,
    ):
        raise ZeroDivisionError
    assert process.returncode is not None


def test_service_that_ends_at_once_is_an_error_that_tells_why(tmp_path):
    program = shell(tmp_path, "echo the port is taken >&2; exit 3")
    with (
        pytest.raises(ProcessError, match=r"The thing ended with exit code 3.*\n.*port is taken"),
        running(program, is_ready=lambda: False, timeout=DEADLINE),
    ):
        pytest.fail("it was never ready")


def test_service_that_says_it_cannot_work_is_not_waited_for(tmp_path):
    program = shell(tmp_path, "echo worker exited with status 1; exec sleep 600", fatal="exited")
    with (
        pytest.raises(ProcessError, match="The thing cannot work"),
        running(program, is_ready=lambda: False, timeout=600),
    ):
        pytest.fail("it was never ready")


def test_service_that_is_never_ready_is_an_error(tmp_path):
    with (
        pytest.raises(ProcessError, match=r"was not ready within 0\.3 s"),
        running(shell(tmp_path, "sleep 600"), is_ready=lambda: False, timeout=0.3),
    ):
        pytest.fail("it was never ready")


def test_program_that_does_not_exist_is_an_error(tmp_path):
    program = Program("The thing", ["/nowhere/at-all"], tmp_path / "log")
    with pytest.raises(ProcessError, match="The thing failed with exit code 127"):
        run(program, timeout=DEADLINE)


def test_log_is_private_and_holds_the_command_and_both_streams(tmp_path):
    script = "echo out; echo err >&2; echo $GREETING"
    program = shell(tmp_path, script, environment={"GREETING": "hi"})
    run(program, timeout=DEADLINE)
    run(program, timeout=DEADLINE)
    assert program.log.read_text() == f"$ sh -c {script!r}\nout\nerr\nhi\n" * 2
    assert stat.S_IMODE(program.log.stat().st_mode) == 0o600


def test_program_that_takes_too_long_is_told_to_stop(tmp_path):
    cleaned = tmp_path / "cleaned"
    script = f"trap 'touch {cleaned}; exit' TERM; while :; do sleep 0.1; done"
    with pytest.raises(ProcessError, match=r"did not end within 0\.5 s"):
        run(shell(tmp_path, script), timeout=0.5)
    assert cleaned.exists()


def test_service_stops_when_its_starter_is_killed(tmp_path):
    pid_file = tmp_path / "pid"
    script = f"""
from pathlib import Path
from lab.process import Program, running
program = Program("thing", ["sleep", "600"], Path({str(tmp_path / "log")!r}))
with running(program, is_ready=lambda: True, timeout=9) as process:
    Path({str(pid_file)!r}).write_text(str(process.pid))
    import time; time.sleep(600)
"""
    starter = subprocess.Popen([sys.executable, "-c", script])
    try:
        wait_until(lambda: pid_file.exists() and pid_file.read_text())
        pid = int(pid_file.read_text())
        wait_until(lambda: Path(f"/proc/{pid}/exe").readlink().name == "sleep")
    finally:
        starter.kill()
        starter.wait(DEADLINE)
    wait_until(lambda: not is_alive(pid))
