"""How ``ironic-ilo serve-images`` ends when it cannot begin."""

import subprocess

import pytest

from lab.process import own_command

TIMEOUT = 120


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "ironic.conf"),
        ("no section", "ironic.conf"),
        ("[ilo]\nimage_server_port = http", "image_server_port"),
        ("[ilo]\nsigning_key = \xff", "ironic.conf"),
        ("[DEFAULT]\nlog_config_append = /nowhere", "log_config_append in [DEFAULT]"),
        ("[DEFAULT]\nlog_file = /nowhere/log", "/nowhere/log"),
        ("[ilo]\nsigning_key = short", "signing_key"),
    ],
)
def test_a_configuration_that_is_no_good(tmp_path, content, words):
    path = tmp_path / "ironic.conf"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    done = subprocess.run(
        [own_command("ironic-ilo"), "serve-images", "--config-file", str(path)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 1
    [said] = done.stderr.splitlines()
    assert said.startswith("ironic-ilo: ")
    assert words in said
