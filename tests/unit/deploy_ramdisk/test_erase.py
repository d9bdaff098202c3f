"""Erasing, by the ramdisk's own shell, with files for disks and scripts for tools."""

import json
import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.unit.deploy_ramdisk.test_init import PRELUDE

KIB = 1 << 10
MIB = 1 << 20
SIZE = 40 * MIB
Erase = Callable[[str], dict[str, str]]


@pytest.fixture
def disk(tmp_path) -> Path:
    """Make a disk full of data."""
    path = tmp_path / "disk"
    path.write_bytes(random.Random(7).randbytes(MIB) * (SIZE // MIB))
    return path


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def make_tool(directory: Path, name: str, script: str) -> None:
    put(directory / "bin" / name, f"#!/bin/sh\n{script}\n")
    (directory / "bin" / name).chmod(0o755)


@pytest.fixture
def run(tmp_path, disk) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script for a disk of a name, as its worker does."""

    def run_script(script: str, name: str = "sda") -> subprocess.CompletedProcess[str]:
        for place in (tmp_path / "run/erase", tmp_path / "sys/block" / name / "queue"):
            place.mkdir(parents=True, exist_ok=True)
        # Files, unlike disks, are not flushed by ioctl; no test needs a second.
        settings = f"""
            run={tmp_path}/run sys={tmp_path}/sys console={tmp_path}/console
            fallocate=/usr/bin/fallocate poll_seconds=0 erase_seconds=60
            {PRELUDE}
            blockdev() {{ :; }}
            disk={disk} place={tmp_path}/run/erase/{name} size={SIZE}
            block={tmp_path}/sys/block/{name} method= verified= reason= vendor= serial=S
        """
        return subprocess.run(
            ["busybox", "sh", "-c", f"PATH={tmp_path}/bin:$PATH\n{settings}\n{script}"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run_script


@pytest.fixture
def erase(run, tmp_path) -> Erase:
    """Erase all data of a disk, and tell by what and with what proof, or why not."""

    def erase_data(name: str) -> dict[str, str]:
        result = run(
            'erase_devices && echo "method=$method" && echo "verified=$verified" && exit\n'
            'echo "reason=$reason"',
            name,
        )
        assert result.stderr == ""
        return dict(line.split("=", 1) for line in result.stdout.splitlines())

    discards(tmp_path, "0")
    make_tool(tmp_path, "sg_sanitize", "exit 9")
    return erase_data


def discards(tmp_path: Path, most: str, name: str = "sda") -> None:
    put(tmp_path / "sys/block" / name / "queue/discard_max_bytes", f"{most}\n")


def identify(tmp_path: Path, words: Mapping[int, int]) -> None:
    """Give a disk identify data (ACS-3 7.12.7)."""
    data = [0] * 256
    for number, value in words.items():
        data[number] = value
    put(tmp_path / "sys/block/sda/device/vpd_pg89", bytes(60) + struct.pack("<256H", *data))


class TestMetadata:
    def test_both_ends_of_disk_and_partitions(self, run, tmp_path, disk):
        before = disk.read_bytes()
        put(tmp_path / "sys/block/sda/sda1/partition", "1\n")
        put(tmp_path / "sys/block/sda/sda1/start", f"{18 * MIB // 512}\n")
        put(tmp_path / "sys/block/sda/sda1/size", f"{512 * KIB // 512}\n")
        done = run('erase_devices_metadata && echo "$verified"')
        assert (done.stdout, done.stderr) == ("all that was written was read back as zeros\n", "")
        after = disk.read_bytes()
        expected = bytearray(before)
        for start, length in ((0, 16 * MIB), (24 * MIB, 16 * MIB), (18 * MIB, 512 * KIB)):
            expected[start : start + length] = bytes(length)
        assert after == bytes(expected)

    def test_disk_that_does_not_keep_zeros(self, run):
        done = run('write_zeros() { :; }; erase_devices_metadata || echo "$reason"')
        assert "something else was read in the 16777216 bytes from byte 0" in done.stdout

    def test_disk_that_fails(self, run, tmp_path):
        make_tool(tmp_path, "failing", "echo 'fallocate: Input/output error' >&2; exit 1")
        done = run(f'fallocate={tmp_path}/bin/failing; erase_devices_metadata || echo "$reason"')
        assert done.stdout == (
            "zeros could not be written at byte 0: fallocate: Input/output error\n"
        )


class TestData:
    def test_discard_where_zeros_are_promised(self, erase, tmp_path, disk):
        discards(tmp_path, "4096")
        found = erase("sda")
        assert found["method"] == "discard (unmap)"
        assert found["verified"] == "64 samples of 64 KiB, both ends included: all zeros"
        assert not any(disk.read_bytes())

    def test_overwriting_where_nothing_else_is_offered(self, erase, disk):
        assert erase("sda")["method"] == "overwriting with zeros"
        assert not any(disk.read_bytes())

    def test_disk_that_cannot_be_written(self, erase, disk, tmp_path):
        disk.unlink()
        (tmp_path / "disk").mkdir()
        assert "overwriting failed at byte 0" in erase("sda")["reason"]


class TestAta:
    """``vendor`` is what the worker has read before."""

    @pytest.fixture
    def ata(self, run, tmp_path) -> Callable[[], list[str]]:
        discards(tmp_path, "0")
        return lambda: (
            run('vendor=ATA; erase_devices; echo "$method"; echo "$reason"')
            .stdout.strip()
            .splitlines()
        )

    def test_sanitize(self, ata, tmp_path, disk):
        identify(tmp_path, {59: 0x9000})
        # Its status is asked twice.
        make_tool(
            tmp_path,
            "hdparm",
            f"""echo "$*" >>{tmp_path}/asked
            case $* in
                *--sanitize-block-erase*) truncate -s 0 {disk}; truncate -s {SIZE} {disk} ;;
                *) [ $(wc -l <{tmp_path}/asked) -gt 2 ] && echo "State: SD0 Sanitize Idle
                Last Sanitize Operation Completed Without Error" ||
                echo "State: SD2 Sanitize operation In Process
                Progress: 0x8000 (50%)" ;;
            esac""",
        )
        assert ata() == ["ATA sanitize (block erase)"]
        assert len((tmp_path / "asked").read_text().splitlines()) == 3

    def test_secure_erase(self, ata, tmp_path, disk):
        identify(tmp_path, {128: 0x21})
        erased = f"truncate -s 0 {disk}; truncate -s {SIZE} {disk}"
        make_tool(
            tmp_path,
            "hdparm",
            f'echo "$*" >>{tmp_path}/asked; case $* in *erase-enhanced*) {erased} ;; esac',
        )
        assert ata() == ["ATA enhanced secure erase"]
        options = [line.split()[2] for line in (tmp_path / "asked").read_text().splitlines()]
        assert options == ["--security-set-pass", "--security-erase-enhanced"]

    def test_frozen_security_is_named(self, ata, tmp_path):
        identify(tmp_path, {128: 0x9})
        make_tool(tmp_path, "hdparm", "exit 1")
        assert ata()[0] == "overwriting with zeros; ATA secure erase is frozen by the BIOS"

    def test_erasure_that_did_nothing(self, ata, tmp_path):
        identify(tmp_path, {128: 0x1})
        make_tool(tmp_path, "hdparm", "exit 0")
        assert ata()[0] == ("overwriting with zeros; after ATA secure erase, data was still there")

    def test_disk_that_cannot_be_read_afterwards(self, ata, tmp_path, disk):
        identify(tmp_path, {128: 0x1})
        # The last sample alone is cut short.
        make_tool(
            tmp_path,
            "hdparm",
            f"case $* in *security-erase*) truncate -s 0 {disk}; "
            f"truncate -s {SIZE - 512} {disk} ;; esac",
        )
        assert ata()[0] == "overwriting with zeros; after ATA secure erase, it cannot be read"

    def test_noise_instead_of_zeros_will_do(self, ata, run, tmp_path, disk):
        identify(tmp_path, {128: 0x1})
        noise = tmp_path / "noise"
        noise.write_bytes(random.Random(8).randbytes(MIB) * (SIZE // MIB))
        make_tool(tmp_path, "hdparm", f"case $* in *security-erase*) cp {noise} {disk} ;; esac")
        assert ata() == ["ATA secure erase"]


class TestNvme:
    def make_controller(self, tmp_path: Path, *, formats: bool, sanitizes: int) -> None:
        """Answer Identify and the sanitize log as a controller does; note all commands."""
        controller = bytearray(4096)
        struct.pack_into("<H", controller, 256, 2 if formats else 0)
        struct.pack_into("<I", controller, 328, sanitizes)
        namespace = bytearray(4096)
        namespace[26], namespace[29] = 0b0010_0001, 0b0000_1010
        for name, data in (
            ("controller", controller),
            ("namespace", namespace),
            ("log", struct.pack("<HH", 65535, 0x101)),
        ):
            put(tmp_path / name, bytes(data))
        make_tool(
            tmp_path,
            "sg_raw",
            f"""out=/dev/null
            for option; do case $option in --outfile=*) out=${{option#*=}} ;; esac; done
            command=${{*##*{tmp_path}/disk }}
            echo "$command" >>{tmp_path}/asked
            case $command in
                '06 00 00 00 00 '*) cat {tmp_path}/controller >$out ;;
                06*) cat {tmp_path}/namespace >$out ;;
                02*) cat {tmp_path}/log >$out ;;
                *) truncate -s 0 {tmp_path}/disk; truncate -s {SIZE} {tmp_path}/disk ;;
            esac""",
        )
        put(tmp_path / "sys/block/nvme0n1/nsid", "1\n")
        put(tmp_path / "sys/block/nvme0n1/device/model", "m\n")
        discards(tmp_path, "0", "nvme0n1")

    def asked(self, tmp_path: Path, opcode: int) -> tuple[int, int]:
        """Find a command; give its namespace and its dword 10."""
        for line in (tmp_path / "asked").read_text().splitlines():
            command = bytes.fromhex(line)
            assert len(command) == 64
            if command[0] == opcode:
                namespace, dword_10 = struct.unpack_from("<4xI32xI", command)
                return int(namespace), int(dword_10)
        raise AssertionError(opcode)

    @pytest.fixture
    def nvme(self, run) -> Callable[[], str]:
        script = 'erase_devices; echo "$method$reason"'

        def erase_nvme() -> str:
            return run(script, "nvme0n1").stdout.strip()

        return erase_nvme

    def test_sanitize(self, nvme, tmp_path):
        self.make_controller(tmp_path, formats=True, sanitizes=3)
        assert nvme() == "NVMe sanitize (block erase)"
        assert self.asked(tmp_path, 0x84) == (0, 2)

    def test_crypto_erase_where_there_is_no_other(self, nvme, tmp_path):
        self.make_controller(tmp_path, formats=True, sanitizes=1)
        assert nvme() == "NVMe sanitize (crypto erase)"
        assert self.asked(tmp_path, 0x84) == (0, 4)

    def test_format_keeps_the_format(self, nvme, tmp_path):
        self.make_controller(tmp_path, formats=True, sanitizes=0)
        assert nvme() == "NVMe format (user data erase)"
        # LBA format 17, protection type 2 at the start, user data erase (NVM Express 1.4, 5.23).
        assert self.asked(tmp_path, 0x80) == (1, 1 | 2 << 5 | 1 << 8 | 1 << 9 | 1 << 12)

    def test_neither(self, nvme, tmp_path):
        self.make_controller(tmp_path, formats=False, sanitizes=0)
        assert nvme() == "overwriting with zeros"


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "SCSI sanitize (block erase)"), (5, "overwriting with zeros"), (11, "failed: aborted")],
)
def test_scsi(run, tmp_path, disk, status, words):
    discards(tmp_path, "0")
    zeros = f"truncate -s 0 {disk}; truncate -s {SIZE} {disk}"
    make_tool(tmp_path, "sg_sanitize", f"echo aborted; {zeros}; exit {status}")
    assert words in run('vendor=HP; erase_devices; echo "$method"').stdout


class TestTelling:
    WORKERS = "disks='sda sdb'; read_uptime; told_at=$((now - 10))\n"

    @pytest.fixture(autouse=True)
    def _progress(self, tmp_path):
        for name in ("sda", "sdb"):
            put(tmp_path / f"run/erase/{name}.size", "1000\n")
        put(tmp_path / "run/erase/sda.progress", "900 discard (unmap)\n")
        put(tmp_path / "run/erase/sdb.progress", '100 way "2"\n')

    def test_progress(self, run):
        told = json.loads(run(self.WORKERS + "told_bytes=500; describe_progress").stdout)
        assert told == {
            "percent": 50,
            "bytes_done": 1000,
            "bytes_total": 2000,
            "bytes_per_second": 50,
            "disks": [
                {"name": "/dev/sda", "method": "discard (unmap)", "percent": 90},
                {"name": "/dev/sdb", "method": 'way "2"', "percent": 10},
            ],
        }

    def test_end(self, run, tmp_path):
        for name in ("sda", "sdb"):
            script = f"disk=/dev/{name} size=5 serial='a\"b' method=m verified=v; "
            put(tmp_path / f"run/erase/{name}.erased", run(script + "describe_erasure").stdout)
        done = run(self.WORKERS + 'post_callback() { echo "{$told}"; }; report_erasure')
        (first, second) = json.loads(done.stdout)["erased"]
        assert first == {
            "name": "/dev/sda",
            "serial": 'a"b',
            "size": 5,
            "method": "m",
            "verified": "v",
        }
        assert second["name"] == "/dev/sdb"

    def test_each_disk_that_was_not_erased_is_named(self, run, tmp_path):
        put(tmp_path / "run/erase/sda.failed", "/dev/sda (serial X): why\n")
        run(self.WORKERS + "report_erasure")
        failure = (tmp_path / "run/failure").read_text()
        assert failure == "Not erased: /dev/sda (serial X): why; /dev/sdb: the ramdisk failed\n"

    def test_all_workers_are_waited_for(self, run):
        script = """
            tell_progress() { told_at=$now; }
            sleep 0 & workers=sda:$!; sleep 2 & workers="$workers sdb:$!"; slow=$!
            watch_workers
            kill -0 $slow 2>/dev/null || echo ended
        """
        assert run(script).stdout == "ended\n"

    def test_a_disk_that_hangs_is_not_waited_for(self, run, tmp_path):
        make_tool(tmp_path, "hanging", "exec sleep 10")
        done = run(f"""{self.WORKERS}
            tell_progress() {{ told_at=$now; }}
            fallocate={tmp_path}/bin/hanging piece_seconds=1
            erase_disk() {{ disk=/dev/$1 place=$run/erase/$1; erase_devices_metadata; }}
            erase_disk sda >/dev/null 2>&1 & workers=sda:$!
            watch_workers
            report_erasure
        """)
        assert (
            "/dev/sda (serial S): it hangs: nothing came of zeros on 16 MiB"
            in (tmp_path / "run/failure").read_text()
        ), done.stderr

    def test_disks_that_cannot_be_written_are_named(self, run, tmp_path):
        for name, protected, size in (("sda", 0, 8), ("sdb", 1, 8), ("sdc", 0, 0)):
            for file, value in (("ro", protected), ("removable", 0), ("size", size)):
                put(tmp_path / f"sys/block/{name}/{file}", f"{value}\n")
        run("refuse_unwritable")
        assert (tmp_path / "run/failure").read_text() == (
            "Not erased, nor any other disk: /dev/sdb is write-protected, /dev/sdc has no size\n"
        )


def test_tools_of_these_tests_are_there():
    assert shutil.which("fallocate") == "/usr/bin/fallocate"
