"""What the user may do, as the iLO tells it."""

import dataclasses

import pytest

from ironic_ilo.bmc import Access, Privilege, connect
from ironic_ilo.exception import BmcError
from tests.unit.bmc.redfish_ilo import ROOT, RedfishIlo, collection, link, redfish, refuse
from tests.unit.bmc.scripted_ilo import ScriptedIlo, answer

ACCOUNTS = f"{ROOT}/AccountService/Accounts"
OTHER = f"{ACCOUNTS}/1"
OWN = f"{ACCOUNTS}/2"


def user(**privileges: str) -> str:
    told = " ".join(f'{name}="{value}"' for name, value in privileges.items())
    return f'<GET_USER USER_NAME="x" USER_LOGIN="x" {told}/>'


def account(name: str, **privileges: bool) -> dict[str, object]:
    return {"UserName": name, "Oem": {"Hpe": {"Privileges": privileges}}}


@pytest.fixture
def accounts(redfish_ilo: RedfishIlo) -> RedfishIlo:
    """An iLO with two accounts, the other one first."""
    redfish_ilo.documents[ROOT]["AccountService"] = link(f"{ROOT}/AccountService")
    redfish_ilo.documents[f"{ROOT}/AccountService"] = {"Accounts": link(ACCOUNTS)}
    redfish_ilo.documents[ACCOUNTS] = collection(OTHER, OWN)
    redfish_ilo.documents[OTHER] = account("root", VirtualMediaPriv=False)
    redfish_ilo.documents[OWN] = account(
        "admin",
        LoginPriv=True,
        VirtualMediaPriv=True,
        VirtualPowerAndResetPriv=False,
        iLOConfigPriv=True,
        HostBIOSConfigPriv=False,
    )
    return redfish_ilo


def test_ribcl(ilo: ScriptedIlo, access: Access):
    told = user(VIRTUAL_MEDIA_PRIV="Y", RESET_SERVER_PRIV="N", CONFIG_ILO_PRIV="Yes")
    ilo.on("GET_USER", answer(told))
    assert connect(access).get_privileges() == {
        Privilege.VIRTUAL_MEDIA: True,
        Privilege.POWER: False,
        Privilege.ILO_SETTINGS: True,
    }


def test_ribcl_names_the_user_as_the_login_does(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_USER", answer(user()))
    connect(dataclasses.replace(access, username="R&D <ops>")).get_privileges()
    assert ilo.requests[-1].count('USER_LOGIN="R&D <ops>"') == 2


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0x000A, "User login name was not found"),
        (0x0023, "User does NOT have correct privilege for action. ADMIN_PRIV required."),
        (0x0001, "syntax error near GET_USER"),
        (0x003C, "Feature not supported"),
    ],
)
def test_ribcl_that_does_not_tell(ilo: ScriptedIlo, access: Access, status, text):
    ilo.on("GET_USER", answer(status=status, message=text))
    assert connect(access).get_privileges() == {}


def test_ribcl_that_fails(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_USER", answer(status=0x0003, message="Internal error"))
    with pytest.raises(BmcError, match="could not read the user's privileges"):
        connect(access).get_privileges()


@pytest.mark.parametrize("others", [None, refuse("InsufficientPrivilege", 403)])
def test_redfish(accounts: RedfishIlo, redfish_access: Access, others):
    if others is not None:
        accounts.on(f"GET {OTHER}", others)
    with connect(redfish_access) as bmc:
        assert bmc.get_privileges() == {
            Privilege.VIRTUAL_MEDIA: True,
            Privilege.POWER: False,
            Privilege.ILO_SETTINGS: True,
            Privilege.HOST_BIOS: False,
        }


def test_redfish_user_of_a_directory(accounts: RedfishIlo, redfish_access: Access):
    accounts.documents[ACCOUNTS] = collection(OTHER)
    with connect(redfish_access) as bmc:
        assert bmc.get_privileges() == {}


def test_redfish_without_accounts(redfish_ilo: RedfishIlo, redfish_access: Access):
    with connect(redfish_access) as bmc:
        assert bmc.get_privileges() == {}


def test_redfish_that_fails(accounts: RedfishIlo, redfish_access: Access):
    accounts.on(f"GET {OTHER}", redfish({}, status=500))
    with (
        connect(redfish_access) as bmc,
        pytest.raises(BmcError, match="could not read the user's privileges"),
    ):
        bmc.get_privileges()
