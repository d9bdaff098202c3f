"""The clients that are not ours reach the same old, odd and well guarded iLOs, where they can."""

import gc
import ssl
from collections.abc import Callable, Iterator

import hpilo
import pytest
import sushy
from proliantutils.ilo.ribcl import RIBCLOperations
from proliantutils.ilo.ris import RISOperations
from proliantutils.redfish.redfish import RedfishOperations

from ironic_ilo.bmc import Access
from tests.functional.bmc.emulated import Emulated, Server, running_emulator
from tests.functional.bmc.test_reaching import PASSWORDS

pytestmark = pytest.mark.functional

REDFISH = ("ilo5-early", "ilo5", "ilo6", "ilo7")
# RIBCL is switched off on iLO 6, and gone on iLO 7.
SPEAK_RIBCL = ("ilo4-gen8", "ilo4-gen9", "ilo5-early", "ilo5")


def list_servers() -> Iterator[Server]:
    for generation in dict.fromkeys([*SPEAK_RIBCL, *REDFISH]):
        yield Server(f"{generation}-ipv6", generation, "::1")
        yield Server(f"{generation}-tls", generation, more={"newest_tls": "1.0"})
        for name, password in PASSWORDS.items():
            yield Server(f"{generation}-{name}", generation, password=password)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Emulated]]:
    with running_emulator(tmp_path_factory.mktemp("emulator"), list_servers()) as running:
        yield running
        gc.collect()  # sushy ends its session when it is collected


def authority(access: Access) -> str:
    host = f"[{access.address}]" if ":" in access.address else access.address
    return f"{host}:{access.port}"


def ask_hpilo(access: Access, context: ssl.SSLContext | None = None) -> None:
    context = context or ssl.create_default_context(cafile=str(access.verify_ca))
    ilo = hpilo.Ilo(
        access.address,
        access.username,
        access.password,
        timeout=30,
        port=access.port,
        ssl_context=context,
    )
    assert ilo.get_host_power_status() == "OFF"


def ask_proliantutils(access: Access) -> None:
    host = authority(access).rpartition(":")[0]
    client = RIBCLOperations(
        host, access.username, access.password, port=access.port, cacert=access.verify_ca
    )
    assert client.get_host_power_status() == "OFF"


def ask_ris(access: Access) -> None:
    client = RISOperations(
        authority(access), access.username, access.password, cacert=access.verify_ca
    )
    assert client.get_host_power_status() == "OFF"


def ask_proliantutils_redfish(access: Access) -> None:
    client = RedfishOperations(
        authority(access), access.username, access.password, cacert=access.verify_ca
    )
    assert client.get_host_power_status() == "OFF"


def ask_sushy(access: Access, **options: str) -> None:
    root = sushy.Sushy(
        f"https://{authority(access)}",
        access.username,
        access.password,
        verify=access.verify_ca,
        **options,
    )
    assert root.get_system("/redfish/v1/Systems/1/").power_state is sushy.PowerState.OFF


CLIENTS: tuple[tuple[Callable[[Access], None], tuple[str, ...]], ...] = (
    (ask_hpilo, SPEAK_RIBCL),
    (ask_proliantutils, SPEAK_RIBCL),
    (ask_ris, ("ilo4-gen9",)),
    (ask_proliantutils_redfish, REDFISH),
    (ask_sushy, REDFISH),
)
# python-hpilo writes a password as it is, between double quotes, so this one ends the script; the
# RIS class of proliantutils knows ASCII alone.
CANNOT_SAY = {ask_hpilo: {"ends-a-tag"}, ask_ris: {"non-ascii"}}
PAIRS = [
    pytest.param(ask, generation, id=f"{ask.__name__}-{generation}")
    for ask, generations in CLIENTS
    for generation in generations
]


@pytest.mark.parametrize(("ask", "generation"), PAIRS)
def test_passwords(servers: dict[str, Emulated], ask: Callable[[Access], None], generation: str):
    for name in PASSWORDS.keys() - CANNOT_SAY.get(ask, set()):
        ask(servers[f"{generation}-{name}"].access)


@pytest.mark.parametrize(("ask", "generation"), PAIRS)
def test_ipv6(servers: dict[str, Emulated], ask: Callable[[Access], None], generation: str):
    ask(servers[f"{generation}-ipv6"].access)


@pytest.mark.parametrize("generation", SPEAK_RIBCL)
def test_old_tls_with_python_hpilo(servers: dict[str, Emulated], generation: str):
    access = servers[f"{generation}-tls"].access
    with pytest.raises(hpilo.IloCommunicationError):
        ask_hpilo(access)
    context = ssl.create_default_context(cafile=str(access.verify_ca))
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    ask_hpilo(access, context)
