"""Reading Ironic's configuration files, for the commands beside the driver."""

from collections.abc import Sequence
from pathlib import Path

from ironic.conf import CONF
from oslo_config import cfg

from ironic_ilo import conf
from ironic_ilo.exception import InvalidInput

DEFAULT_FILE = Path("/etc/ironic/ironic.conf")


def load(files: Sequence[Path]) -> None:
    """Read the configuration of a conductor; without files, all options have their defaults.

    :raises InvalidInput: a file cannot be read, or is no good.
    """
    conf.register_opts(CONF)
    try:
        CONF(args=[], project="ironic", default_config_files=[str(path) for path in files])
        for option in conf.OPTS:  # a value is not looked at before
            CONF.ilo[option.name]
    except (cfg.Error, ValueError) as error:
        named = ", ".join(map(str, files))
        raise InvalidInput(
            f"The configuration ({named}) cannot be read: {str(error).strip()}",
            hint="Run this as the user that the conductor runs as, or name its --config-file.",
        ) from None
