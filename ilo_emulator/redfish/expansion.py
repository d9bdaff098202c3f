"""Links replaced by the documents that they lead to, where a query asks for it: ``$expand``.

An iLO does so one level deep, whatever the query says of levels, with the links of the document
itself and those of HPE's part of it. It leaves alone what stands below ``Links``, and shows a
stranger no more for it. iLO 4 ignores the query. (HPE, "Adapting from iLO 4", "OData $expand
syntax".)
"""

from collections.abc import Callable
from typing import Any

from ilo_emulator.redfish.document import is_link
from ilo_emulator.rest.message import Document

#: Reads the document at a path.
Read = Callable[[str], Document]


def expand(document: Document, read: Read) -> Document:
    """Expand a document."""
    oem = {name: _properties(part, read) for name, part in document.get("Oem", {}).items()}
    return _properties(document, read) | ({"Oem": oem} if oem else {})


def _properties(values: Document, read: Read) -> Document:
    """Follow the links that are properties themselves: those in ``Links`` are deeper."""
    return {name: _followed(value, read) for name, value in values.items()}


def _followed(value: Any, read: Read) -> Any:
    if isinstance(value, list):
        return [_followed(each, read) for each in value]
    return read(value["@odata.id"]) if is_link(value) else value
