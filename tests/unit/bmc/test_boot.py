"""What the server boots from, and how."""

import dataclasses

import pytest

from ironic_ilo.bmc import Access, BootDevice, BootMode, connect
from ironic_ilo.exception import BmcError, BmcFeatureMissing, BmcStateMismatch, InvalidInput
from tests.unit.bmc.scripted_ilo import ScriptedIlo, answer, answers


def once(value: str) -> str:
    return f'<ONE_TIME_BOOT><BOOT_TYPE VALUE="{value}"/></ONE_TIME_BOOT>'


def order(*entries: str) -> str:
    devices = "".join(f"<DEVICE value={entry}/>" for entry in entries)
    return f"<PERSISTENT_BOOT>{devices}</PERSISTENT_BOOT>"


BIOS_ORDER = ('"CDROM"', '"FLOPPY"', '"USB"', '"HDD"', '"NETWORK"')
UEFI_ORDER = (
    '"Boot0001" DESCRIPTION="Embedded UEFI Shell"',
    '"Boot000A" DESCRIPTION="Embedded LOM 1 Port 1 : HP Ethernet 1Gb NIC (IPv4) "',
    '"Boot000B" DESCRIPTION="Embedded LOM 1 Port 1 : HP Ethernet 1Gb NIC (IPv6) "',
    '"Boot0002" DESCRIPTION="Embedded RAID 1 : Smart Array P440ar - 279 GB, RAID 0 Logical Drive"',
    '"Boot0011" DESCRIPTION="iLO Virtual USB 2 : HP iLO Virtual USB CD/DVD ROM"',
)


@pytest.mark.parametrize(
    ("value", "device"),
    [
        ("Normal", BootDevice.NORMAL),
        ("CDROM", BootDevice.CDROM),
        ("network", BootDevice.NETWORK),
        ("RBSU", BootDevice.OTHER),
        ("Boot000A", BootDevice.OTHER),
    ],
)
def test_the_one_time_boot_device_is_read(ilo: ScriptedIlo, access: Access, value, device):
    ilo.on("GET_ONE_TIME_BOOT", answer(once(value)))
    assert connect(access).get_one_time_boot() is device


def test_the_one_time_boot_device_is_set_and_read_back(ilo: ScriptedIlo, access: Access):
    ilo.on("SET_ONE_TIME_BOOT", answer(status=1, message="The server is in POST."), answer())
    ilo.on("GET_ONE_TIME_BOOT", *answers([once("Normal"), once("CDROM")]))
    connect(access).set_one_time_boot(BootDevice.CDROM)
    assert ilo.commands == ["SET_ONE_TIME_BOOT"] * 2 + ["GET_ONE_TIME_BOOT"] * 2
    assert 'value="CDROM"' in ilo.requests[0]


def test_a_one_time_boot_device_that_does_not_stick_is_a_mismatch(ilo, access):
    ilo.on("SET_ONE_TIME_BOOT", answer())
    ilo.on("GET_ONE_TIME_BOOT", answer(once("Normal")))
    with pytest.raises(BmcStateMismatch, match=r"one-time boot CDROM .* still shows NORMAL"):
        connect(dataclasses.replace(access, change_timeout=0.3)).set_one_time_boot(
            BootDevice.CDROM
        )


@pytest.mark.parametrize(
    ("entries", "devices"),
    [
        (BIOS_ORDER, ["CDROM", "FLOPPY", "OTHER", "HDD", "NETWORK"]),
        (UEFI_ORDER, ["OTHER", "NETWORK", "HDD", "CDROM"]),
        (BIOS_ORDER[:1], ["CDROM"]),
    ],
)
def test_the_boot_order_is_read(ilo: ScriptedIlo, access: Access, entries, devices):
    ilo.on("GET_PERSISTENT_BOOT", answer(order(*entries)))
    assert connect(access).get_persistent_boot() == devices


@pytest.mark.parametrize(
    ("entries", "device", "values"),
    [
        (BIOS_ORDER, BootDevice.HDD, ["HDD", "CDROM", "FLOPPY", "USB", "NETWORK"]),
        (
            UEFI_ORDER,
            BootDevice.NETWORK,
            ["Boot000A", "Boot000B", "Boot0001", "Boot0002", "Boot0011"],
        ),
    ],
)
def test_a_device_is_put_first(ilo: ScriptedIlo, access: Access, entries, device, values):
    named = {entry.split('"')[1]: entry for entry in entries}
    after = order(*(named[value] for value in values))
    ilo.on("GET_PERSISTENT_BOOT", *answers([order(*entries), after]))
    ilo.on("SET_PERSISTENT_BOOT", answer())
    connect(access).set_persistent_boot(device)
    sent = "".join(f'<DEVICE VALUE="{value}" />' for value in values)
    assert f"<SET_PERSISTENT_BOOT>{sent}</SET_PERSISTENT_BOOT>" in ilo.requests[1]


def test_a_device_that_is_not_in_the_order(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_PERSISTENT_BOOT", answer(order('"CDROM"', '"HDD"')))
    with pytest.raises(BmcFeatureMissing, match=r"NETWORK is not .* Choose from CDROM, HDD"):
        connect(access).set_persistent_boot(BootDevice.NETWORK)


@pytest.mark.parametrize("method", ["set_one_time_boot", "set_persistent_boot"])
def test_a_device_without_a_name_cannot_be_chosen(ilo, access, method):
    with pytest.raises(InvalidInput):
        getattr(connect(access), method)(BootDevice.OTHER)
    assert ilo.commands == []


@pytest.mark.parametrize("mode", list(BootMode))
def test_the_boot_mode_is_read(ilo: ScriptedIlo, access: Access, mode: BootMode):
    ilo.on(
        "GET_CURRENT_BOOT_MODE",
        answer(f'<GET_CURRENT_BOOT_MODE><BOOT_MODE VALUE="{mode}"/></GET_CURRENT_BOOT_MODE>'),
    )
    assert connect(access).get_boot_mode() is mode


@pytest.mark.parametrize(
    "refusal",
    [
        answer(status=0x0001, message="syntax error near GET_CURRENT_BOOT_MODE"),
        answer(status=0x003C, message="Feature not supported - GET_CURRENT_BOOT_MODE"),
    ],
)
def test_a_server_without_boot_modes_boots_legacy(ilo: ScriptedIlo, access: Access, refusal):
    """And does not send proliantutils into a recursion by refusing the product name as well."""
    ilo.on("GET_CURRENT_BOOT_MODE", refusal)
    ilo.on("GET_PRODUCT_NAME", refusal)
    assert connect(access).get_boot_mode() is BootMode.LEGACY
    assert ilo.commands == ["GET_CURRENT_BOOT_MODE"]


def test_other_refusals_do_not_mean_legacy(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_CURRENT_BOOT_MODE", answer(status=0x00FF, message="Something else."))
    with pytest.raises(BmcError, match=r"Something else.*0x00FF"):
        connect(access).get_boot_mode()
