"""The ramdisk gets drivers from the deploy ISO: ``init/drivers.sh``, run by busybox's shell."""

import lzma
import shlex
import subprocess
from pathlib import Path

import pytest

import deploy_ramdisk

INIT = Path(deploy_ramdisk.__file__).parent / "init"
PARTS = ("callback", "console", "devices", "disk", "drivers", "network")
TG3, PHY = "kernel/net/tg3.ko", "kernel/net/libphy.ko"


@pytest.fixture
def ash(tmp_path):
    """Run a script with a modprobe that would load two modules, and writes down what it loads."""
    places = {name: tmp_path / name for name in ("run", "sys", "modules")}
    for place in places.values():
        place.mkdir()
    parts = "".join(f". {INIT / part}.sh\n" for part in PARTS)
    prelude = f"""\
set -u
run={places["run"]} sys={places["sys"]} console={tmp_path}/console iso_seconds=1
{parts}
fail() {{ say "FAILED: $*"; exit 1; }}
modprobe() {{
    case $1 in
        -D) printf 'insmod %s\\n' {places["modules"]}/{PHY} "{places["modules"]}/{TG3} a=1" ;;
        *) echo "$*" >>{tmp_path}/loaded ;;
    esac
}}
"""

    def run(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["busybox", "sh", "-c", prelude + script],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def put_on_iso(tmp_path, **modules: bytes):
    drivers = tmp_path / "run/iso/drivers"
    drivers.mkdir(parents=True)
    for name, content in modules.items():
        (drivers / f"{name}.ko.xz").write_bytes(content)


def test_unpacks_what_is_needed_and_not_there_and_loads_it(ash, tmp_path):
    put_on_iso(
        tmp_path, tg3=lzma.compress(b"tg3"), libphy=lzma.compress(b"new"), qed=lzma.compress(b"q")
    )
    phy = tmp_path / "modules" / PHY
    phy.parent.mkdir(parents=True)
    phy.write_bytes(b"there")
    done = ash("iso_found=yes; load_aliases pci:1 pci:2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "modules" / TG3).read_bytes() == b"tg3"
    assert phy.read_bytes() == b"there"
    assert sorted(path.name for path in phy.parent.iterdir()) == ["libphy.ko", "tg3.ko"]
    assert (tmp_path / "loaded").read_text() == "-a -q pci:1 pci:2\n"


def test_loads_what_the_ramdisk_has_while_there_is_no_iso(ash, tmp_path):
    assert ash("load_aliases usb:1").returncode == 0
    assert (tmp_path / "loaded").read_text() == "-a -q usb:1\n"
    assert list((tmp_path / "modules").iterdir()) == []


def test_says_what_cannot_be_read(ash, tmp_path):
    put_on_iso(tmp_path, tg3=lzma.compress(b"tg3" * 100)[:-20], libphy=lzma.compress(b"phy"))
    ash("iso_found=yes disk_seconds=0 disks=; load_aliases pci:1; find_local_disks")
    said = (tmp_path / "console").read_text()
    assert "the driver tg3.ko cannot be read from the deploy ISO" in said
    directory = (tmp_path / "modules" / TG3).parent
    assert [path.name for path in directory.iterdir()] == ["libphy.ko"]
    # What it drives would be missing.
    assert (
        "FAILED: Drivers could not be read from the deploy ISO: tg3.ko. Is virtual media" in said
    )


def test_says_when_the_iso_is_gone(ash, tmp_path):
    ash("iso_found=yes; load_aliases pci:1")
    unread = (tmp_path / "run/unread-drivers").read_text()
    assert unread.split() == ["libphy.ko", "tg3.ko"]


def add_cd(tmp_path, name: str, bus: str):
    device = tmp_path / "sys/devices" / bus / name
    device.mkdir(parents=True)
    (tmp_path / "sys/block").mkdir(exist_ok=True)
    (tmp_path / "sys/block" / name).symlink_to(device)


FAKE_MOUNT = """
umount() { rm -r "$iso/drivers"; }
mount() { echo "$*" >>"$run/mounted"; case $* in */dev/%s\\ *) mkdir -p "$iso/drivers" ;; esac; }
"""


def test_finds_the_iso_on_usb_and_looks_at_all_devices_again(ash, tmp_path):
    add_cd(tmp_path, "sr0", "pci0/ata1")
    add_cd(tmp_path, "sr1", "pci0/usb1")
    done = ash(FAKE_MOUNT % "sr1" + "load_modules() { :; }\nawait_iso\ncat $run/modaliases")
    assert (done.returncode, done.stdout) == (0, "none\n"), done.stderr
    options = shlex.split((tmp_path / "run/mounted").read_text())
    assert options[-2:] == ["/dev/sr1", str(tmp_path / "run/iso")]
    assert "/dev/sr0" not in options


def test_gives_up_without_the_iso(ash, tmp_path):
    add_cd(tmp_path, "sr0", "pci0/ata1")
    assert ash(FAKE_MOUNT % "sr0" + "await_iso").returncode == 1
    said = (tmp_path / "console").read_text()
    assert "FAILED: The deploy ISO was not found within 1 s. Is virtual media still" in said
