"""WSGI applications are served until they are told to stop."""

import socket

import requests

from lab.openstack.wsgi import starting_application
from lab.probe import answers

APPLICATION = """
import os
import sys

assert sys.argv[1:] == [], "Keystone reads them"


def application(environ, start_response):
    start_response("200 OK", [])
    return [os.environ["GREETING"].encode()]
"""


def test_application_is_served_with_its_environment_until_sigterm(tmp_path):
    (tmp_path / "greeter.py").write_text(APPLICATION)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    with starting_application(
        "Greeter",
        "greeter:application",
        port=port,
        log=tmp_path / "greeter.log",
        environment={"GREETING": "hello", "PYTHONPATH": str(tmp_path)},
        is_ready=lambda: answers(url),
    ) as starting:
        starting.wait()
        assert requests.get(url, timeout=60).text == "hello"
    assert starting.process.returncode == 0
    assert not answers(url)
