"""The parts of the ramdisk's init, run by the shell that runs them there: busybox's."""

import json
import re
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deploy_ramdisk
from ironic_ilo.images import create_vfat_image

INIT = Path(deploy_ramdisk.__file__).parent / "init"
PRELUDE = "set -u\n" + "".join(
    f". {part}\n" for part in sorted(INIT.glob("*.sh")) if part.name != "deploy.sh"
)
PARAMETERS = {
    "ironic_api_url": "http://192.0.2.1:6385",
    "deployment_id": "5f5b6d2e-7d2a-4c57-9e0b-3a1d8a4f0c11",
    "deployment_key": "ab" * 32,
    "iscsi_target_iqn": "iqn.2008-10.org.openstack:5f5b6d2e-0badcafe",
    "iscsi_initiator_iqn": "iqn.2008-10.org.openstack:conductor-0123456789abcdef",
    "iscsi_portal_port": "3260",
    "iscsi_chap_username": "deploy-0badcafe",
    "iscsi_chap_secret": "0123456789abcdef0123456789abcdef",
    "clock": "1795350000",
    "callback_timeout": "300",
    "login_timeout": "1800",
}
AGENT_TOKEN = "a-Token_of43characters0123456789abcdefghijk"
HEARTBEAT = {name: value for name, value in PARAMETERS.items() if name != "deployment_key"} | {
    "ramdisk_callback": "heartbeat",
    "agent_token": AGENT_TOKEN,
}

Ash = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ash(tmp_path) -> Ash:
    """Run a script after all parts, with directories of the test for /run and /sys."""
    for name in ("run", "sys"):
        (tmp_path / name).mkdir()
    places = f"run={tmp_path}/run sys={tmp_path}/sys console={tmp_path}/console\n"

    def run(script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["busybox", "sh", "-c", places + PRELUDE + script],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=60,
        )

    return run


@pytest.fixture
def floppy(tmp_path) -> Callable[[dict[str, str]], Path]:
    def write(parameters: dict[str, str]) -> Path:
        file = tmp_path / "parameters.txt"
        file.write_text("".join(f"{key}={value}\n" for key, value in parameters.items()))
        return file

    return write


def failure(tmp_path: Path) -> str:
    return (tmp_path / "run" / "failure").read_text().strip()


def test_every_part_is_used():
    main = (INIT / "deploy.sh").read_text()
    sourced = re.search(r"for part in (.*?); do", main, re.DOTALL)[1].replace("\\", "").split()
    assert sorted([*sourced, "deploy"]) == sorted(path.stem for path in INIT.glob("*.sh"))


@pytest.mark.parametrize("part", sorted(path.name for path in INIT.iterdir()))
def test_every_part_parses(part):
    subprocess.run(["busybox", "sh", "-n", INIT / part], check=True)


class TestParameters:
    def test_are_taken_as_they_are(self, ash, floppy):
        file = floppy(PARAMETERS)
        done = ash(
            f"read_parameters {file}; check_parameters\n"
            'printf "%s\\n" "$api_url" "$node" "$key" "$iqn" "$initiator" "$portal_port" '
            '"$chap_username" "$chap_secret" "$clock" "$callback_timeout" "$login_timeout"'
        )
        assert done.stdout.splitlines() == list(PARAMETERS.values())
        assert (done.returncode, done.stderr) == (0, "")

    def test_of_a_heartbeat_have_a_token_for_the_key(self, ash, floppy):
        file = floppy(HEARTBEAT)
        done = ash(f'read_parameters {file}; check_parameters; echo "$callback $agent_token"')
        assert (done.returncode, done.stdout) == (0, f"heartbeat {AGENT_TOKEN}\n")

    @pytest.mark.parametrize(
        ("key", "value"),
        [("agent_token", 'a"b'), ("agent_token", ""), ("ramdisk_callback", "post; reboot")],
    )
    def test_of_a_heartbeat_are_checked(self, ash, floppy, tmp_path, key, value):
        file = floppy(HEARTBEAT | {key: value})
        assert ash(f"read_parameters {file}; check_parameters").returncode == 1
        assert f"The parameter {key} is" in failure(tmp_path) or f"{key} has" in failure(tmp_path)
        assert not value or value not in failure(tmp_path)

    @pytest.mark.parametrize(
        ("lines", "action"),
        [({}, "deploy"), ({"action": "erase_devices"}, "erase_devices")],
    )
    def test_say_what_to_do(self, ash, floppy, lines, action):
        file = floppy(PARAMETERS | lines)
        done = ash(f'read_parameters {file}; check_parameters; echo "$action"')
        assert (done.returncode, done.stdout) == (0, f"{action}\n")

    def test_are_never_run(self, ash, floppy, tmp_path):
        hostile = f"$(touch {tmp_path}/owned)`touch {tmp_path}/owned`\\n'\"; touch owned; a=b"
        file = floppy({"ironic_api_url": hostile, "run": "x", "PATH": "/nowhere"})
        done = ash(f'read_parameters {file}; printf "%s" "$api_url"')
        assert done.stdout == hostile
        assert not (tmp_path / "owned").exists()

    def test_last_line_may_lack_its_newline(self, ash, tmp_path):
        (tmp_path / "parameters.txt").write_text("a=b\ndeployment_id=last")
        assert ash('read_parameters parameters.txt; printf "%s" "$node"').stdout == "last"

    @pytest.mark.parametrize("key", PARAMETERS)
    def test_each_is_needed(self, ash, floppy, tmp_path, key):
        file = floppy({name: value for name, value in PARAMETERS.items() if name != key})
        assert ash(f"read_parameters {file}; check_parameters").returncode == 1
        assert f"The parameter {key} is" in failure(tmp_path)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("ironic_api_url", "ftp://192.0.2.1"),
            ("deployment_id", "../../elsewhere"),
            ("deployment_key", 'a","error":"'),
            ("iscsi_target_iqn", "iqn.x/../y"),
            ("iscsi_initiator_iqn", "iqn.x y"),
            ("action", "erase_everything"),
            ("iscsi_portal_port", "3260]"),
            ("iscsi_chap_secret", "with blank"),
            ("clock", "now"),
            ("callback_timeout", "-1"),
            ("callback_timeout", "0300"),
        ],
    )
    def test_malformed_ones_are_refused_and_not_shown(self, ash, floppy, tmp_path, key, value):
        file = floppy(PARAMETERS | {key: value})
        assert ash(f"read_parameters {file}; check_parameters").returncode == 1
        assert f"The parameter {key} " in failure(tmp_path)
        assert value not in failure(tmp_path)


class TestCallback:
    @pytest.mark.parametrize("error", ["", 'C:\\dir "x"', "two\nlines\tand ü", "%s $(id) `id`"])
    def test_body_is_json_whatever_the_error(self, ash, error):
        done = ash(
            "address=2001:db8::7 key=k iqn=i descriptions='{\"lun\": 1}'\n"
            'pass_deploy_info_body "$(cat)"',
            stdin=error,
        )
        assert json.loads(done.stdout) == {
            "address": "2001:db8::7",
            "key": "k",
            "iqn": "i",
            "disks": [{"lun": 1}],
            # ASCII on one line; each other byte is a blank, and none is at an end.
            "error": re.sub(rb"[^ -~]", b" ", error.encode()).decode().strip(),
        }

    def test_heartbeat_says_where_the_disk_is(self, ash):
        done = ash(
            "address=2001:db8::7 agent_token=t iqn=i\n"
            'descriptions=$(printf \'{"serial": "%s"}\' "$(json_text "$(cat)")")\n'
            'heartbeat_body ""',
            stdin='a"\\b',
        )
        body = json.loads(done.stdout)
        assert json.loads(body.pop("agent_status_message")) == {
            "address": "2001:db8::7",
            "iqn": "i",
            "disks": [{"serial": 'a"\\b'}],
        }
        assert body == {
            "callback_url": "",
            "agent_version": "ironic-ilo",
            "agent_token": "t",
            "agent_status": "end",
        }

    def test_heartbeat_says_what_is_wrong(self, ash):
        done = ash('address= agent_token=t iqn=i; heartbeat_body "$(cat)"', stdin='C:\\dir "x"')
        body = json.loads(done.stdout)
        assert (body["agent_status"], body["agent_status_message"]) == ("error", 'C:\\dir "x"')

    # Each example starts a program, which takes its time on a busy machine.
    @settings(deadline=None)
    @given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
    def test_json_escape_keeps_every_printable_character(self, text):
        done = subprocess.run(
            ["busybox", "sh", "-c", f". {INIT}/callback.sh; json_escape"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(f'"{done.stdout}"') == text


class TestRetries:
    # Answers come from a file, a status a line; none there is no answer.
    API = (
        'request() { status=$(head -n 1 answers); sed -i 1d answers; echo "why" >"$reply"\n'
        '[ -n "$status" ] || api_reason="timed out"; echo "asked"; }\n'
        'sleep() { echo "slept $1"; }; withdraw_disks() { echo "withdrew"; }\n'
        "address=192.0.2.7 key=k iqn=i node=n api_url=http://x callback_timeout=300\n"
    )

    def answers(self, tmp_path: Path, *statuses: str) -> None:
        (tmp_path / "answers").write_text("".join(f"{status}\n" for status in statuses))

    def test_what_may_pass_is_waited_for_longer_and_longer(self, ash, tmp_path):
        self.answers(tmp_path, "409", "", "503", "200")
        done = ash(self.API + "call_back")
        assert done.returncode == 0
        assert done.stdout.split("\n") == [
            *("asked", "slept 1", "asked", "slept 2", "asked", "slept 4", "asked"),
            "",
        ]
        said = (tmp_path / "console").read_text()
        assert "The API answered 409: why; trying again in 1 s" in said
        assert "The API did not answer: timed out; trying again in 2 s" in said

    @pytest.mark.parametrize("status", ["400", "401", "403", "404"])
    def test_a_refusal_is_final_and_the_disk_withdrawn(self, ash, tmp_path, status):
        self.answers(tmp_path, status, "200")
        done = ash(self.API + "call_back")
        assert (done.returncode, done.stdout) == (1, "asked\nwithdrew\n")
        assert failure(tmp_path) == f"The API answered {status}: why"

    def test_nobody_is_asked_after_the_deadline(self, ash, tmp_path):
        self.answers(tmp_path)
        done = ash(self.API + "callback_timeout=1; call_back")
        assert (done.returncode, done.stdout) == (1, "asked\nwithdrew\n")
        assert failure(tmp_path) == "The API did not answer: timed out"

    def test_a_failure_is_reported_when_there_is_an_address(self, ash, tmp_path):
        self.answers(tmp_path, "200")
        assert ash(self.API + 'fail "no disk"').stdout == "asked\n"
        assert json.loads((tmp_path / "run/body").read_text())["error"] == "no disk"

    def test_a_failure_before_that_is_only_said(self, ash, tmp_path):
        assert ash(self.API + 'address=; fail "no floppy"').stdout == ""
        assert failure(tmp_path) == "no floppy"


class TestHeartbeat:
    """A heartbeat is answered before it is taken, so it is said again."""

    API = TestRetries.API + (
        "callback=heartbeat agent_token=t\n"
        # The clock of these waits: each takes what it says.
        "read_uptime() { now=$(cat clock 2>/dev/null || echo 0); }\n"
        'sleep() { read_uptime; echo "slept $1"; echo $((now + $1)) >clock; }\n'
    )
    answers = TestRetries.answers

    def test_is_repeated_for_as_long_as_a_call_may_take(self, ash, tmp_path):
        self.answers(tmp_path, "503", "202", "409", "202", "")
        done = ash(self.API + "callback_timeout=60; call_back; wait")
        assert done.returncode == 0
        assert done.stdout.splitlines() == [
            "asked",
            "slept 1",
            *["asked", "slept 15"] * 3,
            "asked",
        ]

    def test_is_repeated_until_the_deploy_is_over(self, ash, tmp_path):
        self.answers(tmp_path, "202", "202", "400", "202")
        done = ash(self.API + "call_back; wait")
        assert done.stdout.splitlines() == [*["asked", "slept 15"] * 2, "asked"]
        assert "withdrew" not in done.stdout

    def test_of_an_error_is_repeated_too(self, ash, tmp_path):
        self.answers(tmp_path, "202", "202", "400")
        done = ash(self.API + 'fail "no disk"')
        assert (done.returncode, done.stdout.count("asked")) == (1, 3)
        assert json.loads((tmp_path / "run/body").read_text())["agent_status"] == "error"

    def test_refused_at_once_is_final(self, ash, tmp_path):
        self.answers(tmp_path, "400", "202")
        done = ash(self.API + "call_back; wait")
        assert (done.returncode, done.stdout) == (1, "asked\nwithdrew\n")

    def test_goes_to_the_public_route_without_the_token_in_argv(self, ash, tmp_path):
        record = 'request() { echo "$@"; status=202; }\n'
        done = ash(
            self.API + f"agent_token={AGENT_TOKEN}\n{record}repeat_seconds=999; call_back; wait"
        )
        assert done.stdout.strip().endswith(
            "--header X-OpenStack-Ironic-API-Version: 1.72 http://x/v1/heartbeat/n"
        )
        assert AGENT_TOKEN not in done.stdout
        assert AGENT_TOKEN in (tmp_path / "run/body").read_text()


class TestHttpLog:
    @pytest.mark.parametrize(
        ("line", "peer"),
        [
            ("Connecting to 10.0.2.2:6385... connected.", "10.0.2.2"),
            ("Connecting to api.example (api.example)|192.0.2.1|:443... connected.", "192.0.2.1"),
            ("Connecting to [2001:db8::1]:6385... connected.", "2001:db8::1"),
            ("Connecting to api (api)|2001:db8::2|:443... connected.", "2001:db8::2"),
            ("Connecting to api (api)|192.0.2.1|:443... failed: No route to host.", ""),
        ],
    )
    def test_peer_is_the_address_that_answered(self, ash, line, peer):
        log = f"--2026-01-01 00:00:00--  http://x/\n{line}\nHTTP request sent\n"
        assert ash("api_peer", stdin=log).stdout.strip() == peer

    def test_peer_is_the_last_of_several_addresses(self, ash):
        log = (
            "Connecting to api (api)|2001:db8::2|:443... failed: Network is unreachable.\n"
            "Connecting to api (api)|192.0.2.1|:443... connected.\n"
        )
        assert ash("api_peer", stdin=log).stdout.strip() == "192.0.2.1"

    def test_status_is_that_of_the_last_answer(self, ash):
        log = "  HTTP/1.0 100 Continue\n  HTTP/1.1 409 Conflict\n  Content-Length: 0\n"
        assert ash("http_status", stdin=log).stdout.strip() == "409"

    def test_there_is_no_status_without_an_answer(self, ash):
        assert ash("http_status", stdin="Read error (Connection timed out)\n").stdout == ""

    @pytest.mark.parametrize(
        ("source", "peer", "address"),
        [
            ("192.0.2.7", "192.0.2.1", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::1", "2001:db8::7"),
            ("fe80::7", "2001:db8::1", ""),
            ("fe80::7", "fe80::1", "fe80::7"),
        ],
    )
    def test_link_local_address_is_ours_on_its_link_only(self, ash, source, peer, address):
        fakes = (
            f"request() {{ status=200; echo 'Connecting to [{peer}]:80... connected.' "
            '>"$http_log"; }\n'
            f"ip() {{ echo '{peer} dev eth0 src {source} metric 256'; }}\n"
        )
        done = ash(f'{fakes} api_url=http://x; reach_api; echo "$? $address"')
        assert done.stdout.strip() == f"{0 if address else 1} {address}".strip()

    def test_https_without_a_ca_is_refused(self, ash, tmp_path):
        assert ash("api_url=https://192.0.2.1 prepare_http; prepare_http").returncode == 1
        assert "no callback_ca.pem" in failure(tmp_path)

    def test_token_stands_in_a_file_of_our_own(self, ash, tmp_path):
        (tmp_path / "run/floppy").mkdir()
        (tmp_path / "run/floppy/token").write_text("t0ken\n")
        assert ash("umask 077; api_url=http://x; prepare_http").returncode == 0
        settings = tmp_path / "run/wgetrc"
        assert "header = X-Auth-Token: t0ken\n" in settings.read_text()
        assert settings.stat().st_mode & 0o077 == 0


class TestFloppy:
    @pytest.mark.parametrize("content", [b"", bytes(40 << 20)], ids=["FAT12", "FAT16"])
    def test_is_known_by_its_label(self, ash, tmp_path, content):
        create_vfat_image(tmp_path / "image", parameters={}, files={"filler": content})
        assert ash("has_label image").returncode == 0

    def test_of_another_label_is_not_ours(self, ash, tmp_path):
        create_vfat_image(tmp_path / "image", parameters={}, label="ir-vfd-de")
        assert ash("has_label image").returncode == 1

    def test_fat32_has_its_label_elsewhere(self, ash, tmp_path):
        image = tmp_path / "image"
        subprocess.run(
            ["/usr/sbin/mkfs.vfat", "-F", "32", "-n", "ir-vfd-dev", "-C", image, "40960"],
            check=True,
            capture_output=True,
        )
        assert ash("has_label image").returncode == 0

    def test_without_a_medium_is_not_ours(self, ash):
        assert ash("has_label nothing").returncode == 1


@pytest.fixture
def disk(tmp_path) -> Callable[..., Path]:
    """Add a block device to the test's /sys."""

    def add(
        name: str,
        *,
        place: str = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block",
        size: int = 2048,
        sector_size: int = 512,
        files: Mapping[str, bytes | str] | None = None,
        **attributes: object,
    ) -> Path:
        """Add it at a place of the PCI bus, with its attributes, and other files from there.

        :param size: as there, in units of 512 bytes.
        :param files: contents by path, from the directory of the device (``device``).
        """
        directory = tmp_path / "sys/devices" / place / name
        (directory / "queue").mkdir(parents=True)
        (directory / "queue/logical_block_size").write_text(f"{sector_size}\n")
        (directory / "queue/rotational").write_text("1\n")
        for key, value in {"size": size, "removable": 0, "ro": 0, **attributes}.items():
            (directory / key).write_text(f"{value}\n")
        device = directory.parent.parent if "/block" in place else directory.parent
        (directory / "device").symlink_to(device)
        for key, content in (files or {}).items():
            file = device / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())
        block = tmp_path / "sys/block"
        block.mkdir(exist_ok=True)
        (block / name).symlink_to(directory)
        return directory

    return add


def scsi_page(page: int, content: bytes) -> bytes:
    """Make a VPD page (SPC-4 7.8.1)."""
    return struct.pack(">BBH", 0, page, len(content)) + content


def designators(*each: tuple[int, int, bytes]) -> bytes:
    """Make a VPD page 83h of code sets, types with their association, and what they say."""
    return scsi_page(
        0x83,
        b"".join(struct.pack(">BBxB", code, kind, len(text)) + text for code, kind, text in each),
    )


BINARY, ASCII = 1, 2
T10, EUI, NAA, PORT_NAA = 1, 2, 3, 0x13
RAID_ID = bytes.fromhex("600508b1001c1045b2f93a5d6e7f8091")
SAS_ID = bytes.fromhex("5000c50015ea71ac")


def ata_page(words: Mapping[int, bytes]) -> bytes:
    """Make a VPD page 89h: the identify data, of words by number, is little-endian."""
    data = bytearray(512)
    for number, content in words.items():
        data[2 * number : 2 * number + len(content)] = content
    data[0::2], data[1::2] = data[1::2], data[0::2]
    return scsi_page(0x89, bytes(56) + bytes(data))


class TestDisk:
    def test_only_what_can_be_deployed_to_counts(self, ash, disk):
        disk("loop0", place="loop")
        disk("sr0", removable=1)
        disk("sdb", place="pci0000:00/usb2/2-1/block", removable=1)
        disk("sdc", place="pci0000:00/usb2/2-2/block")
        disk("sdd", ro=1)
        disk("sde", size=0)
        disk("sdf", removable=1)
        disk("nvme0c0n1", hidden=1)
        disk("nvme0n1", hidden=0)
        assert ash("find_disks").stdout == "nvme0n1"

    def test_several_are_found_whatever_their_sectors(self, ash, disk):
        disk("sda")
        disk("vda", sector_size=4096)
        assert ash('quiet_seconds=0; find_local_disks; echo "$disks"').stdout == "sda vda\n"

    def test_without_one_says_what_there_is(self, ash, disk, tmp_path):
        disk("sdb", place="pci0000:00/usb2/2-1/block", size=2880, ro=1)
        assert ash("disk_seconds=0; disks=; find_local_disks").returncode == 1
        assert failure(tmp_path) == (
            "No local disk was found. Block devices: sdb (1474560 bytes, USB, read-only)"
        )

    def test_second_path_to_a_disk_is_left_out(self, ash, disk, tmp_path):
        page = designators((BINARY, NAA, RAID_ID))
        other = designators((BINARY, NAA, RAID_ID[::-1]))
        for name, identity in {"sda": page, "sdb": other, "sdc": page, "sdd": None}.items():
            disk(name, place=f"{name}/block", files={"vpd_pg83": identity} if identity else {})
        disk("sde", place="sde/block")
        done = ash('quiet_seconds=0; find_local_disks; echo "$disks"')
        assert done.stdout == "sda sdb sdd sde\n"
        assert "sdc is another path to a disk" in (tmp_path / "console").read_text()

    def test_busy_controllers_are_waited_for_when_one_behind_them_is_done(self, ash, disk):
        disk("sda")
        done = ash(
            "load_aliases() { [ $1 = pci:2bc01sc ] ||\n"
            'until [ -f "$run/go" ]; do sleep 0.1; done; }\n'
            "new=pci:1bc01sc; load_drivers; new=pci:2bc01sc; load_drivers; wait $!\n"
            'is_loading_storage && echo busy; : >"$run/go"; quiet_seconds=0\n'
            "await_disks; is_loading_storage || echo done"
        )
        assert done.stdout == "busy\ndone\n"

    def test_controllers_that_never_end_are_told_of(self, ash, disk, tmp_path):
        disk("sda")
        done = ash(': >"$run/storage-loading.x"; disk_seconds=1; find_local_disks')
        assert done.returncode == 1
        assert failure(tmp_path) == (
            "A storage driver was still looking for disks after 1 s. "
            "Block devices: sda (1048576 bytes)"
        )

    def test_disks_that_share_a_wwn_are_two(self, ash, disk):
        for name in ("sda", "sdb"):
            page = ata_page({10: name.encode().ljust(20), 87: b"\x41\x00", 108: bytes(8)})
            disk(name, place=f"{name}/block", files={"vendor": "ATA     ", "vpd_pg89": page})
        done = ash('quiet_seconds=0; find_local_disks; echo "$disks $wwn"')
        assert done.stdout == "sda sdb 0x0000000000000000\n"

    def test_controllers_that_still_look_for_disks_are_waited_for(self, ash, disk):
        disk("sda")
        started = time.monotonic()
        done = ash(
            'modprobe() { sleep 1; mkdir -p "$sys/devices/late/sdb"; cd "$sys/devices/late/sdb"\n'
            "echo 8 >size; echo 0 >removable; echo 0 >ro; ln -s $PWD $sys/block/sdb; }\n"
            "new=pci:v00001000d0000005Dsv*bc01sc04i00; load_drivers; quiet_seconds=1\n"
            'await_disks; echo "$disks"'
        )
        assert done.stdout == "sda sdb\n"
        assert time.monotonic() - started >= 1


class TestDescription:
    """The values are those of udev, for such a device."""

    def describe(self, ash: Ash, name: str, lun: int = 1) -> dict[str, object]:
        done = ash(f"describe_disk {name} {lun}")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def test_logical_drive_of_a_smart_array(self, ash, disk):
        address = "0:1:0:0"
        disk(
            "sda",
            place=f"pci0000:00/0000:00:03.0/0000:03:00.0/host0/target0:1:0/{address}/block",
            size=937703088,
            files={
                "vendor": "HP      ",
                "model": "LOGICAL VOLUME  ",
                f"scsi_device/{address}/x": "",
                "vpd_pg80": scsi_page(0x80, b"PDNLH0BRH7S0GK  "),
                "vpd_pg83": designators(
                    (ASCII, T10, b"HP      LOGICAL VOLUME"),
                    (BINARY, PORT_NAA, SAS_ID),
                    (BINARY, EUI, SAS_ID),
                    (BINARY, NAA, SAS_ID),
                    (BINARY, NAA, RAID_ID),
                ),
            },
        )
        assert self.describe(ash, "sda", lun=3) == {
            "lun": 3,
            "name": "/dev/sda",
            "size": 480103981056,
            "sector_size": 512,
            "model": "LOGICAL VOLUME",
            "vendor": "HP",
            "serial": "600508b1001c1045b2f93a5d6e7f8091",
            "wwn": "0x600508b1001c1045",
            "wwn_with_extension": "0x600508b1001c1045b2f93a5d6e7f8091",
            "wwn_vendor_extension": "0xb2f93a5d6e7f8091",
            "rotational": True,
            "hctl": address,
            "by_path": "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:1:0:0",
        }

    def test_sata_disk_tells_more_than_its_translation(self, ash, disk):
        disk(
            "sdb",
            place="pci0000:00/0000:00:1f.2/ata3/host7/target7:0:0/7:0:0:0/block",
            files={
                "vendor": "ATA     ",
                "model": "MB1000GCWCV long",
                "scsi_device/7:0:0:0/x": "",
                "../../../ata_port/ata3/port_no": "3",
                "vpd_pg83": designators((ASCII, T10, b"ATA     MB1000GCWCV")),
                "vpd_pg89": ata_page(
                    {
                        10: b" Z1W 1234".ljust(20),
                        27: b"MB1000GCWCV longer than 16".ljust(40),
                        87: b"\x41\x01",
                        108: SAS_ID,
                    }
                ),
            },
        )
        told = self.describe(ash, "sdb")
        assert told == told | {
            "model": "MB1000GCWCV longer than 16",
            "serial": "Z1W_1234",
            "wwn": "0x5000c50015ea71ac",
            "wwn_with_extension": "0x5000c50015ea71ac",
            "wwn_vendor_extension": "",
            "by_path": "/dev/disk/by-path/pci-0000:00:1f.2-ata-3.0",
        }

    def test_sata_disk_without_wwn_has_none(self, ash, disk):
        disk(
            "sdb",
            place="x/block",
            files={"vendor": "ATA", "vpd_pg89": ata_page({87: b"\x40\x00", 108: SAS_ID})},
        )
        assert self.describe(ash, "sdb")["wwn"] == ""

    def test_nvme_disk(self, ash, disk):
        directory = disk(
            "nvme0n1",
            place="pci0000:3a/0000:3a:00.0/10000:01:00.0/nvme/nvme0",
            sector_size=4096,
            nsid=1,
            wwid="eui.0025385b71b00001",
            files={"model": "MO0400KEFHN", "serial": "CVFT 42       "},
        )
        (directory / "queue/rotational").write_text("0\n")
        told = self.describe(ash, "nvme0n1")
        assert told == told | {
            "sector_size": 4096,
            "model": "MO0400KEFHN",
            "vendor": "",
            "serial": "CVFT_42",
            "wwn": "eui.0025385b71b00001",
            "wwn_with_extension": "",
            "rotational": False,
            "hctl": "",
            "by_path": "/dev/disk/by-path/pci-10000:01:00.0-nvme-1",
        }

    def test_virtio_disk_has_hostile_text(self, ash, disk):
        hostile = '"}, {"lun": 9, \\ `id` $(id) %s'
        disk("vda", place="pci0000:00/0000:00:05.0/virtio3", serial=f"{hostile}\x1b\xfc")
        told = self.describe(ash, "vda")
        assert told["serial"] == hostile.replace(" ", "_")
        assert told["by_path"] == "/dev/disk/by-path/pci-0000:00:05.0"
        # Consoles show it as well.
        shown = ash('read_identity vda; printf %s "$serial"').stdout
        assert shown == hostile.replace(" ", "_")

    @pytest.mark.parametrize(
        ("page", "serial", "wwn"),
        [
            (designators((ASCII, 0, b"QM00001")), "QM00001", ""),
            (designators((ASCII, T10, b"HP  x"), (ASCII, 0, b"QM00001")), "HP_x", ""),
            (designators((ASCII, NAA, b"5000c50015ea71ac")), SAS_ID.hex(), "0x5000c50015ea71ac"),
            (designators((BINARY, EUI, SAS_ID)), SAS_ID.hex(), ""),
            (designators(), "UNIT_7", ""),
            (designators((BINARY, NAA, SAS_ID))[:-1], "UNIT_7", ""),
            (b"\x00\x83", "UNIT_7", ""),
        ],
    )
    def test_scsi_disk_is_known_by_its_best_designator(self, ash, disk, page, serial, wwn):
        unit = scsi_page(0x80, b" UNIT 7 ")
        disk("sda", place="x/block", files={"vpd_pg80": unit, "vpd_pg83": page})
        told = self.describe(ash, "sda")
        assert (told["serial"], told["wwn"]) == (serial, wwn)

    @pytest.mark.parametrize(
        ("below", "files", "path"),
        [
            (
                "host4/port-4:0/end_device-4:0",
                {"port-4:0/sas_port/port-4:0/num_phys": "1"},
                "sas-phy3-lun-0",
            ),
            (
                "host4/port-4:0/end_device-4:0",
                {"port-4:0/sas_port/port-4:0/num_phys": "2"},
                "sas-0x5000c50015ea71ad-lun-0",
            ),
            (
                "host4/port-4:0/expander-4:0/port-4:0:1/end_device-4:0",
                {
                    "port-4:0/expander-4:0/port-4:0:1/sas_port/port-4:0:1/num_phys": "1",
                    "port-4:0/expander-4:0/sas_device/expander-4:0/sas_address": "0x500",
                },
                "sas-exp0x500-phy3-lun-0",
            ),
            ("host4", {}, "scsi-1:0:2:0"),
        ],
    )
    def test_place_is_as_udev_names_it(self, ash, disk, below, files, path):
        address = "4:0:2:0"
        controller = "pci0000:00/0000:02:00.0"
        directory = disk(
            "sda",
            place=f"{controller}/{below}/target4:0:2/{address}/block",
            files={f"scsi_device/{address}/x": ""},
        )
        end_device = directory.parents[3]
        root = next(parent for parent in directory.parents if parent.name == "host4")
        identity = end_device / "sas_device" / end_device.name
        identity.mkdir(parents=True)
        (identity / "phy_identifier").write_text("3\n")
        (identity / "sas_address").write_text("0x5000c50015ea71ad\n")
        for key, content in files.items():
            (root / key).parent.mkdir(parents=True)
            (root / key).write_text(f"{content}\n")
        (root.parent / "host3").mkdir()
        assert self.describe(ash, "sda")["by_path"] == (
            f"/dev/disk/by-path/pci-0000:02:00.0-{path}"
        )


class TestTarget:
    """When it is withdrawn; what LIO makes of it is for the e2e tests."""

    USE = (
        "iqn=iqn.t tpg=$PWD/iqn.t/tpgt_1 acl=$PWD/iqn.t/tpgt_1/acls/iqn.i login_timeout=60\n"
        # The clock of these waits: each takes what it says.
        "read_uptime() { now=$(cat clock 2>/dev/null || echo 0); }\n"
        "sleep() { read_uptime; echo $((now + $1)) >clock; }\n"
        "mkdir -p $acl iqn.t/fabric_statistics/iscsi_login_stats\n"
        "accepts=iqn.t/fabric_statistics/iscsi_login_stats/accepts; echo 0 >$accepts\n"
        'echo "No active iSCSI Session for Initiator Endpoint: iqn.i" >$acl/info\n'
    )

    def test_is_out_of_use_when_nobody_logs_in(self, ash):
        done = ash(self.USE + "await_disuse; cat clock")
        assert (done.stdout, done.stderr) == ("60\n", "")

    def test_is_in_use_from_login_to_login(self, ash):
        later = (
            "sleep() { read_uptime; now=$((now + $1)); echo $now >clock\n"
            "[ $now != 50 ] || echo 1 >$accepts; }\n"
        )
        assert ash(self.USE + later + "await_disuse; cat clock").stdout == "110\n"

    def test_is_in_use_while_somebody_is_logged_in(self, ash):
        later = (
            'echo "Session State: TARG_SESS_STATE_LOGGED_IN" >$acl/info; echo 1 >$accepts\n'
            "sleep() { read_uptime; now=$((now + $1)); echo $now >clock\n"
            "[ $now != 500 ] || echo none >$acl/info; }\n"
        )
        assert ash(self.USE + later + "await_disuse; cat clock").stdout == "559\n"

    def test_is_withdrawn_when_a_deploy_breaks_off(self, ash, tmp_path):
        enable = {iqn: tmp_path / "target/iscsi" / iqn / "tpgt_1/enable" for iqn in "ab"}
        for iqn, file in enable.items():
            file.parent.mkdir(parents=True)
            file.write_text(f"{int(iqn == 'a')}\n")
        done = ash("configfs=$PWD; withdraw_all; configfs=$PWD/none; withdraw_all")
        assert (done.returncode, done.stderr) == (0, "")
        assert [file.read_text() for file in enable.values()] == ["0", "0\n"]

    def test_is_withdrawn_then_and_the_conductor_told(self, ash, tmp_path):
        fakes = (
            "find_local_disks() { :; }; export_disks() { disks=sda; }; call_back() { :; }\n"
            'report_error() { echo "told: $1"; }; true & loading_target=$!\n'
        )
        done = ash(self.USE + fakes + "address=192.0.2.7 portal_port=3260; offer_disks")
        assert done.returncode == 1
        assert done.stdout == (
            "told: No conductor was logged in for 60 s: the disks are withdrawn\n"
        )
        assert (tmp_path / "iqn.t/tpgt_1/enable").read_text() == "0"

    def test_needs_its_modules(self, ash, tmp_path):
        fakes = "find_local_disks() { :; }; export_disks() { echo exported; }; false & "
        (tmp_path / "run/target-modules.log").write_text("modprobe: can't load module md5\n")
        done = ash(f"{fakes} loading_target=$!; offer_disks")
        assert (done.returncode, done.stdout) == (1, "")
        assert failure(tmp_path) == (
            "A kernel module of the iSCSI target could not be loaded: "
            "modprobe: can't load module md5"
        )


@pytest.fixture
def card(tmp_path) -> Callable[[str, str], None]:
    """Add a network card to the test's /sys."""

    def add(name: str, mac: str) -> None:
        directory = tmp_path / "sys/class/net" / name
        (directory / "device").mkdir(parents=True)
        (directory / "address").write_text(f"{mac}\n")

    return add


class TestNetwork:
    CONF = (
        "link 0 52:54:00:00:00:02 9000\n"
        "vlan 1 0 100 fa:16:3e:00:00:02 -\n"
        "address 1 2001:db8::a/64\n"
        "route 1 default fe80::1\n"
        "dhcp 0\n"
    )
    IP = (
        'ip() { echo "ip $*"; }\nstart_udhcpc() { echo "udhcpc $*"; }\nreach_api() { :; }\n'
        'load_aliases() { echo "load $*"; }\n'
    )

    @pytest.fixture
    def conf(self, tmp_path) -> Path:
        file = tmp_path / "run/floppy/network.conf"
        file.parent.mkdir(parents=True)
        return file

    def test_static_data_is_done_line_by_line_on_the_card_with_the_address(self, ash, card, conf):
        card("eth0", "52:54:00:00:00:01")
        card("eth1", "52:54:00:00:00:02")
        conf.write_text(self.CONF)
        assert ash(self.IP + "try_static").stdout.splitlines() == [
            "ip link set eth1 name link0",
            "ip link set link0 mtu 9000",
            "ip link set link0 up",
            "load 8021q",
            "ip link add link link0 name link1 type vlan id 100",
            "ip link set link1 address fa:16:3e:00:00:02",
            "ip link set link1 up",
            "ip addr add 2001:db8::a/64 dev link1",
            "ip route append default via fe80::1 dev link1",
            "udhcpc link0",
        ]

    def test_links_are_raised_once_until_the_network_data_tell_which(self, ash, card, conf):
        card("eth0", "52:54:00:00:00:01")
        card("eth1", "52:54:00:00:00:02")
        conf.write_text("link 0 52:54:00:00:00:02 -\n")
        # Later, with the network up, drivers are still looked for.
        done = ash(f"{self.IP}raise_links; raise_links; callback_timeout=9 api_url=http://a\n"
                   "bring_up_network; watch_devices")  # fmt: skip
        assert done.stdout.splitlines() == [
            "ip link set eth0 up",
            "ip link set eth1 up",
            "ip link set eth0 down",
            "ip link set eth1 down",
            "ip link set eth1 name link0",
            "ip link set link0 up",
        ]

    def test_a_link_is_waited_for_unless_it_was_taken_down(self, ash, card, tmp_path):
        card("eth0", "52:54:00:00:00:01")
        carrier = tmp_path / "sys/class/net/eth0/carrier"
        carrier.write_text("0\n")
        done = ash(f"{{ sleep 0.3; echo 1 >{carrier}; }} & await_carrier eth0; cat {carrier}")
        assert done.stdout == "1\n"
        carrier.unlink()
        assert ash("await_carrier eth0").returncode == 0

    def test_routers_give_addresses_where_they_are_to_alone(self, ash, card, conf, tmp_path):
        card("eth0", "52:54:00:00:00:02")
        conf.write_text(f"{self.CONF}autoconf 0\n")
        for name in ("link0", "link1"):
            (tmp_path / "ipv6" / name).mkdir(parents=True)
            (tmp_path / "ipv6" / name / "autoconf").write_text("1\n")
        assert ash(f"{self.IP}ipv6={tmp_path}/ipv6\ntry_static").returncode == 0
        assert (tmp_path / "ipv6/link0/autoconf").read_text() == "1\n"
        assert (tmp_path / "ipv6/link1/autoconf").read_text() == "0\n"

    def test_a_missing_card_is_waited_for_and_named(self, ash, card, conf):
        card("eth0", "52:54:00:00:00:01")
        conf.write_text(self.CONF)
        done = ash(self.IP + 'try_static || echo "$api_reason"')
        assert done.stdout.strip() == (
            "no network card has the address 52:54:00:00:00:02; there is: eth0 (52:54:00:00:00:01)"
        )

    def test_a_line_that_cannot_be_done_is_final(self, ash, card, conf, tmp_path):
        card("eth0", "52:54:00:00:00:02")
        conf.write_text(self.CONF)
        refuse = 'ip() { case "$*" in *2001*) echo "ip: File exists" >&2; return 2 ;; esac; }\n'
        assert ash(self.IP + refuse + "try_static").returncode == 1
        assert failure(tmp_path) == (
            'network.conf: "address 1 2001:db8::a/64" cannot be done: ip: File exists'
        )

    @pytest.mark.parametrize(
        ("routes", "lines"),
        [
            (
                "router='192.0.2.1 192.0.2.2'",
                ["route default 192.0.2.1", "route default 192.0.2.2"],
            ),
            (
                "router=192.0.2.9 staticroutes='198.51.100.0/24 192.0.2.3 0.0.0.0/0 192.0.2.1'",
                ["route 198.51.100.0/24 192.0.2.3", "route 0.0.0.0/0 192.0.2.1"],
            ),
            ("", []),
        ],
    )
    def test_a_lease_is_noted(self, tmp_path, routes, lines):
        script = (INIT / "dhcp-event").read_text().replace("/run/dhcp", str(tmp_path))
        (tmp_path / "dhcp-event").write_text(script)
        subprocess.run(
            ["busybox", "sh", "-c", f"{routes} busybox sh dhcp-event bound"],
            env={
                "PATH": "/usr/bin:/bin",
                "interface": "eth0",
                "ip": "192.0.2.7",
                "mask": "24",
                "dns": "192.0.2.53",
            },
            cwd=tmp_path,
            check=True,
        )
        assert (tmp_path / "eth0.lease").read_text().splitlines() == [
            "address 192.0.2.7/24",
            *lines,
            "dns 192.0.2.53",
        ]


def test_a_clock_that_is_behind_is_set_and_one_ahead_is_not(ash, tmp_path):
    date = 'date() { case $1 in +%s) echo 1000 ;; -s) echo "set $2" >&2 ;; esac; }\n'
    assert ash(f"{date}set_clock 1001").stderr == "set @1001\n"
    assert ash(f"{date}set_clock 1000").stderr == ""
