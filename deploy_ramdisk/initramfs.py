"""Put the deploy ramdisk together: from unpacked packages and our own scripts."""

import lzma
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path, PurePosixPath

from deploy_ramdisk import cpio, trees
from deploy_ramdisk.cpio import Entry
from deploy_ramdisk.modules import ModuleTree
from ironic_ilo.exception import ImageError
from ironic_ilo.execute import execute

_SECONDS_TO_LINK = 30.0
_LIBRARIES = "lib/x86_64-linux-gnu"
_LOADER = "lib64/ld-linux-x86-64.so.2"

# Measured for all modules and programs in the ramdisk: 9.0 MB; zstd -19: 10.0 MB.
_LARGEST_DICTIONARY = 64 << 20


def base_entries() -> dict[str, Entry]:
    """The directories and devices that the init needs before it has mounted anything, and itself.

    Everything else under ``/dev`` comes from devtmpfs.
    """
    # LIO keeps state in /etc/target, and complains when it is not there.
    directories = ("bin", "dev", "etc/target", "proc", "run", "sys", "tmp")
    entries = {name: cpio.directory() for name in directories}
    entries["dev/console"] = cpio.character_device(5, 1, 0o600)
    entries["dev/null"] = cpio.character_device(1, 3, 0o666)
    return entries | _scripts()


def _scripts() -> dict[str, Entry]:
    """Our scripts: ``init`` at the root, where the kernel looks for it, the others in /deploy."""
    entries = {}
    for script in resources.files("deploy_ramdisk").joinpath("init").iterdir():
        path = "init" if script.name == "init" else f"deploy/{script.name}"
        entries[path] = cpio.file(script.read_bytes(), 0o755)
    return entries


def static_program_entry(program: str, roots: Iterable[Path]) -> Entry:
    """A program that needs no libraries, by its path in one of the trees."""
    return _program(_find(program, roots))


def program_entries(program: str, roots: Iterable[Path]) -> dict[str, Entry]:
    """A program and the shared libraries that it is linked with.

    :param program: its path in one of the trees, as ``usr/bin/wget``.
    :param roots: unpacked packages: its own, and all that it depends on.
    :raises ImageError: a library is in none of them.
    """
    file, loader = _find(program, roots), _find(_LOADER, roots)
    entries = {program: _program(file), _LOADER: _program(loader)}
    for library in _linked(file, loader, roots):
        entries[f"{_LIBRARIES}/{library.name}"] = _program(library)
    return entries


def _program(file: Path) -> Entry:
    return cpio.file(file.read_bytes(), 0o755)


def _linked(program: Path, loader: Path, roots: Iterable[Path]) -> list[Path]:
    """Ask the packages' own dynamic loader which libraries it would load."""
    places = [place.resolve() for place in trees.find_all(_LIBRARIES, roots)]
    path = ":".join(map(str, dict.fromkeys(places)))
    argv: list[str | Path] = [loader, "--inhibit-cache", "--library-path", path, "--list", program]
    listed = execute(argv, timeout=_SECONDS_TO_LINK).stdout
    # "libz.so.1 => /path/libz.so.1 (0x…)"; the kernel's own vdso and the loader have no such path.
    found = [Path(line.split()[2]) for line in listed.splitlines() if " => /" in line]
    libraries = [library for library in found if library.name != PurePosixPath(_LOADER).name]
    for library in libraries:
        if library.resolve().parent not in places:
            raise ImageError(f"{library.name} of {program.name} is in none of its packages.")
    return libraries


def module_entries(
    tree: ModuleTree, chosen: Iterable[str], *, indexed: Iterable[str]
) -> dict[str, Entry]:
    """Kernel modules, and the indexes that modprobe needs to find them.

    :param indexed: all modules that may be there in the end.
    """
    known = list(indexed)
    root = f"lib/modules/{tree.directory.name}"
    entries = {
        f"{root}/{tree.paths[name]}": cpio.file((tree.directory / tree.paths[name]).read_bytes())
        for name in chosen
    }
    for index in ("modules.dep", "modules.alias"):
        entries[f"{root}/{index}"] = cpio.file(tree.index(index, known).encode())
    return entries


def packed_modules(tree: ModuleTree, chosen: Iterable[str]) -> dict[str, bytes]:
    """Kernel modules, each in xz by itself, by the name of its file."""
    files = [tree.directory / tree.paths[name] for name in chosen]
    with ThreadPoolExecutor() as pool:
        packed = pool.map(lambda file: _compress(file.read_bytes()), files)
        return {f"{file.name}.xz": data for file, data in zip(files, packed, strict=True)}


def compress(segments: Iterable[Mapping[str, Entry]]) -> bytes:
    """Pack entries as the kernel unpacks them: cpio in xz.

    :param segments: each becomes an archive of its own, compressed in parallel; the kernel unpacks
        one after the other. (An xz stream is a multiple of 4 bytes, as the kernel needs.)
    """
    with ThreadPoolExecutor() as pool:
        return b"".join(pool.map(_compress, map(cpio.pack, segments)))


def _compress(data: bytes) -> bytes:
    # A dictionary beyond the data takes memory, here and where it is unpacked, and brings nothing.
    dictionary = min(_LARGEST_DICTIONARY, max(1 << len(data).bit_length(), 4096))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": dictionary}]
    # The kernel's decoder checks CRC32 alone (Documentation/staging/xz.rst).
    return lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)


def _find(path: str, roots: Iterable[Path]) -> Path:
    found = trees.find(path, roots)
    if found is None:
        raise ImageError(f"{path} is in none of the packages that should have it.")
    return found
