"""A small tree of kernel modules, as depmod and modinfo know them."""

import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy_ramdisk.modules import ModuleTree

VERSION = "6.1.0-test"


def make_module_tree(
    root: Path,
    modules: Mapping[str, Mapping[str, Sequence[str]]],
    builtin: Sequence[str] = (),
) -> ModuleTree:
    """Write modules and index them with depmod.

    :param modules: values by field of ``modinfo`` (alias, depends, firmware), by path without
        ``.ko``. A module that others depend on exports a symbol, which they use.
    """
    directory = root / "lib/modules" / VERSION
    for path, fields in modules.items():
        file = directory / "kernel" / f"{path}.ko"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_module(file.stem.replace("-", "_"), fields))
    for empty in ("modules.order", "modules.builtin.modinfo"):
        (directory / empty).write_text("")
    (directory / "modules.builtin").write_text("".join(f"kernel/{p}.ko\n" for p in builtin))
    subprocess.run(["/usr/sbin/depmod", "--basedir", root, VERSION], check=True)
    return ModuleTree.read(directory)


def _module(name: str, fields: Mapping[str, Sequence[str]]) -> bytes:
    """Make the smallest ELF object (elf(5)) that depmod and modinfo read.

    depmod finds dependencies by symbols: each module exports ``NAME_symbol``, and uses those of
    the modules that it depends on.
    """
    pairs = [(key, value) for key, values in fields.items() for value in values]
    modinfo = b"".join(f"{key}={value}\0".encode() for key, value in pairs)
    strings, symbols = b"\0", bytes(24)
    for used in fields.get("depends", ()):
        symbols += struct.pack("<IBBHQQ", len(strings), 0x10, 0, 0, 0, 0)  # global, undefined
        strings += f"{used}_symbol\0".encode()
    return _elf(
        {
            ".modinfo": (1, modinfo),  # SHT_PROGBITS
            "__ksymtab_strings": (1, f"{name}_symbol\0".encode()),
            ".symtab": (2, symbols),  # SHT_SYMTAB
            ".strtab": (3, strings),  # SHT_STRTAB
        }
    )


def _elf(sections: Mapping[str, tuple[int, bytes]]) -> bytes:
    """Put sections into a relocatable object for x86-64."""
    names = b"\0" + b"".join(f"{name}\0".encode() for name in (*sections, ".shstrtab"))
    header, entry = 64, 64
    table, content = bytes(entry), b""
    for name, (kind, data) in {**sections, ".shstrtab": (3, names)}.items():
        link, size = (3, 24) if kind == 2 else (0, 0)
        place = names.index(f"\0{name}\0".encode()) + 1
        offset = header + len(content)
        table += struct.pack("<IIQQQQIIQQ", place, kind, 0, 0, offset, len(data), link, 0, 8, size)
        content += data + bytes(-len(data) % 8)
    count = len(sections) + 2
    fields = (1, 62, 1, 0, 0, header + len(content), 0, header, 0, 0, entry, count, count - 1)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    return identity + struct.pack("<HHIQQQIHHHHHH", *fields) + content + table
