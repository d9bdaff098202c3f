"""Writing Redfish documents. Paths have no slash at the end here; the service adds it."""

from collections.abc import Collection, Sequence
from typing import Any

from ilo_emulator.ilo import Ilo
from ilo_emulator.profile import Redfish
from ilo_emulator.rest.message import ILO, Document, Problem

ROOT = "/redfish/v1"


def facts(ilo: Ilo) -> Redfish:
    """Tell how an iLO speaks Redfish; only those that do are asked."""
    assert ilo.profile.redfish is not None  # noqa: S101 - else this room is not entered
    return ilo.profile.redfish


def link(path: str) -> Document:
    """Write a link."""
    return {"@odata.id": path}


def is_link(value: object) -> bool:
    """Tell whether a value is a link."""
    return isinstance(value, dict) and value.keys() == {"@odata.id"}


def document(kind: str, path: str, **content: Any) -> Document:
    """Write a document.

    :param kind: its schema and version, for example ``Chassis.v1_0_0.Chassis``.
    """
    context = f"{ROOT}/$metadata#{kind.partition('.')[0]}.{kind.rpartition('.')[2]}"
    return {"@odata.context": context, **link(path), "@odata.type": f"#{kind}", **content}


def collection(kind: str, path: str, members: Sequence[str]) -> Document:
    """Write a collection of the documents at some paths."""
    links = [link(member) for member in members]
    return document(
        f"{kind}Collection.{kind}Collection",
        path,
        Name=kind,
        Members=links,
        **{"Members@odata.count": len(links)},
    )


def action(path: str, name: str, **allowed: Sequence[str]) -> Document:
    """Write the entry of an action.

    :param path: of the resource that has it.
    :param name: for example ``ComputerSystem.Reset``; ``Oem/Hpe/HpeiLO…`` for one of HPE's.
    :param allowed: the values of parameters.
    """
    values = {f"{key}@Redfish.AllowableValues": list(each) for key, each in allowed.items()}
    return {f"#{name.rpartition('/')[2]}": {**values, "target": target(path, name)}}


def target(path: str, name: str) -> str:
    """Tell where an action is asked for."""
    return f"{path}/Actions/{name}"


def check_parameters(values: Document, known: Collection[str], name: str) -> None:
    """Check that an action has these parameters.

    :raises Problem: one is not known.
    """
    for each in values:
        # HPE's own client names the action in the body, too.
        if each not in (*known, "Action"):
            raise Problem("ActionParameterUnknown", name, each)


def chosen(values: Document, parameter: str, allowed: Collection[str], name: str) -> str:
    """Read the one parameter of an action, which has some values.

    :raises Problem: it is missing, or another, or has another value.
    """
    check_parameters(values, (parameter,), name)
    if parameter not in values:
        raise Problem("ActionParameterMissing", name, parameter)
    value = values[parameter]
    if value not in tuple(allowed):
        raise Problem("ActionParameterValueNotInList", str(value), parameter, registry=ILO)
    return str(value)
