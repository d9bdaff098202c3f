"""Which modules and firmware go in, and what is said of those that cannot."""

import pytest

from deploy_ramdisk.selection import select
from ironic_ilo.exception import ImageError
from tests.unit.deploy_ramdisk.module_tree import make_module_tree

MODULES = {
    "net/qede": {"depends": ("qed",)},
    "net/qed": {"firmware": ("qed/init.bin",)},
    "net/bnx2x": {"firmware": ("bnx2x/e1.fw", "bnx2x/e2.fw")},
    "net/tg3": {},
    "fs/vfat": {"depends": ("fat",)},
    "fs/fat": {},
}


@pytest.fixture
def tree(tmp_path):
    return make_module_tree(tmp_path, MODULES, builtin=("crypto/md5",))


def test_dependencies_of_a_driver_bring_their_firmware(tree, tmp_path):
    firmware = tmp_path / "firmware-qlogic/lib/firmware/qed/init.bin"
    firmware.parent.mkdir(parents=True)
    firmware.touch()
    chosen = select(
        tree,
        always=("vfat", "md5"),
        media=(),
        hardware=("qede", "tg3"),
        firmware_trees=(tmp_path / "firmware-qlogic",),
    )
    assert chosen.modules == ("fat", "qed", "qede", "tg3", "vfat")
    assert chosen.firmware == {"qed/init.bin": firmware}
    assert chosen.missing_firmware == {}
    assert chosen.not_in_kernel == ()


def test_missing_firmware_is_named_file_by_file(tree, tmp_path):
    firmware = tmp_path / "firmware-bnx2x/usr/lib/firmware/bnx2x/e2.fw"
    firmware.parent.mkdir(parents=True)
    firmware.touch()
    chosen = select(
        tree,
        always=(),
        media=(),
        hardware=("bnx2x", "qede"),
        firmware_trees=(tmp_path / "firmware-bnx2x",),
    )
    assert chosen.firmware == {"bnx2x/e2.fw": firmware}
    assert chosen.missing_firmware == {"bnx2x": ("bnx2x/e1.fw",), "qed": ("qed/init.bin",)}


def test_a_driver_that_the_kernel_lacks_is_named(tree):
    chosen = select(tree, always=(), media=(), hardware=("tg3", "netxen_nic"), firmware_trees=())
    assert (chosen.modules, chosen.not_in_kernel) == (("tg3",), ("netxen_nic",))


def test_a_module_that_no_deploy_can_do_without_must_be_there(tree):
    with pytest.raises(ImageError, match=r"6\.1\.0-test has no module named iscsi_target_mod"):
        select(tree, always=("vfat", "iscsi_target_mod"), media=(), hardware=(), firmware_trees=())
