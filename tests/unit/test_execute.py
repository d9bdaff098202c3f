import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ironic_ilo import execute
from ironic_ilo.exception import ProcessError


def shell(script, **options):
    return execute.execute(["sh", "-c", script], **({"timeout": 30} | options))


def test_output_and_exit_code():
    result = shell("echo out; echo err >&2; exit 3", ok_codes=(0, 3))
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)


def test_failure_tells_command_code_and_reason():
    with pytest.raises(ProcessError, match=r"exit code 4.*no such disk") as caught:
        shell("echo no such disk >&2; exit 4")
    assert caught.value.exit_code == 4
    assert "sh -c" in str(caught.value)


def test_missing_program_is_named():
    with pytest.raises(ProcessError, match=r"no-such-program was not found.*Install"):
        execute.execute(["no-such-program"], timeout=5)


def test_deadline_kills_children_too(tmp_path):
    started = time.monotonic()
    with pytest.raises(ProcessError, match="did not end within 1 s"):
        shell(f"sleep 60 & echo $! > {tmp_path}/pid; wait", timeout=1)
    assert time.monotonic() - started < 20
    assert_gone(int((tmp_path / "pid").read_text()))


def assert_gone(pid):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} lives on")


def test_program_dies_with_its_parent(tmp_path):
    code = (
        "from ironic_ilo.execute import execute\n"
        f"execute(['sh', '-c', 'echo $$ > {tmp_path}/pid; exec sleep 60'], timeout=60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert_gone(int((tmp_path / "pid").read_text()))


def test_environment_is_not_inherited(monkeypatch):
    monkeypatch.setenv("OS_PASSWORD", "canary")
    output = shell("env", env={"EXTRA": "1"}).stdout
    assert "canary" not in output
    assert "EXTRA=1" in output
    assert "LC_ALL=C.UTF-8" in output


def test_standard_input_is_empty():
    assert shell("cat").stdout == ""


def test_output_callback_sees_progress_and_can_stop():
    seen = []

    def stop(text):
        seen.append(text)
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        shell("echo first; sleep 60", on_output=stop)
    assert seen == ["first\n"]


def test_only_the_end_of_long_output_is_kept():
    result = shell("head -c 300000 /dev/zero | tr '\\0' x; echo end")
    assert len(result.stdout) == 64 * 1024
    assert result.stdout.endswith("end\n")


def test_secret_reaches_the_program_alone():
    with execute.secret_descriptor("s3cret") as descriptor:
        result = shell(
            f"cat /dev/fd/{descriptor}; tr '\\0' ' ' < /proc/$$/cmdline", pass_fds=[descriptor]
        )
    assert result.stdout.startswith("s3cret")
    assert result.stdout.count("s3cret") == 1


def test_limits_bound_memory():
    limits = execute.Limits(address_space=64 * 1024 * 1024, cpu_seconds=10)
    with pytest.raises(ProcessError):
        execute.execute(
            [sys.executable, "-c", "bytearray(256 * 1024 * 1024)"], timeout=30, limits=limits
        )
