"""Who may know whom: the rules of the architecture page, held."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ironic_ilo", "deploy_ramdisk", "ilo_emulator", "lab", "bench")
# Modules that the command line uses without an Ironic configuration.
FREE_OF_IRONIC = (
    "ironic_ilo/bmc",
    "ironic_ilo/check/certificate.py",
    "ironic_ilo/check/cli.py",
    "ironic_ilo/check/fetch.py",
    "ironic_ilo/check/findings.py",
    "ironic_ilo/check/ilo.py",
    "ironic_ilo/check/iso9660.py",
    "ironic_ilo/check/lifetimes.py",
    "ironic_ilo/check/report.py",
    "ironic_ilo/check/store.py",
    "ironic_ilo/boot_loaders.py",
    "ironic_ilo/images.py",
    "ironic_ilo/partitions.py",
    "ironic_ilo/gpt.py",
    "ironic_ilo/msdos.py",
    "ironic_ilo/file_systems.py",
    "ironic_ilo/disk.py",
    "ironic_ilo/image_file.py",
    "ironic_ilo/whole_disk.py",
    "ironic_ilo/iscsi.py",
    "ironic_ilo/local_disks.py",
    "ironic_ilo/qemu_img.py",
    "ironic_ilo/read_back.py",
    "ironic_ilo/file_facts.py",
    "ironic_ilo/stall.py",
    "ironic_ilo/deploy_secrets.py",
    "ironic_ilo/signed_path.py",
    "ironic_ilo/execute.py",
    "ironic_ilo/exception.py",
    "ironic_ilo/object_store.py",
    "ironic_ilo/shared_iso.py",
    "ironic_ilo/web_store.py",
    "ironic_ilo/image_server.py",
    "ironic_ilo/cli.py",
    "deploy_ramdisk",
)
# The modules whose functions take a task.
KNOW_TASKS = {
    "boot.py",
    "boot_iso.py",
    "boot_mode.py",
    "callback.py",
    "cleaning.py",
    "deploy.py",
    "glance.py",
    "image_sources.py",
    "instance_image.py",
    "iscsi_deploy.py",
    "management.py",
    "power.py",
    "publisher.py",
    "ramdisk.py",
    "reconciler.py",
    "vendor.py",
    "virtual_media.py",
}


def modules(*places: str) -> list[Path]:
    paths = [ROOT / place for place in places]
    return [
        module
        for path in paths
        for module in ([path] if path.suffix == ".py" else sorted(path.rglob("*.py")))
    ]


def imports(path: Path, *, at_start: bool = False) -> set[str]:
    """Name what a module imports, wherever in it, or only when it is imported itself."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if at_start else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def top_level(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_there_are_modules_to_check():
    assert len(modules(*PACKAGES)) > 20


@pytest.mark.parametrize("path", modules("ironic_ilo"), ids=str)
def test_driver_knows_neither_emulator_nor_lab(path):
    assert not top_level(imports(path)) & {"ilo_emulator", "lab", "bench"}


@pytest.mark.parametrize("path", modules("ilo_emulator"), ids=str)
def test_emulator_knows_nothing_of_ours(path):
    assert not top_level(imports(path)) & {"ironic_ilo", "deploy_ramdisk", "lab", "ironic"}


@pytest.mark.parametrize("path", modules(*FREE_OF_IRONIC), ids=str)
def test_tools_do_without_ironic(path):
    names = imports(path, at_start=True)
    assert "ironic" not in top_level(names)
    used = {name for name in names if name.startswith("ironic_ilo.")}
    assert not {name.split(".")[1] for name in used} & {
        module.removesuffix(".py") for module in KNOW_TASKS
    }


@pytest.mark.parametrize("path", modules("ironic_ilo", "deploy_ramdisk"), ids=str)
def test_only_execute_starts_processes(path):
    if path.name != "execute.py":
        assert not top_level(imports(path)) & {"subprocess", "pexpect", "processutils"}
        assert "oslo_concurrency.processutils" not in imports(path)


@pytest.mark.parametrize("path", modules("ironic_ilo", "deploy_ramdisk", "lab"), ids=str)
def test_only_bmc_talks_to_an_ilo(path):
    if "bmc" not in path.parts:
        assert not top_level(imports(path)) & {"proliantutils", "sushy", "hpilo"}


@pytest.mark.parametrize("path", modules("ironic_ilo"), ids=str)
def test_only_interfaces_touch_a_task(path):
    takes_task = any(
        argument.arg == "task"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        for argument in node.args.args
    )
    if takes_task:
        assert path.name in KNOW_TASKS


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=str)
def test_rooms_stay_small(path):
    assert len(path.read_text().splitlines()) <= 500


@pytest.mark.parametrize("path", modules("lab", "tests"), ids=str)
def test_only_programs_of_their_own_import_swift(path):
    """Swift brings eventlet, whose threads and sockets stop ours."""
    if not path.name.startswith("swift_"):
        assert not top_level(imports(path)) & {"swift", "eventlet"}
