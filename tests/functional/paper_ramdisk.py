"""Plays the deploy ramdisk of a server that boots nothing.

It reads the floppy that the emulated server was given, offers a file as the server's disk through
a real iSCSI target, and calls back, all as the deploy ramdisk does.
"""

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.tgt import Tgtd

_TIMEOUT = 120


def read_floppy(url: str) -> dict[str, str]:
    """Fetch a floppy image and read its ``parameters.txt``."""
    with tempfile.NamedTemporaryFile() as image:
        image.write(_get(url).content)
        image.flush()
        text = subprocess.run(
            ["mtype", "-i", image.name, "::parameters.txt"],
            check=True,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        ).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def _get(url: str) -> requests.Response:
    response = requests.get(url, timeout=_TIMEOUT)
    response.raise_for_status()
    return response


@dataclass(frozen=True)
class PaperRamdisk:
    """One boot of the deploy ramdisk.

    :ivar parameters: what stands on the floppy.
    :ivar api_url: where Ironic is reached from here; the floppy has the guests' view of it.
    """

    parameters: Mapping[str, str]
    api_url: str

    def offer_disk(self, tgtd: Tgtd, disk: Path) -> None:
        """Offer a file as the server's only disk."""
        tgtd.add_target(
            self.parameters["iscsi_target_iqn"],
            disk,
            chap=(self.parameters["iscsi_chap_username"], self.parameters["iscsi_chap_secret"]),
            initiator_iqn=self.parameters["iscsi_initiator_iqn"],
        )

    def call_back(self, **changes: Any) -> requests.Response:
        """Call ``pass_deploy_info``; ``...`` leaves a parameter out."""
        body = {
            "address": "10.0.2.15",
            "key": self.parameters["deployment_key"],
            "iqn": self.parameters["iscsi_target_iqn"],
            "error": "",
        } | changes
        node = self.parameters["deployment_id"]
        # The path is as the ramdisk makes it from ironic_api_url.
        path = urlsplit(self.parameters["ironic_api_url"]).path
        return requests.post(
            f"{self.api_url}{path}/v1/nodes/{node}/vendor_passthru/pass_deploy_info",
            json={name: value for name, value in body.items() if value is not ...},
            timeout=_TIMEOUT,
        )
