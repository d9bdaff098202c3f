"""Choosing kernel modules by name, from a tree that depmod has indexed."""

import pytest

from deploy_ramdisk.modules import ModuleTree, as_module_names
from ironic_ilo.exception import ImageError
from tests.unit.deploy_ramdisk.module_tree import make_module_tree

MODULES = {
    "drivers/net/bnx2x": {
        "alias": ("pci:v000014E4d0000168Esv*",),
        "depends": ("mdio", "crc_ccitt"),
        "firmware": ("bnx2x/e2.fw", "bnx2x/e1.fw"),
    },
    "drivers/net/mdio": {},
    "lib/crc-ccitt": {},
    "drivers/usb/usb-storage": {"alias": ("usb:v*",), "depends": ("scsi_mod",)},
    "drivers/scsi/scsi_mod": {"depends": ("scsi_common",)},
    "drivers/scsi/scsi_common": {},
    "drivers/net/other": {"alias": ("pci:v0000AAAAd*",)},
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> ModuleTree:
    return make_module_tree(tmp_path_factory.mktemp("kernel"), MODULES, builtin=("crypto/md5",))


def test_closure_has_what_modules_depend_on_directly_and_indirectly(tree):
    assert tree.closure(["usb_storage", "md5"]) == ("scsi_common", "scsi_mod", "usb_storage")


def test_names_with_a_dash_are_found(tree):
    assert tree.closure(["bnx2x"]) == ("bnx2x", "crc_ccitt", "mdio")
    assert tree.closure(as_module_names(["usb-storage"])) == tree.closure(["usb_storage"])


def test_tells_built_in_from_missing(tree):
    assert tree.lacks(["md5", "bnx2x", "netxen_nic"]) == ("netxen_nic",)
    assert tree.loadable(["md5", "usb_storage", "netxen_nic"]) == ("usb_storage",)


def test_indexes_keep_the_lines_of_chosen_modules_alone(tree):
    chosen = tree.closure(["bnx2x"])
    assert tree.index("modules.alias", chosen) == "alias pci:v000014E4d0000168Esv* bnx2x\n"
    kept = [line.partition(":")[0] for line in tree.index("modules.dep", chosen).splitlines()]
    assert sorted(kept) == [
        "kernel/drivers/net/bnx2x.ko",
        "kernel/drivers/net/mdio.ko",
        "kernel/lib/crc-ccitt.ko",
    ]


def test_firmware_is_what_modinfo_says(tree):
    assert tree.firmware(["bnx2x", "mdio"]) == {"bnx2x": ("bnx2x/e1.fw", "bnx2x/e2.fw")}


def test_compressed_modules_are_refused(tmp_path):
    directory = make_module_tree(tmp_path, {"net/tg3": {}}).directory
    (directory / "modules.dep").write_text("kernel/net/tg3.ko.xz:\n")
    with pytest.raises(ImageError, match=r"tg3\.ko\.xz.*bookworm"):
        ModuleTree.read(directory)
