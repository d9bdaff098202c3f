"""The service root, which all may read, and the service of sessions."""

from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish import accounts
from ilo_emulator.redfish.document import ROOT, collection, document, facts, link
from ilo_emulator.rest.message import Document
from ilo_emulator.rest.resource import Resource, Tree
from ilo_emulator.rest.sessions import IDLE_SECONDS, Sessions

_SERVICE = f"{ROOT}/SessionService"
SESSIONS = f"{_SERVICE}/Sessions"


def tree(sessions: Sessions) -> Tree:
    """Make the resources of the service itself; the service answers to logins."""

    def listed(_ilo: Ilo) -> Document:
        return collection("Session", SESSIONS, [f"{SESSIONS}/{each}" for each in sessions.names()])

    return {
        ROOT: Resource(_root, public=True),
        _SERVICE: Resource(_session_service),
        SESSIONS: Resource(listed),
    }


def _root(ilo: Ilo) -> Document:
    how = facts(ilo)
    manager = {
        "ManagerFirmwareVersion": ilo.profile.firmware_version,
        "ManagerType": how.manager_type,
        "HostName": f"ILO{ilo.server.serial_number}",
    }
    places = ("Systems", "Managers", "Chassis", "JsonSchemas", "Registries")
    return document(
        "ServiceRoot.v1_1_0.ServiceRoot",
        ROOT,
        Id="v1",
        Name="HPE RESTful Root Service",
        RedfishVersion="1.0.0",
        UUID=str(ilo.server.uuid),
        SessionService=link(_SERVICE),
        AccountService=link(accounts.SERVICE),
        Links={"Sessions": link(SESSIONS)},
        Oem={how.oem: {"Manager": [manager]}},
        **{name: link(f"{ROOT}/{name}") for name in places},
    )


def _session_service(_ilo: Ilo) -> Document:
    return document(
        "SessionService.v1_0_0.SessionService",
        _SERVICE,
        Id="SessionService",
        Name="Session Service",
        ServiceEnabled=True,
        SessionTimeout=IDLE_SECONDS,
        Sessions=link(SESSIONS),
    )
