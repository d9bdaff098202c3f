"""The arguments of ``ironic-ilo check``."""

import pytest

from ironic_ilo import cli
from ironic_ilo.check import command

GIVEN = ["check", "--address", "127.0.0.1", "--username", "Administrator", "--port", "1"]


@pytest.fixture
def made(monkeypatch):
    """Make no checks: show what node they would be for."""
    nodes = []

    class Nothing(command._Checking):
        def findings(self):
            nodes.append(self._node)
            return iter(())

    monkeypatch.setattr(command, "_Checking", Nothing)
    monkeypatch.setattr(command, "_be_quiet", lambda: None)
    return nodes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "required"),
        (["check", "node", "--address", "127.0.0.1"], "not allowed"),
        (["check", "--address", "127.0.0.1"], "--username"),
        (["check", "node", "--verify-ca", "False"], "driver_info"),
        ([*GIVEN, "--timeout", "0"], "3600"),
        ([*GIVEN[:-1], "70000"], "65535"),
        ([*GIVEN, "--password=x"], "unrecognized"),
    ],
)
def test_wrong_arguments(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_password_from_a_file(made, tmp_path):
    path = tmp_path / "password"
    path.write_text("hunter2 \n")
    assert cli.main([*GIVEN, "--password-file", str(path)]) == 0
    assert made[0].driver_info["ilo_password"] == "hunter2 "
    assert "hunter2" not in repr(made[0])


def test_password_from_the_environment(made, monkeypatch):
    monkeypatch.setenv("IRONIC_ILO_PASSWORD", "hunter2")
    assert cli.main(GIVEN) == 0
    assert made[0].driver_info["ilo_password"] == "hunter2"


def test_password_from_the_terminal(made, monkeypatch):
    monkeypatch.delenv("IRONIC_ILO_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "hunter2")
    assert cli.main(GIVEN) == 0
    assert made[0].driver_info["ilo_password"] == "hunter2"


def test_no_password_at_all(monkeypatch, capsys):
    monkeypatch.delenv("IRONIC_ILO_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert cli.main(GIVEN) == 1
    assert "--password-file" in capsys.readouterr().err


def test_a_password_file_that_is_not_there(tmp_path, capsys):
    assert cli.main([*GIVEN, "--password-file", str(tmp_path / "none")]) == 1
    assert "none cannot be read" in capsys.readouterr().err
