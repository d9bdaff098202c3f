"""The deploy ISO boots a QEMU machine and offers its disk, as a conductor would see it."""

import json
import os
import secrets
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from ilo_emulator.certificate import server_context
from ironic_ilo.cli import main
from ironic_ilo.exception import ProcessError
from ironic_ilo.execute import execute
from tests.e2e.installed_root import make_installed_root
from tests.ramdisk_machine import (
    CHAP_USERNAME,
    CONDUCTOR,
    DISK_BYTES,
    IQN,
    MAC,
    NODE,
    SECONDS_TO_SAY,
    Machine,
    boot,
    start_conductor,
)

pytestmark = pytest.mark.e2e

NVME = ("-drive", "if=none,id=d0,format=raw,file={disk}", "-device", "nvme,drive=d0,serial=1")
VIRTIO = ("-drive", "if=none,id=d0,format=raw,file={disk}", "-device", "virtio-blk-pci,drive=d0")
MIB = 1 << 20
# One of each kind: its size in MiB, its device, and how it must be described. The first is {disk}.
MIXED = {
    "ahci": (
        DISK_BYTES // MIB,
        "ide-hd,bus=ide.0,serial=AHCI 1,model=More than 16 characters,wwn=0x5000c50015ea71ac",
        {
            "sector_size": 512,
            "model": "More than 16 characters",
            "vendor": "ATA",
            "serial": "AHCI_1",
            "wwn": "0x5000c50015ea71ac",
            "wwn_with_extension": "0x5000c50015ea71ac",
            "by_path": "/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0",
        },
    ),
    "nvme": (
        64,
        "nvme,addr=10,serial=NVME-2,logical_block_size=4096,physical_block_size=4096",
        {
            "name": "/dev/nvme0n1",
            "sector_size": 4096,
            "model": "QEMU NVMe Ctrl",
            "serial": "NVME-2",
            "rotational": False,
            "by_path": "/dev/disk/by-path/pci-0000:00:10.0-nvme-1",
        },
    ),
    "virtio": (
        96,
        'virtio-blk-pci,addr=11,serial=V"3\\',
        {
            "name": "/dev/vda",
            "sector_size": 512,
            "serial": 'V"3\\',
            "by_path": "/dev/disk/by-path/pci-0000:00:11.0",
        },
    ),
    "raid": (
        128,
        "scsi-hd,bus=mr.0,vendor=HP,product=LOGICAL VOLUME,wwn=0x600508b1001c1045",
        {
            "sector_size": 512,
            "model": "LOGICAL VOLUME",
            "vendor": "HP",
            "serial": "600508b1001c1045",
            "wwn": "0x600508b1001c1045",
            "by_path": "/dev/disk/by-path/pci-0000:00:12.0-scsi-0:2:0:0",
        },
    ),
}


def qemu_io(
    machine: Machine, *commands: str, initiator: str = CONDUCTOR, secret: str, lun: int = 1
) -> str:
    """Open a disk as a conductor does, and do something with it."""
    secret_file = machine.disk.with_name("secret")
    secret_file.write_text(secret)
    options = f"driver=iscsi,transport=tcp,portal={machine.portal},target={IQN},lun={lun}"
    options += f",initiator-name={initiator},user={CHAP_USERNAME},password-secret=chap"
    argv = ["qemu-io", "--object", f"secret,id=chap,file={secret_file}", "--image-opts", options]
    for command in commands:
        argv += ["-c", command]
    return execute(argv, timeout=120).stdout


def gets_in_without_chap(machine: Machine, session_type: str) -> bool:
    """Ask for a session without authentication (RFC 7143 sections 11.12 and 11.13)."""
    keys = {
        "InitiatorName": CONDUCTOR,
        "SessionType": session_type,
        "TargetName": IQN,
        "AuthMethod": "None",
    }
    text = b"".join(f"{key}={value}\0".encode() for key, value in keys.items())
    login, transit, from_security_to_full_feature, isid = 0x43, 0x80, 0x03, 0x80 << 40
    header = struct.pack(">BBxxI", login, transit | from_security_to_full_feature, len(text))
    header += isid.to_bytes(6, "big") + bytes(34)
    host, port = machine.portal.split(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS_TO_SAY) as connection:
        connection.sendall(header + text + bytes(-len(text) % 4))
        response = connection.makefile("rb").read(48)
    # A target may hang up instead.
    return len(response) == len(header) and response[36] == 0 and bool(response[1] & transit)


def static_network(address: str, netmask: str, kind: str) -> dict[str, object]:
    network = {"link": "nic", "type": kind, "ip_address": address, "netmask": netmask}
    return {
        "links": [{"id": "nic", "type": "phy", "ethernet_mac_address": MAC, "mtu": 1500}],
        "networks": [network],
        "services": [],
    }


def test_build_is_small_reproducible_and_says_what_it_lacks(tmp_path, deploy_iso, capsys):
    """The same packages give the same bytes, be they fetched, or installed in an image."""
    root, output = tmp_path / "root", tmp_path / "again.iso"
    make_installed_root(root)
    assert main(["build-deploy-iso", "--json", "--root", str(root), "-o", str(output)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert output.read_bytes() == deploy_iso.read_bytes()
    assert report["size"] == output.stat().st_size <= 24 << 20
    drivers = {"hpsa", "smartpqi", "nvme", "tg3", "bnx2x", "i40e", "ice", "mlx5_core", "qede"}
    assert drivers <= set(report["modules"])
    assert report["drivers_not_in_kernel"] == []
    offered = execute(["apt-cache", "pkgnames", "firmware-bnx2x"], timeout=60).stdout.split()
    assert ("bnx2x" in report["missing_firmware"]) == ("firmware-bnx2x" not in offered)


def mixed_disks(directory: Path) -> list[str]:
    """Make QEMU's options for :data:`MIXED`, and the files behind them."""
    options = ["-device", "megasas,id=mr,addr=12"]
    for kind, (mib, device, _) in MIXED.items():
        file = "{disk}" if kind == "ahci" else str(directory / f"{kind}.raw")
        if kind != "ahci":
            Path(file).touch()
            os.truncate(file, mib * MIB)
        options += ["-drive", f"if=none,id={kind},format=raw,file={file}"]
        options += ["-device", f"{device},drive={kind}"]
    return options


def test_offers_every_disk_to_the_conductor_alone(tmp_path, deploy_iso):
    busy = (409, b'{"error_message": "node is locked"}')
    with (
        start_conductor(busy, (200, b""), (400, b"{}")) as conductor,
        boot(
            tmp_path,
            deploy_iso,
            f"http://10.0.2.2:{conductor.port}",
            disks=mixed_disks(tmp_path),
            # The first card has no network: only that the API is reached tells the second.
            cards=("e1000", "e1000"),
            login_timeout="20",
        ) as machine,
    ):
        calls = conductor.wait_for_calls(2)
        assert [call.path for call in calls] == [
            f"/v1/nodes/{NODE}/vendor_passthru/pass_deploy_info"
        ] * 2
        bodies = [dict(call.body) for call in calls]
        disks = bodies[0].pop("disks")
        assert bodies[1].pop("disks") == disks
        body = {"address": "10.0.2.15", "key": machine.key, "iqn": IQN, "error": ""}
        assert bodies == [body] * 2
        assert "The API answered 409: " + busy[1].decode() in machine.said()
        machine.wait_until_said(f"as {IQN} at 10.0.2.15:3260; waiting for the conductor")

        luns = assert_disks_are_described(disks)
        assert_writes_reach_the_disk(machine, luns["ahci"])
        assert_strangers_are_refused(machine, luns["raid"])
        assert_each_lun_is_its_disk(machine, luns)
        machine.wait_until_said("No conductor was logged in for 20 s: the disks are withdrawn")
        with pytest.raises(ProcessError):
            qemu_io(machine, "read 0 4k", secret=machine.chap_secret)
        assert "withdrawn" in conductor.wait_for_calls(3)[2].body["error"]
        assert machine.key not in machine.said()
        assert machine.chap_secret not in machine.said()


def assert_disks_are_described(disks: list[dict[str, object]]) -> dict[str, int]:
    """Compare with :data:`MIXED`; return the LUN of each kind."""
    luns = {}
    for kind, (mib, _, expected) in MIXED.items():
        (disk,) = [disk for disk in disks if disk["size"] == mib * MIB]
        assert {key: disk[key] for key in expected} == expected
        luns[kind] = disk["lun"]
    assert sorted(disk["lun"] for disk in disks) == [1, 2, 3, 4]
    return luns


def assert_strangers_are_refused(machine: Machine, lun: int) -> None:
    """Be no conductor: know neither the secret nor the name, or do without."""
    with pytest.raises(ProcessError, match="Authentication failure"):
        qemu_io(machine, "read 0 4k", secret=secrets.token_hex(16), lun=lun)
    with pytest.raises(ProcessError, match="Authorization failure"):
        qemu_io(
            machine, "read 0 4k", secret=machine.chap_secret, initiator=f"{CONDUCTOR}0", lun=lun
        )
    assert not gets_in_without_chap(machine, "Normal")
    assert not gets_in_without_chap(machine, "Discovery")


def assert_each_lun_is_its_disk(machine: Machine, luns: Mapping[str, int]) -> None:
    for kind in ("nvme", "virtio", "raid"):
        qemu_io(
            machine, "write -P 0x5a 8k 4k", "flush", secret=machine.chap_secret, lun=luns[kind]
        )
        with machine.disk.with_name(f"{kind}.raw").open("rb") as disk:
            assert disk.read(16 << 10) == bytes(8 << 10) + b"\x5a" * 4096 + bytes(4096)


def test_repeats_its_heartbeat_until_the_deploy_is_over(tmp_path, deploy_iso):
    token = secrets.token_urlsafe()
    answers = ((409, b"{}"), (202, b""), (400, b"{}"))
    with (
        start_conductor(*answers) as conductor,
        boot(
            tmp_path, deploy_iso, f"http://10.0.2.2:{conductor.port}", agent_token=token
        ) as machine,
    ):
        calls = conductor.wait_for_calls(len(answers))
        assert len(calls) == len(answers)
        assert {(call.path, call.version) for call in calls} == {
            (f"/v1/heartbeat/{NODE}", "1.72"),
        }
        (body,) = {json.dumps(call.body) for call in calls}
        told = json.loads(body)
        message = json.loads(told.pop("agent_status_message"))
        assert [disk["size"] for disk in message.pop("disks")] == [DISK_BYTES]
        assert message == {"address": "10.0.2.15", "iqn": IQN}
        assert told == {
            "callback_url": "",
            "agent_version": "ironic-ilo",
            "agent_token": token,
            "agent_status": "end",
        }
        # Refused by now, it still offers the disk: the conductor may be writing.
        assert_writes_reach_the_disk(machine)
        assert token not in machine.said()


def assert_writes_reach_the_disk(machine: Machine, lun: int = 1) -> None:
    """Write data, zeros that the target expands, and zeros that it may discard; compare."""
    qemu_io(
        machine,
        "write -P 0xa5 0 4M",
        "write -z 1M 1M",
        "write -zu 2M 1M",
        "flush",
        secret=machine.chap_secret,
        lun=lun,
    )
    with machine.disk.open("rb") as disk:
        assert disk.read(4 * MIB) == b"\xa5" * MIB + b"\0" * 2 * MIB + b"\xa5" * MIB


def test_calls_back_over_verified_https_from_a_static_address(tmp_path, deploy_iso):
    tls = server_context(tmp_path, "10.0.2.2", ["conductor"])
    data = static_network("10.0.2.77", "255.255.255.0", "ipv4")
    vlan = {"id": "vlan", "type": "vlan", "vlan_id": 100, "vlan_link": "nic"}
    tagged = {"link": "vlan", "type": "ipv6", "ip_address": "fd00:21::77/64"}
    with (
        start_conductor(tls=tls) as conductor,
        boot(
            tmp_path,
            deploy_iso,
            f"https://10.0.2.2:{conductor.port}",
            network_data={
                **data,
                "links": [*data["links"], vlan],
                "networks": [*data["networks"], tagged],
            },
            files={
                "callback_ca.pem": (tmp_path / "certificate.pem").read_bytes(),
                "token": b"t0ken",
            },
            disks=NVME,
            cards=("virtio-net-pci",),
            guest_address="10.0.2.77",
        ) as machine,
    ):
        (call,) = conductor.wait_for_calls(1)
        assert call.token == "t0ken"
        assert (call.body["address"], call.body["error"]) == ("10.0.2.77", "")
        machine.wait_until_said(f"LUN 1 is /dev/nvme0n1 ({DISK_BYTES} bytes)")
        assert_writes_reach_the_disk(machine)


def test_calls_no_api_that_another_ca_vouches_for(tmp_path, deploy_iso):
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
    tls = server_context(tmp_path / "theirs", "10.0.2.2", ["conductor"])
    server_context(tmp_path / "ours", "10.0.2.2", ["conductor"])
    with (
        start_conductor(tls=tls) as conductor,
        boot(
            tmp_path,
            deploy_iso,
            f"https://10.0.2.2:{conductor.port}",
            files={"callback_ca.pem": (tmp_path / "ours" / "certificate.pem").read_bytes()},
            cards=("e1000e",),
            callback_timeout="10",
        ) as machine,
    ):
        machine.wait_until_said("FAILED: The API at https://10.0.2.2:")
        machine.wait_until_said("this server stays as it is until it is powered off or reset")
        assert "certificate" in machine.said().partition("FAILED")[2]
        assert conductor.calls.empty()


def test_withdraws_the_disk_when_refused_over_ipv6(tmp_path, deploy_iso):
    refused = (400, b'{"error_message": "no such \\"node\\""}')
    with (
        start_conductor(refused, host="::1") as conductor,
        boot(
            tmp_path,
            deploy_iso,
            f"http://[fec0::2]:{conductor.port}",
            network_data=static_network("fec0::77", "ffff:ffff:ffff:ffff::", "ipv6"),
            disks=VIRTIO,
        ) as machine,
    ):
        (call,) = conductor.wait_for_calls(1)
        expected = {"address": "fec0::77", "key": machine.key, "iqn": IQN, "error": ""}
        assert {key: call.body[key] for key in expected} == expected
        # A refusal is final: it is said, and not asked for again.
        machine.wait_until_said(f"FAILED: The API answered 400: {refused[1].decode()}")
        assert conductor.calls.qsize() == 1
