"""The query option ``$expand``: a document with what its links lead to, one level deep.

Of the properties that are links or lists of links (HPE's documents of OData query options); not of
those inside ``Links``. HPE's parts have no others here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ilo_emulator.rest.message import Document

# An iLO takes them for the same.
_FORMS = (".", "*", "($levels=")


def is_asked(query: Mapping[str, str]) -> bool:
    """Tell whether a query asks for it."""
    return query.get("$expand", "").startswith(_FORMS)


def expanded(shown: Document, read: Callable[[str], Document | None]) -> Document:
    """Put what links lead to in their place.

    :param read: finds the document at a path; a link to what it does not find stays a link.
    """
    return {name: _followed(value, read) for name, value in shown.items()}


def _followed(value: Any, read: Callable[[str], Document | None]) -> Any:
    if isinstance(value, list):
        return [_followed(each, read) for each in value]
    if isinstance(value, dict) and list(value) == ["@odata.id"]:
        return read(value["@odata.id"]) or value
    return value
