"""Booting from virtual media, as an iLO sees it."""

import pytest

pytestmark = pytest.mark.functional

CHANGES = ("INSERT_VIRTUAL_MEDIA", "SET_VM_STATUS", "SET_ONE_TIME_BOOT", "SET_HOST_POWER")


def test_order_of_the_specification(cloud, node):
    node.boot_ramdisk()
    commands = [entry["command"] for entry in cloud.control.requests(node.server.name)]
    # The licence is part of what the firmware tells of itself.
    begin = len(commands) - commands[::-1].index("GET_FW_VERSION")
    assert [command for command in commands[begin:] if command in CHANGES] == [
        "INSERT_VIRTUAL_MEDIA",
        "SET_VM_STATUS",
        "INSERT_VIRTUAL_MEDIA",
        "SET_VM_STATUS",
        "SET_ONE_TIME_BOOT",
        "SET_HOST_POWER",
    ]
    assert not set(CHANGES) & set(commands[:begin])
    (boot,) = node.emulated()["boots"]
    assert boot["device"] == "cdrom"
    assert f"/image-{node.uuid}/" in boot["floppy_url"]
    assert node.emulated()["one_time_boot"] is None
