"""The demo and the lab, as users run them: whole, interrupted, and kept running."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lab.emulator import Control
from lab.instance_image import InstanceImage
from lab.keeper import find_lab
from lab.node import connected
from lab.openstack.keystone import KeystoneAccess
from lab.process import own_command
from lab.services import Services
from lab.settings import Ports

pytestmark = pytest.mark.e2e

# Several times what it takes here: CI's cores are shared. More than the demo's own deadlines.
DEADLINE = 3000
STAGES = {
    "deploy_iso", "debian_image", "start", "offer", "enrol", "check", "image", "attach", "post",
    "ramdisk", "write", "boot_iso", "boot", "login", "reboot", "screenshot", "undeploy", "stop",
    "deploy", "total",
}  # fmt: skip
FREE_PORTS = [f"{Ports.option(name)}=0" for name in asdict(Ports())]


@pytest.fixture
def settings(tmp_path) -> list[str]:
    """Keep this lab apart from one that a developer has running."""
    return [f"--dir={tmp_path / 'lab'}", "--address=127.0.70.10", *FREE_PORTS]


def lab(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "lab", *arguments]


def processes_of(directory: Path) -> list[str]:
    """List the processes that name a directory in their arguments, or are at work in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            files = [os.readlink(link) for link in (process / "fd").iterdir()]  # noqa: PTH115
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if process.name != str(os.getpid()) and any(
            str(directory) in text for text in (command, *files)
        ):
            found.append(command)
    return found


def wait_until_gone(directory: Path) -> None:
    deadline = time.monotonic() + 120
    while left := processes_of(directory):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


@contextmanager
def started(arguments: list[str], log: Path) -> Iterator[subprocess.Popen]:
    """Run a command with its output in a log, as a shell starts it: in a process group."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait(DEADLINE)


def wait_for_line(log: Path, text: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + DEADLINE
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.mark.timeout(DEADLINE)
def test_demo_deploys_debian_and_sees_its_prompt_twice(tmp_path, settings, debian_image):
    done = subprocess.run(
        lab("demo", "--json", *settings), check=False, capture_output=True, text=True,
        timeout=DEADLINE,
    )  # fmt: skip
    result = check_result(done, debian_image, STAGES)
    assert result["boot_mode"] == "bios"
    assert processes_of(tmp_path) == []


@pytest.mark.timeout(DEADLINE)
def test_demo_on_openstack_deploys_from_glance_and_boots_from_swift_under_secure_boot(
    tmp_path, debian_image
):
    directory = f"--dir={tmp_path / 'lab'}"
    settings = [directory, "--services=openstack", "--address=127.0.72.10", *FREE_PORTS]
    try:
        done = subprocess.run(
            lab("demo", "--json", "--keep", "--no-reboot", "--secure-boot", *settings),
            check=False, capture_output=True, text=True, timeout=DEADLINE,
        )  # fmt: skip
        # Swift does not tell when the server first reads its media.
        stages = STAGES - {"post", "reboot", "undeploy", "stop"}
        result = check_result(done, debian_image, stages)
        assert result["boot_mode"] == "uefi"
        console = Path(result["console_log"]).read_text(errors="replace")
        assert "Kernel is locked down from EFI Secure Boot" in console
        running = find_lab(tmp_path / "lab")
        check_sources(running.services, result["boot_iso"], debian_image)
        check_that_passwords_are_hidden(running.services.keystone, tmp_path / "lab")
        status = json.loads(call(*lab("status", "--json", directory)))
        assert {service["name"]: service["answers"] for service in status["services"]} == {
            "ironic": True, "emulator": True, "keystone": True, "glance": True, "swift": True,
        }  # fmt: skip
        # What 'env' prints makes the client work, for the administrator and for the owner.
        for user in ("admin", "owner"):
            variables = call(*lab("env", directory, f"--user={user}"))
            show = "baremetal node show node-0 --fields provision_state -f value"
            assert call("sh", "-c", f"{variables}\n{show}") == "active\n"
    finally:
        call(*lab("down", directory))
    assert processes_of(tmp_path) == []


def check_sources(services: Services, boot_iso: str, image: InstanceImage) -> None:
    """Check that the node has what Nova sets, and the rest comes from Glance and Swift."""
    with connected(services) as connection:
        node = connection.baremetal.get_node("node-0")
        # Ironic adds what kind of image it found, and the driver what it booted.
        added = {"image_type", "boot_iso"}
        assert set(node.instance_info) - added == {"image_source", "root_gb", "swap_mb"}
        root = connection.image.get_image(node.instance_info["image_source"])
        sizes = {
            connection.image.get_image(uuid).size
            for uuid in (root.id, root.kernel_id, root.ramdisk_id)
        }
        assert sizes == {path.stat().st_size for path in (image.root, image.kernel, image.ramdisk)}
        assert connection.image.get_image(node.driver_info["deploy_iso"]).disk_format == "iso"
    with closing(Control(services.control_url)) as control:
        url = urlsplit(control.server("node-0")["media"]["CDROM"]["url"])
    assert services.health_urls["swift"].startswith(f"http://{url.netloc}/")
    version, account, container, name, *_suffix = url.path.strip("/").split("/")
    service = services.keystone.project_id("ironic")
    assert (version, account, container) == ("v1", f"AUTH_{service}", "ironic_ilo_container")
    assert name == boot_iso


def check_that_passwords_are_hidden(keystone: KeystoneAccess, directory: Path) -> None:
    passwords = [user.read_password() for user in keystone.users.values()]
    shown = [path.read_text(errors="replace") for path in (directory / "logs").iterdir()]
    shown += [*processes_of(directory), (directory / "lab.json").read_text(), str(keystone)]
    for password in passwords:
        assert not any(password in text for text in shown)


def call(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_result(
    done: subprocess.CompletedProcess[str], image: InstanceImage, stages: set[str]
) -> dict[str, Any]:
    """Check what a demo printed, and what its instance's console said."""
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    result: dict[str, Any] = json.loads(line)
    assert result["provision_state"] == "active"
    assert result["power_state"] == "power on"
    assert result["boot_iso"].startswith("boot-")
    boots = 2 if "reboot" in stages else 1
    assert result["logins_seen"] == boots
    assert set(result["seconds"]) == stages
    assert result["seconds"]["write"] < result["seconds"]["deploy"] < result["seconds"]["total"]
    # All of the image that holds data was written.
    assert result["bytes_written"] > 0.9 * image.root.stat().st_size
    assert result["bytes_fetched_by_bmc"] > boots * image.ramdisk.stat().st_size
    console = Path(result["console_log"]).read_text(errors="replace")
    assert console.count("ironic-ilo: deploy ramdisk") == 1
    assert console.count("proliant login:") == boots
    assert Path(result["screenshot"]).read_bytes().startswith(b"\x89PNG")
    return result


@pytest.mark.timeout(DEADLINE)
@pytest.mark.parametrize(
    ("when", "number", "exit_code"),
    [("Starting Ironic", signal.SIGINT, 130), (" MiB/s", signal.SIGTERM, 143)],
    ids=["int-while-starting", "term-while-writing"],
)
def test_demo_that_is_stopped_leaves_nothing_running(tmp_path, settings, when, number, exit_code):
    log = tmp_path / "output"
    with started(lab("demo", *settings), log) as demo:
        wait_for_line(log, when, demo)
        demo.send_signal(number)
        assert demo.wait(120) == exit_code
    wait_until_gone(tmp_path / "lab")


@pytest.mark.timeout(DEADLINE)
def test_second_lab_in_a_directory_is_refused_and_the_first_goes_with_its_demo(tmp_path, settings):
    log = tmp_path / "output"
    with started(lab("demo", *settings), log) as demo:
        wait_for_line(log, "Enrolling", demo)
        second = subprocess.run(
            lab("demo", *settings), check=False, capture_output=True, text=True, timeout=300
        )
        assert second.returncode == 1
        assert "A lab is running in" in second.stderr
        wait_for_line(log, "booting the deploy ramdisk", demo)
        demo.kill()
        assert demo.wait(120) == -signal.SIGKILL
    wait_until_gone(tmp_path / "lab")


def test_lab_stays_up_until_it_is_taken_down(tmp_path, settings):
    directory = settings[0]
    try:
        shown = call(*lab("up", "--nodes=2", "--secure-boot", *settings))
        assert "baremetal node list" in shown
        status = json.loads(call(*lab("status", "--json", directory)))
        assert [service["answers"] for service in status["services"]] == [True] * 3
        assert [node["provision_state"] for node in status["nodes"]] == ["available"] * 2
        # What 'env' prints is meant for a shell, and makes the client work.
        variables = call(*lab("env", directory))
        fields = "--fields name boot_mode secure_boot"
        nodes = call("sh", "-c", f"{variables}\nbaremetal node list {fields} -f value")
        assert set(nodes.splitlines()) == {"node-0 uefi True", "node-1 uefi True"}
    finally:
        call(*lab("down", directory))
    assert processes_of(tmp_path / "lab") == []
    assert "No lab is running" in call(*lab("down", directory))


def test_commands_are_there():
    for name in ("ironic", "ironic-dbsync", "ironic-ilo", "ilo-emulator", "baremetal"):
        assert own_command(name).exists()
