"""Choosing kernel modules, on a small tree of modules as depmod and modinfo know them."""

import struct
import subprocess

import pytest

from deploy_ramdisk.modules import ModuleTree, read_names
from ironic_ilo.exception import InvalidInput

VERSION = "6.1.0-test"
MODULES = {
    "drivers/net/bnx2x.ko": {
        "alias": "pci:v000014E4d0000168E*",
        "depends": "mdio,crc-ccitt",
        "firmware": ("bnx2x/e2.fw", "bnx2x/e1.fw"),
    },
    "drivers/net/mdio.ko": {},
    "lib/crc-ccitt.ko": {},
    "drivers/usb/usb-storage.ko": {"alias": "usb:v*", "depends": "scsi_mod"},
    "drivers/scsi/scsi_mod.ko": {"depends": "scsi_common"},
    "drivers/scsi/scsi_common.ko": {},
    "drivers/net/other.ko": {"alias": "pci:v0000AAAA*"},
}


def module_file(fields: dict[str, object]) -> bytes:
    """Make the smallest ELF object that kmod reads: a .modinfo section (elf(5))."""
    pairs = [
        (key, value)
        for key, values in fields.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    modinfo = b"".join(f"{key}={value}\0".encode() for key, value in pairs)
    names = b"\0.modinfo\0.shstrtab\0.strtab\0.symtab\0"
    contents = [b"", modinfo, names, b"\0", b"\0" * 24]
    header_size, section_size = 64, 64
    offset = header_size
    sections = b""
    kinds = {0: 0, 1: 1, 2: 3, 3: 3, 4: 2}  # null, progbits, strtab, strtab, symtab
    for number, content in enumerate(contents):
        name = (0, 1, 10, 20, 28)[number]
        link, size = (3, 24) if number == 4 else (0, 0)
        sections += struct.pack(
            "<IIQQQQIIQQ", name, kinds[number], 0, 0, offset, len(content), link, 0, 1, size
        )
        offset += len(content)
    identity = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    header = identity + struct.pack(
        "<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, offset, 0, 64, 0, 0, section_size, len(contents), 2
    )
    return header + b"".join(contents) + sections


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> ModuleTree:
    root = tmp_path_factory.mktemp("kernel")
    directory = root / "lib/modules" / VERSION
    for path, fields in MODULES.items():
        file = directory / "kernel" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(module_file(fields))
    (directory / "modules.builtin").write_text("kernel/crypto/md5.ko\n")
    (directory / "modules.order").write_text("")
    (directory / "modules.dep").write_text(
        "kernel/drivers/net/bnx2x.ko: kernel/drivers/net/mdio.ko kernel/lib/crc-ccitt.ko\n"
        "kernel/drivers/net/mdio.ko:\n"
        "kernel/lib/crc-ccitt.ko:\n"
        "kernel/drivers/usb/usb-storage.ko: kernel/drivers/scsi/scsi_mod.ko "
        "kernel/drivers/scsi/scsi_common.ko\n"
        "kernel/drivers/scsi/scsi_mod.ko: kernel/drivers/scsi/scsi_common.ko\n"
        "kernel/drivers/scsi/scsi_common.ko:\n"
        "kernel/drivers/net/other.ko:\n"
    )
    (directory / "modules.alias").write_text(
        "# Aliases extracted from modules themselves.\n"
        "alias pci:v000014E4d0000168E* bnx2x\n"
        "alias usb:v* usb_storage\n"
        "alias pci:v0000AAAA* other\n"
    )
    return ModuleTree.read(directory)


def test_closure_has_what_modules_depend_on_directly_and_indirectly(tree):
    assert tree.closure(["usb_storage", "md5"]) == ("scsi_common", "scsi_mod", "usb_storage")


def test_names_with_a_dash_are_found(tree):
    assert tree.closure(["bnx2x"]) == ("bnx2x", "crc_ccitt", "mdio")
    assert tree.closure(read_names("usb-storage")) == tree.closure(["usb_storage"])


def test_tells_built_in_from_missing(tree):
    assert tree.lacks(["md5", "bnx2x", "netxen_nic"]) == ("netxen_nic",)
    assert tree.loadable(["md5", "usb_storage", "netxen_nic"]) == ("usb_storage",)


def test_indexes_keep_the_lines_of_chosen_modules_alone(tree):
    chosen = tree.closure(["bnx2x"])
    assert tree.index("modules.alias", chosen) == "alias pci:v000014E4d0000168E* bnx2x\n"
    assert [line.partition(":")[0] for line in tree.index("modules.dep", chosen).splitlines()] == [
        "kernel/drivers/net/bnx2x.ko",
        "kernel/drivers/net/mdio.ko",
        "kernel/lib/crc-ccitt.ko",
    ]


def test_firmware_is_what_modinfo_says(tree):
    assert tree.firmware(["bnx2x", "mdio"]) == {"bnx2x": ("bnx2x/e1.fw", "bnx2x/e2.fw")}


def test_depmod_reads_the_tree_of_this_test(tree):
    """Hold that the tree above is one: a real tool finds the same dependencies and aliases."""
    root = tree.directory.parents[2]
    argv = ["/usr/sbin/depmod", "--basedir", root, "--show", VERSION]
    printed = subprocess.run(argv, capture_output=True, check=True, text=True).stdout
    assert "alias pci:v000014E4d0000168E* bnx2x" in printed


def test_lists_may_have_comments_and_several_names_a_line():
    assert read_names("# Storage\nhpsa smartpqi # Gen8 to Gen11\n\nusb-storage\n") == (
        "hpsa",
        "smartpqi",
        "usb_storage",
    )


def test_a_list_that_names_a_module_twice_is_refused():
    with pytest.raises(InvalidInput, match="tg3"):
        read_names("tg3 hpsa\ntg3\n")
