"""The schemas of the service's own resources, which clients check changes against.

They are made of the documents themselves: what an iLO's schemas know beyond that is not in them.
Where an iLO has them: HPE's documents of ``JsonSchemaFile``.
"""

from collections.abc import Collection, Sequence
from typing import Any

from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish.document import ROOT, collection, document, facts
from ilo_emulator.rest.message import Document
from ilo_emulator.rest.resource import Read, Resource, Tree

SCHEMAS = f"{ROOT}/JsonSchemas"
_STORE = f"{ROOT}/SchemaStore/en"
_FORM = "http://json-schema.org/draft-04/schema#"
_ALLOWED = "@Redfish.AllowableValues"
_TYPES = {
    dict: "object",
    list: "array",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
}


def tree(ilo: Ilo, described: Tree) -> Tree:
    """Make the collection, its files, and the schemas that these lead to.

    :param described: the resources that the schemas are of.
    """
    kinds = _by_kind(ilo, described) if facts(ilo).described else {}
    names = {kind: kind.removeprefix("#").partition(".")[0] for kind in kinds}
    places = [f"{SCHEMAS}/{name}" for name in names.values()]
    return {
        SCHEMAS: Resource(lambda _: collection("JsonSchemaFile", SCHEMAS, places)),
        **{f"{SCHEMAS}/{name}": Resource(_file(name, kind)) for kind, name in names.items()},
        **{_store(name): Resource(_schema(kind, kinds[kind])) for kind, name in names.items()},
    }


def _by_kind(ilo: Ilo, described: Tree) -> dict[str, list[Resource]]:
    kinds: dict[str, list[Resource]] = {}
    for resource in described.values():
        if resource.read is not None:
            kinds.setdefault(resource.read(ilo)["@odata.type"], []).append(resource)
    return kinds


def _store(name: str) -> str:
    return f"{_STORE}/{name}.json"


def _file(name: str, kind: str) -> Read:
    location = {"Language": "en", "Uri": f"{_store(name)}/"}
    written = document(
        "JsonSchemaFile.v1_0_0.JsonSchemaFile",
        f"{SCHEMAS}/{name}",
        Id=name,
        Name=f"{name} Schema File",
        Schema=kind,
        Languages=[location["Language"]],
        Location=[location],
    )
    return lambda _: written


def _schema(kind: str, resources: Sequence[Resource]) -> Read:
    """Describe all that have a type: a drive that is empty shows less than one that is not."""
    writable = {name for resource in resources for name in resource.writable or resource.changes}

    def schema(ilo: Ilo) -> Document:
        documents = [resource.read(ilo) for resource in resources if resource.read]
        shown = {name: value for each in documents for name, value in each.items()}
        title = kind.removeprefix("#").rpartition(".")[0]
        return {"$schema": _FORM, "title": title, **_described(shown, writable, "")}

    return schema


def _described(shown: Document, writable: Collection[str], place: str) -> Document:
    """Describe an object; annotations and links belong to OData, and not to the schema."""
    properties = {
        name: _property(value, shown.get(f"{name}{_ALLOWED}"), writable, f"{place}{name}")
        for name, value in shown.items()
        if "@" not in name
    }
    return {"type": _TYPES[dict], "properties": properties}


def _property(value: Any, allowed: Any, writable: Collection[str], path: str) -> Document:
    if isinstance(value, dict):
        return _described(value, writable, f"{path}/")
    # What is null now is of some type at other times, which cannot be told from it.
    described: Document = {"type": _TYPES[type(value)]} if value is not None else {}
    if isinstance(value, list):
        described["items"] = _property(value[0], None, (), path) if value else {}
    if allowed is not None:
        described["enum"] = allowed
    return described | {"readonly": path not in writable}
