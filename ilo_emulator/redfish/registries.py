"""The registries: what messages say, and what the settings of the BIOS can be.

Where an iLO has them: HPE's documents of Redfish's error messages and of the BIOS data model.
"""

from typing import Any

from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish.document import ROOT, collection, document, facts
from ilo_emulator.rest import settings
from ilo_emulator.rest.message import Document, named
from ilo_emulator.rest.message_texts import TEXTS, Text
from ilo_emulator.rest.resource import Resource, Tree

REGISTRIES = f"{ROOT}/Registries"
_STORE = f"{ROOT}/RegistryStore/registries/en"
_LANGUAGE = "en"
# Who has written them.
_OWNER = "ilo_emulator"
_ATTRIBUTES_VERSION = "1.0.0"


def tree(ilo: Ilo) -> Tree:
    """Make the collection, its files, and the registries that these lead to."""
    registries = _registries(ilo) if facts(ilo).described else []
    files = [_file(registry) for registry in registries]
    places = [file["@odata.id"] for file in files]
    return {
        REGISTRIES: Resource(lambda _: collection("MessageRegistryFile", REGISTRIES, places)),
        **{each["@odata.id"]: _constant(each) for each in (*files, *registries)},
    }


def _registries(ilo: Ilo) -> list[Document]:
    names = named(facts(ilo).registries)
    return [*(_messages(*each) for each in names.items()), _attributes(ilo)]


def attribute_registry(ilo: Ilo) -> str:
    """Name the registry of the BIOS's settings: each ROM family has its own."""
    family = ilo.profile.rom_version.partition(" ")[0]
    return f"BiosAttributeRegistry{family}.v{_ATTRIBUTES_VERSION.replace('.', '_')}"


def _constant(written: Document) -> Resource:
    return Resource(lambda _: written)


def _file(registry: Document) -> Document:
    """Write the resource that leads to a registry; those of messages go by their prefix."""
    identity, version = registry["Id"], registry["RegistryVersion"]
    name = identity.removesuffix(f".{version}")
    return document(
        "MessageRegistryFile.v1_0_4.MessageRegistryFile",
        f"{REGISTRIES}/{name}",
        Id=name,
        Name=f"{name} Registry File",
        Registry=identity,
        Languages=[_LANGUAGE],
        Location=[{"Language": _LANGUAGE, "Uri": f"{registry['@odata.id']}/"}],
    )


def _registry(kind: str, name: str, identity: str, version: str, **content: Any) -> Document:
    return document(
        kind,
        f"{_STORE}/{name}",
        Id=identity,
        Name=f"{identity} Registry",
        Language=_LANGUAGE,
        OwningEntity=_OWNER,
        RegistryVersion=version,
        **content,
    )


def _messages(prefix: str, name: str) -> Document:
    """Write a registry of messages.

    :param name: as messages name it: the prefix and two numbers, for example ``Base.1.4``.
    """
    version = f"{name.partition('.')[2]}.0"
    return _registry(
        "MessageRegistry.v1_0_0.MessageRegistry",
        f"{prefix}.json",
        f"{prefix}.{version}",
        version,
        RegistryPrefix=prefix,
        Messages={key: _message(text) for key, text in TEXTS[prefix].items()},
    )


def _message(text: Text) -> Document:
    return {
        "Description": text.message,
        "Message": text.message,
        "Severity": text.severity,
        "NumberOfArgs": text.args,
        "ParamTypes": ["string"] * text.args,
        "Resolution": text.resolution,
    }


def _attributes(ilo: Ilo) -> Document:
    name = attribute_registry(ilo)
    attributes = [_attribute(*choice) for choice in settings.choices(ilo).items()]
    return _registry(
        "AttributeRegistry.v1_0_0.AttributeRegistry",
        name.lower(),
        name,
        _ATTRIBUTES_VERSION,
        RegistryEntries={"Attributes": attributes},
    )


def _attribute(name: str, values: tuple[str, ...] | None) -> Document:
    written: Document = {"Type": "String"}
    if values is not None:
        listed = [{"ValueName": value, "ValueDisplayName": value} for value in values]
        written = {"Type": "Enumeration", "Value": listed}
    return {
        "AttributeName": name,
        "DisplayName": name,
        **written,
        "ReadOnly": False,
        "ResetRequired": True,
    }
