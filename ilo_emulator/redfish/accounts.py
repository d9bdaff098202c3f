"""The service of accounts: there is one, which may do everything."""

from ilo_emulator.ilo import Ilo
from ilo_emulator.redfish.document import ROOT, collection, document, facts, link
from ilo_emulator.rest.message import Document
from ilo_emulator.rest.resource import Resource, Tree

SERVICE = f"{ROOT}/AccountService"
_ACCOUNTS = f"{SERVICE}/Accounts"
_ACCOUNT = f"{_ACCOUNTS}/1"
_PRIVILEGES = (
    "HostBIOSConfigPriv",
    "LoginPriv",
    "RemoteConsolePriv",
    "UserConfigPriv",
    "VirtualMediaPriv",
    "VirtualPowerAndResetPriv",
    "iLOConfigPriv",
)


def tree() -> Tree:
    """Make the resources."""
    return {
        SERVICE: Resource(_service),
        _ACCOUNTS: Resource(lambda _: collection("ManagerAccount", _ACCOUNTS, [_ACCOUNT])),
        _ACCOUNT: Resource(_account),
    }


def _service(_ilo: Ilo) -> Document:
    return document(
        "AccountService.v1_0_2.AccountService",
        SERVICE,
        Id="AccountService",
        Name="Account Service",
        Accounts=link(_ACCOUNTS),
    )


def _account(ilo: Ilo) -> Document:
    return document(
        "ManagerAccount.v1_1_3.ManagerAccount",
        _ACCOUNT,
        Id="1",
        Name="User Account",
        UserName=ilo.server.username,
        Oem={facts(ilo).oem: {"Privileges": _privileges(ilo)}},
    )


def _privileges(ilo: Ilo) -> dict[str, bool]:
    return {name: name == "LoginPriv" or not ilo.faults.no_privileges for name in _PRIVILEGES}
