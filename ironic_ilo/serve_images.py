"""The ``ironic-ilo serve-images`` service: its configuration and its start."""

from collections.abc import Sequence
from pathlib import Path

from ironic.conf import CONF
from oslo_log import log as logging

from ironic_ilo import image_server
from ironic_ilo.arguments import DEFAULT_CONFIG_FILE
from ironic_ilo.ironic_records import load_config


def run(config_files: Sequence[Path] | None, ready_file: Path | None) -> None:
    """Serve images until told to stop.

    :raises InvalidInput: the configuration cannot be read, or is not complete.
    :raises StoreError: the address cannot be listened on.
    """
    logging.register_options(CONF)
    load_config(config_files or [DEFAULT_CONFIG_FILE])
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
