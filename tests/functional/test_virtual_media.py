"""Booting from virtual media, as an iLO sees it."""

import pytest

pytestmark = pytest.mark.functional

CHANGES = ("INSERT_VIRTUAL_MEDIA", "SET_VM_STATUS", "SET_ONE_TIME_BOOT", "SET_HOST_POWER")


def test_order_of_the_specification(cloud, node):
    earlier = cloud.control.requests(node.server.name)
    starts = node.emulated()["starts"]
    node.boot_ramdisk()
    seen = cloud.control.requests(node.server.name)
    commands = [entry["command"] for entry in seen if entry not in earlier]
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
    assert node.emulated()["starts"] == starts + 1
    boot = node.emulated()["boots"][-1]
    assert boot["device"] == "cdrom"
    assert f"/image-{node.uuid}/" in boot["floppy_url"]
    assert node.emulated()["one_time_boot"] is None
