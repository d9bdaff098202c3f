"""One emulated iLO of each generation."""

from collections.abc import Iterator

import pytest

from ironic_ilo.bmc import Bmc, BootDevice, BootMode, Device
from tests.functional.bmc.emulated import (
    GENERATIONS,
    REDFISH,
    Emulated,
    Server,
    running_emulator,
)


@pytest.fixture(scope="package")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Emulated]]:
    """Run one server of each generation, by the generation's name."""
    servers = [Server(name, name) for name in GENERATIONS]
    with running_emulator(tmp_path_factory.mktemp("emulator"), servers) as running:
        yield running


@pytest.fixture
def gen9(emulator: dict[str, Emulated]) -> Iterator[Emulated]:
    """The emulated Gen9, off and in legacy mode before and after."""
    gen9 = emulator["ilo4-gen9"]
    yield gen9
    with gen9.connect() as bmc:
        bmc.set_pending_boot_mode(BootMode.LEGACY)
        bmc.reset()
        bmc.power_off()


@pytest.fixture(params=GENERATIONS)
def emulated(request: pytest.FixtureRequest, emulator: dict[str, Emulated]) -> Iterator[Emulated]:
    """Each of the emulated iLOs, off and with empty drives before and after."""
    yield from _tidied(emulator[request.param])


@pytest.fixture
def gen8(emulator: dict[str, Emulated]) -> Iterator[Emulated]:
    """The emulated Gen8, as before."""
    yield from _tidied(emulator["ilo4-gen8"])


@pytest.fixture(params=REDFISH)
def redfish(request: pytest.FixtureRequest, emulator: dict[str, Emulated]) -> Iterator[Emulated]:
    """Each of those that speak Redfish, as before."""
    yield from _tidied(emulator[request.param])


def _tidied(emulated: Emulated) -> Iterator[Emulated]:
    yield emulated
    with emulated.connect() as bmc:
        bmc.power_off()
        for device in Device:
            bmc.eject_media(device)
        bmc.set_one_time_boot(BootDevice.NORMAL)


@pytest.fixture
def bmc(emulated: Emulated) -> Iterator[Bmc]:
    """The door to ``emulated``."""
    with emulated.connect() as bmc:
        yield bmc
