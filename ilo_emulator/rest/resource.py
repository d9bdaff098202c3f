"""What is behind a path: a document to read, properties to change, an action to ask for."""

import json
import zlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ilo_emulator.ilo import Ilo
from ilo_emulator.rest.message import ILO, SUCCESS, Document, Message, Problem
from ilo_emulator.state import PostInProgress

Read = Callable[[Ilo], Document]
Change = Callable[[Ilo, Any], Awaitable[None]]
Action = Callable[[Ilo, Document], Awaitable[None]]


@dataclass(frozen=True)
class Resource:
    """One resource.

    :ivar read: makes its document; ``None`` for an action, which can only be asked for.
    :ivar changes: what writing a property does, by its name; within objects with slashes, as in
        ``Attributes/BootMode``. They are carried out in this order.
    :ivar changed: what a reply to such a change says.
    :ivar act: what a POST does.
    :ivar public: it is shown without a login.
    :ivar writable: the properties that can be written, where one change writes several.
    """

    read: Read | None = None
    changes: Mapping[str, Change] = field(default_factory=dict)
    changed: Message = SUCCESS
    act: Action | None = None
    public: bool = False
    writable: Collection[str] = ()

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of the ``Allow`` header, in which clients look for PATCH."""
        able = {"GET": self.read, "PATCH": self.changes, "POST": self.act}
        return tuple(method for method, what in able.items() if what)

    async def patch(self, ilo: Ilo, values: Mapping[str, Any]) -> None:
        """Write properties.

        :raises Problem: one cannot be written; then none is.
        """
        given = dict(self._leaves(values))
        for name in given:
            if name not in self.changes:
                raise not_writable(name.rpartition("/")[2])
        for name, change in self.changes.items():
            if name in given:
                try:
                    await change(ilo, given[name])
                except PostInProgress:
                    raise in_post(name.rpartition("/")[2]) from None

    def _leaves(self, values: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
        for name, value in values.items():
            path = f"{place}{name}"
            if path in self.changes or not isinstance(value, Mapping):
                yield path, value
            else:
                yield from self._leaves(value, f"{path}/")


Tree = Mapping[str, Resource]


def not_writable(name: str) -> Problem:
    """Make the problem that a property cannot be written, or is none."""
    return Problem("PropertyNotWritableOrUnknown", name, registry=ILO)


def not_in_list(value: object, name: str) -> Problem:
    """Make the problem that a property cannot have a value."""
    return Problem("PropertyValueNotInList", str(value), name)


def in_post(name: str) -> Problem:
    """Make the problem that a property cannot change while the server is in POST."""
    return Problem("UnableToModifyDuringSystemPOST", name, registry=ILO)


def read_object(body: bytes) -> Document:
    """Read a JSON object.

    :raises Problem: it is none.
    """
    try:
        document = json.loads(body)
    except ValueError:
        raise Problem("MalformedJSON") from None  # its text may hold a password
    if not isinstance(document, dict):
        raise Problem("MalformedJSON")
    return document


def etag(document: Document) -> str:
    """Make the tag of a state of a resource, without the marks of a header."""
    return f"{zlib.crc32(json.dumps(document, sort_keys=True).encode()):08X}"


def check_etag(wanted: str | None, document: Document) -> None:
    """Check a header ``If-Match``: a tag may be weak, strong, or without quotes.

    :raises Problem: the resource is not, or not any more, in that state.
    """
    if wanted is None or wanted.strip() == "*":
        return
    tags = (tag.strip().removeprefix("W/").strip('"') for tag in wanted.split(","))
    if etag(document) not in tags:
        raise Problem("PreconditionFailed", status=HTTPStatus.PRECONDITION_FAILED)
