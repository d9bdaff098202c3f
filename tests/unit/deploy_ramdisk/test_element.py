"""The scripts of the diskimage-builder element, run as it runs them; other programs are fakes."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy_ramdisk.lists import read_names
from ironic_ilo.cli import main

NAME = "ironic-ilo-deploy-iso"
IMAGE = {"DISTRO_NAME": "debian", "ARCH": "amd64", "IMAGE_NAME": "deploy"}


@pytest.fixture
def element(capsys) -> Path:
    assert main(["dib-elements-path"]) == 0
    return Path(capsys.readouterr().out.strip()) / NAME


@pytest.fixture
def programs(tmp_path) -> Path:
    """Programs that succeed and write down how they were called."""
    directory = tmp_path / "programs"
    directory.mkdir()
    for name in ("ironic-ilo", "install-packages", "mcopy", "mkfs.vfat", "modinfo", "xorriso"):
        write_program(directory / name, f'echo "${{0##*/}} $*" >>{tmp_path}/calls')
    return directory


def write_program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def run(script: Path, programs: Path, **environment: str) -> subprocess.CompletedProcess:
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    variables = IMAGE | path | environment
    return subprocess.run([script], env=variables, capture_output=True, text=True, check=False)


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def names(element: Path, file: str) -> tuple[str, ...]:
    return read_names((element / "deploy-iso-packages" / file).read_text())


@pytest.mark.parametrize("offered", [(), ("firmware-linux-free", "firmware-qlogic")])
def test_installs_what_is_required_and_what_firmware_apt_offers(
    element, programs, tmp_path, offered
):
    """apt-cache says nothing, and no error, of a package that others mention only."""
    answers = "".join(f"{name}) echo 'Package: {name}' ;; " for name in offered)
    write_program(programs / "apt-cache", f'case "$2" in {answers} *bnx2x) exit 100 ;; esac')
    done = run(element / "install.d" / f"50-{NAME}", programs)
    assert done.returncode == 0, done.stderr
    wanted = (*names(element, "required.txt"), *names(element, "boot-loaders.txt"), *offered)
    assert calls(tmp_path) == [f"install-packages {' '.join(wanted)}"]
    assert set(offered) <= set(names(element, "firmware.txt"))


def test_builds_from_the_image_under_the_name_of_the_image(element, programs, tmp_path):
    script = element / "post-root.d" / f"50-{NAME}"
    done = run(script, programs, TMP_MOUNT_PATH="/tmp/dib_build.x/mnt", IMAGE_NAME="out/deploy")
    assert done.returncode == 0, done.stderr
    assert calls(tmp_path) == [
        "ironic-ilo build-deploy-iso --root /tmp/dib_build.x/mnt --output out/deploy.iso"
    ]


def test_a_failed_build_fails_the_phase(element, programs):
    write_program(programs / "ironic-ilo", "echo no wget >&2; exit 1")
    done = run(element / "post-root.d" / f"50-{NAME}", programs, TMP_MOUNT_PATH="/tmp/mnt")
    assert (done.returncode, done.stderr) == (1, "no wget\n")


def test_begins_where_all_is_there(element, programs):
    assert run(element / "root.d" / f"01-{NAME}", programs).returncode == 0


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"DISTRO_NAME": "ubuntu"}, "not ubuntu for amd64"),
        ({"ARCH": "arm64"}, "not debian for arm64"),
        ({"PATH": "/usr/bin:/bin"}, "ironic-ilo was not found on PATH"),
    ],
)
def test_refuses_at_the_start_what_would_fail_at_the_end(element, programs, environment, reason):
    done = run(element / "root.d" / f"01-{NAME}", programs, **environment)
    assert done.returncode == 1
    assert reason in done.stdout
