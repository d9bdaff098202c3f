"""What iLO 4 writes twice: as Redfish does, and as HPE's first REST API did.

A client that sends ``OData-Version`` is shown Redfish alone, in documents and in errors (HPE, "iLO
RESTful API", "Redfish 1.0 Conformance"; "Adapting from iLO 4" names the properties).
"""

from collections.abc import Iterator
from typing import Any

from ilo_emulator.redfish.document import is_link
from ilo_emulator.rest.message import Document


def with_old_forms(document: Document) -> Document:
    """Write a document, which is in Redfish's form, in both."""
    parts = {name: _both(part) for name, part in document.get("Oem", {}).items()}
    both = _both(_health(document))
    both["links"] = {"self": {"href": document["@odata.id"]}, **both.get("links", {})}
    return both | ({"Oem": parts} if parts else {})


def _both(values: Document) -> Document:
    """Write an object in both forms; what it has in neither is left out."""
    old = {
        "Type": _kind(values.get("@odata.type", "")),
        "Power": values.get("PowerState"),
        "Total": values.get("Members@odata.count"),
        "AvailableActions": [_action(*each) for each in values.get("Actions", {}).items()],
        "links": dict(_links(values)) | dict(_links(values.get("Links", {}))),
    }
    return values | {name: value for name, value in old.items() if value}


def _kind(kind: str) -> str:
    """Turn ``#Chassis.v1_6_0.Chassis`` into ``Chassis.1.6.0``."""
    name, _, version = kind.removeprefix("#").rpartition(".")[0].partition(".")
    if name.endswith("Collection"):
        return "Collection.1.0.0"
    return f"{name}.{version.removeprefix('v').replace('_', '.')}" if name else ""


def _action(name: str, entry: Document) -> Document:
    allowed = [
        {"PropertyName": key.partition("@")[0], "AllowableValues": values}
        for key, values in entry.items()
        if key.endswith("@Redfish.AllowableValues")
    ]
    return {"Action": name.rpartition(".")[2], "Capabilities": allowed}


def _links(values: Document) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, list) and value and all(map(is_link, value)):
            old = [{"href": each["@odata.id"]} for each in value]
            yield {"Members": "Member"}.get(name, name), old
        elif is_link(value):
            yield name, {"href": value["@odata.id"]}


def _health(values: Document) -> Document:
    """Write ``HealthRollUp`` beside ``HealthRollup``, wherever that stands."""
    both = {
        name: _health(value) if isinstance(value, dict) else value
        for name, value in values.items()
    }
    return both | ({"HealthRollUp": both["HealthRollup"]} if "HealthRollup" in both else {})
