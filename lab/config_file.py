"""The configuration files of OpenStack's services."""

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

Sections = Mapping[str, Mapping[str, object]]


def write_config_file(path: Path, *parts: Sections) -> Path:
    """Write a file for oslo.config, readable by its owner alone: it may hold secrets.

    :param parts: options by section; the later ones win.
    """
    parser = configparser.RawConfigParser()
    for part in parts:
        for section, values in part.items():
            if section != parser.default_section and not parser.has_section(section):
                parser.add_section(section)
            for name, value in values.items():
                parser.set(section, name, str(value))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        parser.write(file)
    return path
