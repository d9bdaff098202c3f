"""Secrets of a deploy stand on its floppy and in its configuration, and nowhere else."""

import json
import re
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.functional


class CommandLines(threading.Thread):
    """Collects the command line of whatever runs on this machine, until told to stop."""

    def __init__(self):
        super().__init__()
        self.seen = set()
        self._told_to_end = threading.Event()

    def run(self):
        while not self._told_to_end.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    command = path.read_bytes()
                except OSError:
                    continue
                # The tests' own iSCSI target takes secrets no other way.
                if not command.startswith(b"tgtadm\0"):
                    self.seen.add(command)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_exc):
        self._told_to_end.set()
        self.join()


def signature(url):
    """Pick the part of a URL that makes it work."""
    return urlsplit(url).path.split("/")[-2]


def test_canaries_are_found_only_where_they_belong(cloud, node, tgtd, disk):
    canaries = {"iLO password": node.server.read_password()}
    replies = []
    with CommandLines() as commands:
        ramdisk = node.boot_ramdisk()
        canaries["deploy key"] = ramdisk.parameters["deployment_key"]
        canaries["CHAP secret"] = ramdisk.parameters["iscsi_chap_secret"]
        for name, url in node.drives().items():
            canaries[f"URL of the {name}"] = signature(url)
        replies.append(node.show())
        # Refused calls are logged, too.
        replies.append(ramdisk.call_back(iqn="iqn.2008-10.org.openstack:other").text)
        ramdisk.offer_disk(tgtd, disk)
        ramdisk.call_back()
        replies.append(node.wait("active"))
        canaries["URL of the boot ISO"] = signature(node.drives()["CDROM"])
    replies.append(cloud.ask("GET", f"nodes/{node.uuid}/history"))
    fail_with_open_secrets(node)
    replies.append(node.show())

    found = sorted((cloud.directory / "logs").iterdir())
    assert len(found) == 3
    assert_absent(canaries, logs=found, replies=replies, commands=commands)


def assert_absent(canaries, *, logs, replies, commands):
    """Hold that no secret stands in the logs, the replies of the API, or the command lines."""
    texts = {path: path.read_text(errors="replace") for path in logs}
    texts["replies of the API"] = json.dumps(replies)
    texts["command lines"] = b"\n".join(commands.seen).decode(errors="replace")
    assert "qemu-img\0convert" in texts["command lines"]
    for place, text in texts.items():
        for name, canary in canaries.items():
            assert len(canary) > 15
            assert canary not in text, f"the {name} stands in {place}"


def fail_with_open_secrets(node):
    """Let power actions fail at an iLO that drops connections, and leave tracebacks."""
    control = node.cloud.control
    control.set_faults(node.server.name, drop=True)
    node.cloud.call("PUT", f"nodes/{node.uuid}/states/power", {"target": "rebooting"})
    node.wait("active")
    assert node.show()["last_error"]
    control.clear_faults(node.server.name)


def test_files_with_secrets_are_their_owners_alone(cloud, node):
    node.boot_ramdisk()
    secret = re.compile(rb"signing_key|deployment_key|PRIVATE KEY")
    readable = [
        path
        for path in cloud.directory.rglob("*")
        if path.is_file() and path.stat().st_mode & 0o077 and private_ancestors(path, cloud) == 0
    ]
    leaks = [path for path in readable if secret.search(path.read_bytes())]
    assert not leaks


def private_ancestors(path, cloud):
    """Count the directories above a file that others cannot enter, within the lab's own."""
    inner = [parent for parent in path.parents if cloud.directory in parent.parents]
    return sum(not parent.stat().st_mode & 0o077 for parent in inner)
