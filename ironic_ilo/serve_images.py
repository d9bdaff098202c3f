"""The ``ironic-ilo serve-images`` service: its configuration and its start."""

from collections.abc import Sequence
from pathlib import Path

from ironic.conf import CONF
from oslo_log import log as logging

from ironic_ilo import conf, image_server

_DEFAULT_FILE = Path("/etc/ironic/ironic.conf")


def run(config_files: Sequence[Path] | None, ready_file: Path | None) -> None:
    """Serve images until told to stop.

    :raises InvalidInput: the configuration is not complete.
    :raises StoreError: the address cannot be listened on.
    """
    conf.register_opts(CONF)
    logging.register_options(CONF)
    files = [str(path) for path in config_files or [_DEFAULT_FILE]]
    CONF(args=[], project="ironic", default_config_files=files)
    logging.setup(CONF, "ironic-ilo")
    image_server.run_server(
        Path(CONF.ilo.web_store_root),
        CONF.ilo.signing_key or "",
        CONF.ilo.image_server_host,
        CONF.ilo.image_server_port,
        ready_file=ready_file,
        certificate=CONF.ilo.image_server_certificate,
        key=CONF.ilo.image_server_key,
    )
