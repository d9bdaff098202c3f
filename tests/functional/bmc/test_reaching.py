"""Reaching iLOs of each generation: old TLS, IPv6, other ports, and passwords of every kind.

What stands in ``driver_info`` is the way in here, as operators write it.
"""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ironic_ilo import driver_info
from ironic_ilo.bmc import Bmc, BootDevice, Device, PowerState, connect
from ironic_ilo.exception import BmcLoginFailed, BmcUnreachable, InvalidInput
from tests.functional.bmc.emulated import (
    GENERATIONS,
    ISO,
    RIBCL,
    USERNAME,
    Emulated,
    Server,
    running_emulator,
)
from tests.functional.checking import read_json, run_check

pytestmark = pytest.mark.functional

OLD_TLS = ("1.0", "1.1")
PASSWORDS = {
    "both-quotes": "a\"b'c&d<e> f",
    "double-quotes": '"a"b&c<d>e f"',
    "single-quotes": "'a'b&c<d>e \\ f'",
    "references": "&amp;&#38;%22 ]]>",
    "ends-a-tag": '"/></RIBCL>',
    "non-ascii": "pässwörd-пароль-密码",
}
# RIBCL has no way to write it.
UNSPEAKABLE = "both-quotes"
_LINK_SCOPE, _TENTATIVE = 0x20, 0x40


def find_link_local_addresses() -> list[str]:
    """List this machine's link-local IPv6 addresses with their scopes; there may be none."""
    interfaces = Path("/proc/net/if_inet6")
    lines = interfaces.read_text().splitlines() if interfaces.exists() else []
    found = []
    for address, _index, _prefix, scope, flags, name in map(str.split, lines):
        if int(scope, 16) == _LINK_SCOPE and not int(flags, 16) & _TENTATIVE:
            groups = (address[at : at + 4] for at in range(0, 32, 4))
            found.append(f"{':'.join(groups)}%{name}")
    return found


def list_servers() -> Iterator[Server]:
    for generation in GENERATIONS:
        for version in OLD_TLS:
            yield Server(f"{generation}-tls{version[2]}", generation, more={"newest_tls": version})
        yield Server(f"{generation}-ipv6", generation, "::1")
        for address in find_link_local_addresses():
            yield Server(f"{generation}-{address.partition('%')[2]}", generation, address)
        for name, password in PASSWORDS.items():
            yield Server(f"{generation}-{name}", generation, password=password)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Emulated]]:
    with running_emulator(tmp_path_factory.mktemp("emulator"), list_servers()) as running:
        yield running


def reach(server: Emulated, **changes: Any) -> Bmc:
    """Connect as the driver does for a node with this ``driver_info``."""
    info = {
        "ilo_address": server.access.address,
        "ilo_username": USERNAME,
        "ilo_password": server.access.password,
        "client_port": server.access.port,
        "ilo_verify_ca": server.access.verify_ca,
        "client_timeout": 30,
        **changes,
    }
    return connect(driver_info.parse_access(SimpleNamespace(uuid="a node", driver_info=info)))


def start_and_stop(bmc: Bmc) -> None:
    bmc.insert_media(Device.CDROM, ISO)
    bmc.set_one_time_boot(BootDevice.CDROM)
    bmc.power_on()
    assert bmc.get_power_state() is PowerState.ON
    bmc.power_off()
    bmc.eject_media(Device.CDROM)


@pytest.mark.parametrize("version", OLD_TLS)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_old_tls(servers: dict[str, Emulated], generation: str, version: str):
    server = servers[f"{generation}-tls{version[2]}"]
    with server.watched() as asked:
        for oldest in (None, "1.2"):
            with pytest.raises(BmcUnreachable, match=r"TLS failed .*set `ilo_min_tls_version`"):
                reach(server, ilo_min_tls_version=oldest)
        with pytest.raises(BmcUnreachable, match="certificate is not trusted"):
            reach(server, ilo_min_tls_version=version, ilo_verify_ca=True)
    assert asked == []
    with reach(server, ilo_min_tls_version=version) as bmc:
        start_and_stop(bmc)
    assert server.state()["booted_from"] == "cdrom"


@pytest.mark.parametrize("generation", GENERATIONS)
def test_ipv6(servers: dict[str, Emulated], generation: str):
    server = servers[f"{generation}-ipv6"]
    for address in ("::1", "[::1]", "[0:0::0:1]"):
        with reach(server, ilo_address=address) as bmc:
            start_and_stop(bmc)


def test_link_local_addresses(servers: dict[str, Emulated]):
    """Those of this machine, if it has any; by a process of its own, which may leave loopback."""
    for address in find_link_local_addresses():
        access = servers[f"ilo5-early-{address.partition('%')[2]}"].access
        where = ["--address", address, "--port", access.port, "--verify-ca", access.verify_ca]
        done = run_check(
            *where, "--username", USERNAME, "--json", IRONIC_ILO_PASSWORD=access.password
        )
        found = read_json(done)
        assert {found[name]["status"] for name in ("certificate", "login", "power")} == {"ok"}


def test_the_scope_of_a_link_local_address_is_not_lost():
    """Without one, the system calls the address invalid; nobody has this one on the loopback."""
    info = {"ilo_address": "fe80::1%lo", "ilo_username": USERNAME, "ilo_password": "x"}
    info |= {"client_timeout": 2, "ilo_verify_ca": False}
    access = driver_info.parse_access(SimpleNamespace(uuid="a node", driver_info=info))
    with pytest.raises(BmcUnreachable, match=r"^iLO \[fe80::1%lo\]:443: ") as caught:
        connect(access)
    assert "Invalid argument" not in str(caught.value)


@pytest.mark.parametrize("name", PASSWORDS)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_passwords(servers: dict[str, Emulated], generation: str, name: str):
    server, password = servers[f"{generation}-{name}"], PASSWORDS[name]
    if generation in RIBCL and name == UNSPEAKABLE:
        with pytest.raises(InvalidInput, match="ilo_password holds both kinds of quotes"):
            reach(server)
        return
    with reach(server) as bmc:
        bmc.power_on()
        bmc.insert_media(Device.CDROM, ISO)
    if generation == "ilo4-gen9":
        _use_rest(server)
    with pytest.raises(BmcLoginFailed) as caught, reach(server, ilo_password=password[1:]) as bmc:
        bmc.power_on()
    assert password[1:] not in str(caught.value)


def _use_rest(server: Emulated) -> None:
    """Interrupt the system, for which RIBCL has no command: over HTTP's Basic login."""
    with reach(server) as bmc:
        bmc.inject_nmi()
        assert not bmc.get_secure_boot().current
