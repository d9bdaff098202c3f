"""Sharing boot ISOs among nodes, whatever stores keep the ISOs and the references.

A node that boots from an ISO refers to it, and the references decide: ``usage_count`` on the
object is their number, written down. That count cannot be kept by counting up and down, for an
object store changes metadata neither atomically nor at once. So nobody reads it, an ISO that
nobody uses is given an expiry rather than deleted, and ``reconcile``, run at least twice in that
time, takes back what came of a stale read, a lost update or a crash. ``test_boot_iso_sharing``
plays these against each other.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ironic_ilo.exception import StoreError
from ironic_ilo.object_store import ObjectStore

PREFIX = "boot-"
USAGE_COUNT = "usage_count"

# So many failures in one run mean that the store is down, and each may have taken minutes.
_MOST_FAILURES = 3


class Reference(Protocol):
    """The one reference of one node. Whoever changes it holds the node's lock."""

    def read(self) -> str | None:
        """Name the ISO that the node refers to."""

    def write(self, name: str | None) -> None:
        """Save another one; it counts as soon as this returns."""


class SharedIsos:
    """The shared ISOs of one container.

    :param grace: seconds for which an ISO is kept after its last user released it.
    :param count_references: tells how many nodes refer to each ISO, by name.
    """

    def __init__(
        self,
        store: ObjectStore,
        container: str,
        *,
        grace: int,
        count_references: Callable[[], Counter[str]],
    ) -> None:
        self._store = store
        self._container = container
        self._grace = grace
        self._count_references = count_references

    def take(self, reference: Reference, name: str, build: Callable[[], Path]) -> None:
        """Refer to an ISO, and store it unless it is there.

        The reference is saved first: whoever settles the ISO from then on counts it.

        :param build: makes the ISO, and returns its file.
        :raises StoreError: the store failed; the reference is there all the same.
        """
        previous = reference.read()
        reference.write(name)
        if not self.settle(name):
            iso = build()
            metadata = {USAGE_COUNT: str(self._count(name))}
            self._store.upload_object(self._container, name, iso, metadata=metadata)
        if previous not in (None, name):
            self.settle(previous)

    def release(self, reference: Reference) -> None:
        """Give up a reference, if there is one; the last one to go lets the ISO expire.

        :raises StoreError: the store failed; the reference is gone all the same.
        """
        name = reference.read()
        if name is not None:
            reference.write(None)
            self.settle(name)

    def settle(self, name: str) -> bool:
        """Write down how many nodes use an ISO, and let one that nobody uses expire.

        :returns: whether the ISO is there.
        :raises StoreError: the store failed.
        """
        count = self._count(name)
        return self._keep(name, count) if count else self._let_expire(name)

    def reconcile(self) -> set[str]:
        """Settle every ISO.

        :returns: the names of those in use that are not there.
        :raises StoreError: the store failed for some; the others are settled, unless it was down.
        """
        # In this order: an ISO that is listed has had its reference for longer.
        names = set(self._store.list_objects(self._container, PREFIX))
        references = self._count_references()
        names.update(references)
        missing = set()
        failures: list[StoreError] = []
        for name in sorted(names):
            try:
                if not self._settle_counted(name, references[name]):
                    missing.add(name)
            except StoreError as error:
                failures.append(error)
                if len(failures) == _MOST_FAILURES:
                    break
        if failures:
            raise failures[0]
        return missing & set(references)

    def _settle_counted(self, name: str, count: int) -> bool:
        """Settle an ISO by a count that is a little old; letting go takes one of this moment."""
        return self._keep(name, count) if count else self.settle(name)

    def _count(self, name: str) -> int:
        return self._count_references()[name]

    def _keep(self, name: str, count: int) -> bool:
        return self._update(name, count, delete_after=None)

    def _let_expire(self, name: str) -> bool:
        info = self._store.get_object_info(self._container, name)
        if info is None or info.delete_at is not None:
            # On its way out, which must not begin anew with every run.
            return info is not None
        return self._update(name, 0, delete_after=self._grace)

    def _update(self, name: str, count: int, *, delete_after: int | None) -> bool:
        # Both at once, for a Swift POST replaces all metadata and the expiry.
        metadata = {USAGE_COUNT: str(count)}
        try:
            self._store.update_object(
                self._container, name, metadata=metadata, delete_after=delete_after
            )
        except StoreError:
            if self._store.get_object_info(self._container, name) is not None:
                raise
            return False
        return True
