"""Empty databases of OpenStack's services; making their tables takes seconds, so it is done once.

SQLite: one file each.
"""

import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ironic_ilo.execute import execute
from lab import cache
from lab.config_file import write_config_file
from lab.process import own_command

_SECONDS_TO_MAKE = 120.0


@dataclass(frozen=True)
class Schema:
    """What makes the tables of a service.

    :ivar package: as PyPI has it; its version decides what the tables are.
    :ivar command: the service's, that makes them.
    :ivar verb: what that is told to do.
    """

    package: str
    command: str
    verb: str


KEYSTONE = Schema("keystone", "keystone-manage", "db_sync")
GLANCE = Schema("glance", "glance-manage", "db_sync")
IRONIC = Schema("ironic", "ironic-dbsync", "create_schema")


def create_database(schema: Schema, path: Path) -> str:
    """Create an empty database.

    :returns: its URL, for ``[database]connection``.
    :raises ProcessError: the service's command failed.
    """
    recipe = cache.digest_files([Path(__file__)], version(schema.package))
    made = cache.build_once(
        f"database-{schema.package}", recipe, lambda target: _make(schema, target)
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(_file(made), path)
    path.chmod(0o600)
    return _url(path)


def _make(schema: Schema, target: Path) -> None:
    config = target / "service.conf"
    write_config_file(config, {"database": {"connection": _url(_file(target))}})
    execute(
        [own_command(schema.command), "--config-file", config, schema.verb],
        timeout=_SECONDS_TO_MAKE,
    )


def _file(directory: Path) -> Path:
    return directory / "empty.sqlite"


def _url(path: Path) -> str:
    return f"sqlite:///{path}"
