"""What unit tests share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ironic.conf import CONF


@pytest.fixture
def configure() -> Iterator[Callable[..., None]]:
    """Set options by ``configure(name, value, group)``; all are as they were afterwards."""
    changed: list[tuple[str, str | None]] = []

    def set_option(name: str, value: Any, group: str | None = None) -> None:
        CONF.set_override(name, value, group=group)
        changed.append((name, group))

    yield set_option
    for name, group in changed:
        CONF.clear_override(name, group=group)
