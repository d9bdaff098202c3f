"""Secrets of a deploy through Keystone, Glance and Swift stand where they belong alone."""

import configparser
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.functional.test_canaries import CommandLines, assert_absent

pytestmark = pytest.mark.functional


def signature(url):
    """Pick the part of a temporary URL of Swift's that makes it work."""
    (signed,) = parse_qs(urlsplit(url).query)["temp_url_sig"]
    return signed


def passwords(cloud):
    """Read what Ironic knows of other services."""
    config = configparser.RawConfigParser()
    config.read(cloud.services.config)
    return {
        "password for Swift": config["swift"]["password"],
        "temporary URL key": cloud.swift().head_account()["x-account-meta-temp-url-key"],
        "signing key": config["ilo"]["signing_key"],
    }


def test_canaries_are_found_only_where_they_belong(openstack_cloud, node, tgtd, disk):
    canaries = passwords(openstack_cloud) | {"iLO password": node.server.read_password()}
    canaries["token of the request"] = node.cloud.headers()["X-Auth-Token"]
    replies = []
    with CommandLines() as commands:
        ramdisk = node.boot_ramdisk()
        canaries["agent token"] = ramdisk.parameters["agent_token"]
        canaries["CHAP secret"] = ramdisk.parameters["iscsi_chap_secret"]
        for name, url in node.drives().items():
            canaries[f"signature for the {name}"] = signature(url)
        replies.append(node.show())
        replies.append(ramdisk.call_back(address="no address").text)
        ramdisk.offer_disk(tgtd, disk)
        ramdisk.call_back()
        replies.append(node.wait("active"))
        canaries["signature for the boot ISO"] = signature(node.drives()["CDROM"])
    replies.append(openstack_cloud.ask("GET", f"nodes/{node.uuid}/history"))
    # What Swift and Glance write into their own logs is theirs.
    logs = [
        openstack_cloud.directory / "logs" / f"{name}.log" for name in ("ironic", "ilo-emulator")
    ]
    assert_absent(canaries, logs=logs, replies=replies, commands=commands)
