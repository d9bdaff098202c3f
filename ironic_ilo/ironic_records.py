"""Reads Ironic's configuration and database for our commands, as a conductor does.

Ironic's API masks passwords, and is down while Ironic is upgraded; so the commands do not ask it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ironic import objects
from ironic.common import context
from ironic.conf import CONF
from oslo_config import cfg
from oslo_db import exception as db_exception
from sqlalchemy.exc import SQLAlchemyError

from ironic_ilo import conf
from ironic_ilo.exception import InvalidInput, StoreError


def load_config(files: Sequence[Path]) -> None:
    """Read the configuration of a conductor; without files, all options have their defaults.

    :raises InvalidInput: a file cannot be read, or is no good.
    """
    conf.register_opts(CONF)
    try:
        CONF(args=[], project="ironic", default_config_files=[str(path) for path in files])
    except (cfg.Error, ValueError) as error:
        raise InvalidInput(
            f"The configuration cannot be read: {str(error).strip()}",
            hint="Run this as the user that the conductor runs as, or name its --config-file.",
        ) from None


@contextmanager
def reading_database() -> Iterator[Any]:
    """Give the context that Ironic's objects are read with in the block.

    :raises StoreError: the database does not answer.
    """
    objects.register_all()
    try:
        yield context.get_admin_context()
    except (db_exception.DBError, SQLAlchemyError) as error:
        # Their texts hold the query, and could hold the URL of the database.
        raise StoreError(
            f"Ironic's database cannot be read ({type(error).__name__})",
            hint="Check [database]connection, that 'ironic-dbsync upgrade' has been run, and run "
            "this as the conductor's user.",
        ) from None
