"""What the driver asks of a place that publishes images: one protocol for Swift and web store.

Names are Swift's and the specification's ("ironic/common/swift.py"). An object lives in a
container, may expire by itself, and is handed to an iLO by a temporary URL.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class ObjectInfo:
    """What the store knows about one object.

    :ivar name: the object's name within its container.
    :ivar size: bytes.
    :ivar delete_at: when it goes by itself, in seconds since the epoch; ``None``: never.
    :ivar metadata: small strings by lower-case key, such as ``usage_count``.
    """

    name: str
    size: int
    delete_at: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class ObjectStore(Protocol):
    """Publishes files. Every method raises ``StoreError`` when the store fails."""

    def upload_object(
        self,
        container: str,
        object_name: str,
        path: Path,
        *,
        delete_after: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Store a file under a name, whole or not at all; an older object is replaced.

        :param delete_after: seconds until the object goes by itself; ``None``: never.
        :returns: an identifier of the stored content (Swift's ETag).
        """

    def delete_object(self, container: str, object_name: str) -> None:
        """Remove an object; one that is gone already is no error."""

    def get_tmp_url(self, container: str, object_name: str, timeout: int, *, suffix: str) -> str:
        """Make a URL that anyone who knows it can read the object from.

        :param timeout: seconds until the URL stops working.
        :param suffix: what its path ends in, ``.iso`` or ``.img``: some BMCs insist.
        """

    def name_url(self, url: str) -> str | None:
        """Name a temporary URL of this store, to ask ``fetched_at``; the name grants nothing.

        ``None``: it is not of this store, or the store cannot tell what is read from it.
        """

    def fetched_at(self, url_name: str) -> float | None:
        """Tell when a URL was first read from, in seconds since the epoch; ``None``: not yet."""

    def get_object_info(self, container: str, object_name: str) -> ObjectInfo | None:
        """Describe an object; ``None`` when it does not exist or has expired."""

    def update_object(
        self,
        container: str,
        object_name: str,
        *,
        metadata: Mapping[str, str],
        delete_after: int | None,
    ) -> None:
        """Replace an object's metadata and its expiry together, as a Swift POST does.

        :raises StoreError: also when the object does not exist.
        """

    def list_objects(self, container: str, prefix: str = "") -> list[str]:
        """Name the objects of a container, sorted; an unknown container has none."""
