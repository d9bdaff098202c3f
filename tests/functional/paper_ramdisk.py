"""Plays the deploy ramdisk of a server that boots nothing.

It reads the floppy that the emulated server was given, offers a file as the server's disk through
a real iSCSI target, and calls back, all as the deploy ramdisk does.
"""

import json
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
_TOKEN_FILE = "token"


@dataclass(frozen=True)
class Floppy:
    """What stands on a floppy.

    :ivar parameters: those of ``parameters.txt``.
    :ivar token: the Keystone token, if there is one.
    """

    parameters: Mapping[str, str]
    token: str | None


def read_floppy(url: str) -> Floppy:
    """Fetch a floppy image and read it."""
    with tempfile.NamedTemporaryFile() as image:
        image.write(_get(url).content)
        image.flush()
        names = _run("mdir", "-b", "-i", image.name, "::")
        text = _run("mtype", "-i", image.name, "::parameters.txt")
        token = None
        if f"::/{_TOKEN_FILE}" in names.splitlines():
            token = _run("mtype", "-i", image.name, f"::{_TOKEN_FILE}")
    return Floppy(dict(line.split("=", 1) for line in text.splitlines()), token)


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    return done.stdout


def _get(url: str) -> requests.Response:
    response = requests.get(url, timeout=_TIMEOUT)
    response.raise_for_status()
    return response


def _describe(lun: int, path: Path, sector_size: int) -> dict[str, Any]:
    unknown = ("model", "vendor", "wwn", "wwn_with_extension", "wwn_vendor_extension", "hctl")
    return {
        **dict.fromkeys(unknown, ""),
        "lun": lun,
        "name": f"/dev/sd{chr(ord('a') + lun - 1)}",
        "size": path.stat().st_size,
        "sector_size": sector_size,
        "serial": f"S{lun}",
        "rotational": True,
        "by_path": f"/dev/disk/by-path/pci-0000:00:1f.2-ata-{lun}.0",
    }


@dataclass(frozen=True)
class PaperRamdisk:
    """One boot of the deploy ramdisk.

    :ivar api_url: where Ironic is reached from here; the floppy has the guests' view of it.
    """

    floppy: Floppy
    api_url: str

    @property
    def parameters(self) -> Mapping[str, str]:
        """What stands in ``parameters.txt``."""
        return self.floppy.parameters

    def offer_disk(self, tgtd: Tgtd, disk: Path) -> None:
        """Offer a file as the server's only disk, LUN 1."""
        tgtd.add_target(
            self.parameters["iscsi_target_iqn"],
            disk,
            chap=(self.parameters["iscsi_chap_username"], self.parameters["iscsi_chap_secret"]),
            initiator_iqn=self.parameters["iscsi_initiator_iqn"],
        )

    def offer_disks(
        self, tgtd: Tgtd, disk: Path, *others: Path, sector_size: int = 512
    ) -> list[dict[str, Any]]:
        """Offer several files as disks, and describe them: with serial numbers ``S1``, ``S2``, ...

        :param sector_size: of the others.
        """
        self.offer_disk(tgtd, disk)
        for lun, other in enumerate(others, start=2):
            target = self.parameters["iscsi_target_iqn"]
            tgtd.add_unit(target, other, lun=lun, sector_size=sector_size)
        sizes = [512, *[sector_size] * len(others)]
        return [
            _describe(lun, path, size)
            for lun, (path, size) in enumerate(zip((disk, *others), sizes, strict=True), start=1)
        ]

    def call_back(self, **changes: Any) -> requests.Response:
        """Call back as the floppy says; ``...`` leaves a parameter out.

        :param changes: to ``address``, ``key``, ``iqn`` and ``error``, and ``disks``, which are
            not told unless given; ``key`` is the agent token, too.
        """
        told = {"address": "10.0.2.15", "iqn": self.parameters["iscsi_target_iqn"], "error": ""}
        if self.parameters.get("ramdisk_callback") == "heartbeat":
            return self._heartbeat(told | {"key": self.parameters["agent_token"]} | changes)
        return self._pass_deploy_info(told | {"key": self.parameters["deployment_key"]} | changes)

    def _pass_deploy_info(self, told: dict[str, Any]) -> requests.Response:
        node = self.parameters["deployment_id"]
        headers = {"X-Auth-Token": self.floppy.token} if self.floppy.token else {}
        return self._post(f"nodes/{node}/vendor_passthru/pass_deploy_info", told, headers)

    def _heartbeat(self, told: dict[str, Any]) -> requests.Response:
        token, error = told.pop("key"), told.pop("error")
        target = {name: value for name, value in told.items() if value is not ...}
        body = {
            "callback_url": "",
            "agent_version": "ironic-ilo",
            "agent_token": token,
            "agent_status": "error" if error else "end",
            "agent_status_message": error or json.dumps(target),
        }
        headers = {"X-OpenStack-Ironic-API-Version": "1.72"}
        return self._post(f"heartbeat/{self.parameters['deployment_id']}", body, headers)

    def _post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> requests.Response:
        # The path is as the ramdisk makes it from ironic_api_url.
        prefix = urlsplit(self.parameters["ironic_api_url"]).path
        return requests.post(
            f"{self.api_url}{prefix}/v1/{path}",
            json={name: value for name, value in body.items() if value is not ...},
            headers=headers,
            timeout=_TIMEOUT,
        )
