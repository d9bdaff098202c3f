"""Choose kernel modules: by name, with all they depend on, and the firmware that they ask for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ironic_ilo.exception import ImageError
from ironic_ilo.execute import execute

_SECONDS_TO_READ = 10.0


@dataclass(frozen=True)
class ModuleTree:
    """The modules of one kernel, as ``depmod`` indexes them.

    :ivar directory: ``…/lib/modules/<version>``.
    :ivar paths: file of each module, relative to the directory, by module name.
    :ivar dependencies: names of the modules that each one needs, by module name.
    :ivar builtin: names of those that are part of the kernel image.
    """

    directory: Path
    paths: Mapping[str, PurePosixPath]
    dependencies: Mapping[str, tuple[str, ...]]
    builtin: frozenset[str]

    @classmethod
    def read(cls, directory: Path) -> "ModuleTree":
        """Read a tree that ``depmod`` has indexed.

        :raises ImageError: its modules are compressed, as Debian 13's are: busybox cannot load
            those.
        """
        paths: dict[str, PurePosixPath] = {}
        dependencies: dict[str, tuple[str, ...]] = {}
        for line in (directory / "modules.dep").read_text().splitlines():
            path, _, needed = line.partition(":")
            if not path.endswith(".ko"):
                raise ImageError(
                    f"{path} of kernel {directory.name} is compressed: the deploy ramdisk could "
                    "not load it.",
                    hint="Build from Debian 12 (bookworm).",
                )
            paths[_name(path)] = PurePosixPath(path)
            dependencies[_name(path)] = tuple(_name(other) for other in needed.split())
        builtin = (directory / "modules.builtin").read_text().split()
        return cls(directory, paths, dependencies, frozenset(map(_name, builtin)))

    def lacks(self, names: Iterable[str]) -> tuple[str, ...]:
        """Name those that this kernel has neither as a module nor built in."""
        return tuple(name for name in names if name not in self.paths and name not in self.builtin)

    def loadable(self, names: Iterable[str]) -> tuple[str, ...]:
        """Name those that are modules: what is built in, or not there, cannot be loaded."""
        return tuple(name for name in names if name in self.paths)

    def closure(self, names: Iterable[str]) -> tuple[str, ...]:
        """Name modules and all that they depend on, sorted."""
        chosen: set[str] = set()
        for name in self.loadable(names):
            # modules.dep is complete in itself: it lists indirect dependencies too.
            chosen |= {name, *self.dependencies[name]}
        return tuple(sorted(chosen))

    def index(self, file: str, chosen: Iterable[str]) -> str:
        """Cut ``modules.dep`` or ``modules.alias`` down to chosen modules."""
        text = (self.directory / file).read_text()
        wanted = set(chosen)
        return "".join(line for line in text.splitlines(keepends=True) if _subject(line) in wanted)

    def firmware(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """List the firmware files that modules may ask for, by module name; most need none."""
        wanted: dict[str, tuple[str, ...]] = {}
        for name in names:
            argv: list[str | Path] = [
                "modinfo",
                "-F",
                "firmware",
                self.directory / self.paths[name],
            ]
            files = execute(argv, timeout=_SECONDS_TO_READ).stdout.split()
            if files:
                wanted[name] = tuple(sorted(files))
        return wanted


def as_module_names(names: Iterable[str]) -> tuple[str, ...]:
    """Spell names as the kernel does; people may write a dash for an underscore."""
    return tuple(name.replace("-", "_") for name in names)


def _name(path: str) -> str:
    return PurePosixPath(path).name.partition(".")[0].replace("-", "_")


def _subject(line: str) -> str:
    """Name the module that a line of ``modules.dep`` or ``modules.alias`` is about."""
    if line.startswith("alias "):
        return line.rsplit(maxsplit=1)[-1].replace("-", "_")
    return _name(line.partition(":")[0])
