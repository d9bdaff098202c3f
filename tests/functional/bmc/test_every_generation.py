"""The door to an iLO against a real ``ilo-emulator`` with a machine of paper."""

import time

import pytest

from ilo_emulator.profile import PROFILES
from ironic_ilo.bmc import (
    Bmc,
    BootDevice,
    BootMode,
    Device,
    Inventory,
    MediaStatus,
    PowerState,
    Privilege,
    Product,
    SecureBoot,
    SensorKind,
)
from ironic_ilo.check import ilo
from ironic_ilo.check.findings import Status, run_checks
from ironic_ilo.exception import (
    BmcBusy,
    BmcError,
    BmcFeatureMissing,
    BmcLoginFailed,
    BmcUnreachable,
)
from tests.functional.bmc.emulated import ADDRESS, FLOPPY, ISO, REDFISH, Emulated

pytestmark = pytest.mark.functional

# By the generation: what the server and its iLO are.
SERVERS = {
    "ilo4-gen8": ("ProLiant DL380p Gen8", "iLO 4"),
    "ilo4-gen9": ("ProLiant DL380 Gen9", "iLO 4"),
    "ilo5-early": ("ProLiant DL380 Gen10", "iLO 5"),
    "ilo5": ("ProLiant DL380 Gen10", "iLO 5"),
    "ilo6": ("ProLiant DL380 Gen11", "iLO 6"),
    "ilo7": ("HPE ProLiant Compute DL380 Gen12", "iLO 7"),
}
UEFI_ALONE = ("ilo6", "ilo7")


def test_product_and_licence(emulated: Emulated, bmc: Bmc):
    product = bmc.product()
    assert isinstance(product, Product)
    assert (product.model, product.processor) == SERVERS[emulated.name]
    assert "Advanced" in product.license_type
    bmc.check_virtual_media()


def test_privileges(emulated: Emulated, bmc: Bmc):
    told = {Privilege.VIRTUAL_MEDIA, Privilege.POWER, Privilege.ILO_SETTINGS}
    if emulated.name in REDFISH:
        told.add(Privilege.HOST_BIOS)
    assert bmc.get_privileges() == dict.fromkeys(told, True)


def test_a_check_finds_nothing_wrong(emulated: Emulated):
    group = ilo.make_group(lambda: emulated.access, emulated.access.timeout)
    found = list(run_checks(group, 2 * emulated.access.timeout))
    assert [each for each in found if each.status is not Status.OK] == []


def test_power(emulated: Emulated, bmc: Bmc):
    assert bmc.get_power_state() is PowerState.OFF
    starts = emulated.state()["starts"]
    bmc.reset()
    assert (bmc.get_power_state(), emulated.state()["starts"]) == (PowerState.ON, starts + 1)
    bmc.power_on()
    assert emulated.state()["starts"] == starts + 1
    bmc.reset()
    assert emulated.state()["starts"] == starts + 2
    bmc.power_off()
    bmc.power_off()
    assert bmc.get_power_state() is PowerState.OFF


def test_a_boot_from_virtual_media_and_the_next_one(emulated: Emulated, bmc: Bmc):
    bmc.insert_media(Device.FLOPPY, FLOPPY)
    bmc.insert_media(Device.CDROM, "http://127.0.22.1:8088/v1/old.iso")
    bmc.insert_media(Device.CDROM, ISO)
    bmc.set_one_time_boot(BootDevice.CDROM)
    at_once = emulated.name in REDFISH
    assert bmc.get_media_status(Device.CDROM) == MediaStatus(True, at_once, True, ISO)
    assert bmc.get_one_time_boot() is BootDevice.CDROM

    bmc.power_on()
    boot = emulated.state()["boots"][-1]
    assert boot["device"] == "cdrom"
    assert (boot["cdrom_url"], boot["floppy_url"]) == (ISO, FLOPPY)
    assert bmc.get_media_status(Device.FLOPPY).connected
    assert bmc.get_one_time_boot() is BootDevice.NORMAL

    bmc.reset()
    assert emulated.state()["booted_from"] != "cdrom"
    assert not bmc.get_media_status(Device.CDROM).inserted
    bmc.eject_media(Device.CDROM)


def test_a_url_with_a_query_is_read_back(emulated: Emulated, bmc: Bmc):
    url = f"{ISO}?temp_url_sig=0123&temp_url_expires=1795350000"
    bmc.insert_media(Device.CDROM, url)
    assert bmc.get_media_status(Device.CDROM).url == url
    assert emulated.state()["media"]["CDROM"]["url"] == url


def test_eject(bmc: Bmc):
    bmc.insert_media(Device.CDROM, ISO)
    bmc.eject_media(Device.CDROM)
    assert bmc.get_media_status(Device.CDROM) == MediaStatus(False, False, False, "")
    bmc.eject_media(Device.CDROM)


def test_a_medium_that_shows_after_its_eject(emulated: Emulated, bmc: Bmc):
    bmc.insert_media(Device.CDROM, ISO)
    with emulated.fault(stale_inserted=0.5):
        bmc.insert_media(Device.CDROM, f"{ISO}?another")
    assert bmc.get_media_status(Device.CDROM).url == f"{ISO}?another"


def test_an_eject_that_fails(emulated: Emulated, bmc: Bmc):
    bmc.insert_media(Device.CDROM, ISO)
    with emulated.fault(eject_fails=True), pytest.raises(BmcError, match="eject"):
        with emulated.connect(change_timeout=0.5) as hasty:
            hasty.eject_media(Device.CDROM)


def test_boot_order_and_mode_of_a_gen8(gen8: Emulated):
    bmc = gen8.connect()
    order = bmc.get_persistent_boot()
    bmc.set_persistent_boot(BootDevice.NETWORK)
    rest = [device for device in order if device is not BootDevice.NETWORK]
    assert bmc.get_persistent_boot() == [BootDevice.NETWORK, *rest]
    bmc.set_persistent_boot(order[0])
    assert bmc.get_boot_mode() is BootMode.LEGACY


def test_boot_modes_and_secure_boot_of_a_gen9(gen9: Emulated):
    bmc = gen9.connect()
    assert bmc.get_supported_boot_modes() == [BootMode.LEGACY, BootMode.UEFI]
    assert bmc.get_secure_boot() == SecureBoot(current=False, pending=False)
    with pytest.raises(BmcFeatureMissing, match="Put the server into UEFI mode"):
        bmc.set_secure_boot(enabled=True)
    with gen9.fault(post_refusals=2):
        bmc.set_pending_boot_mode(BootMode.UEFI)
    assert (bmc.get_boot_mode(), bmc.get_pending_boot_mode()) == (BootMode.LEGACY, BootMode.UEFI)
    bmc.power_on()
    assert bmc.get_boot_mode() is BootMode.UEFI
    assert bmc.get_persistent_boot() == [BootDevice.HDD, BootDevice.NETWORK]
    bmc.set_persistent_boot(BootDevice.NETWORK)
    assert bmc.get_persistent_boot()[0] is BootDevice.NETWORK
    with gen9.fault(post_refusals=2):
        bmc.set_secure_boot(enabled=True)
    assert bmc.get_secure_boot() == SecureBoot(current=False, pending=True)
    bmc.reset()
    assert bmc.get_secure_boot() == SecureBoot(current=True, pending=True)
    bmc.set_secure_boot(enabled=False)


def test_what_a_gen8_has_not(gen8: Emulated):
    bmc = gen8.connect()
    assert bmc.get_supported_boot_modes() == [BootMode.LEGACY]
    assert bmc.get_pending_boot_mode() is BootMode.LEGACY
    for refused in (
        lambda: bmc.set_pending_boot_mode(BootMode.UEFI),
        bmc.get_secure_boot,
        lambda: bmc.set_secure_boot(enabled=True),
    ):
        with pytest.raises(BmcFeatureMissing, match="Check the server's generation"):
            refused()


def test_boot_order_over_redfish(redfish: Emulated):
    with redfish.connect() as bmc:
        order = bmc.get_persistent_boot()
        told = redfish.name != "ilo7"  # which has no resource for it
        assert order[:2] == [BootDevice.HDD, BootDevice.NETWORK] * told
        bmc.set_persistent_boot(BootDevice.NETWORK)
        assert bmc.get_persistent_boot()[:2] == [BootDevice.NETWORK, *[BootDevice.HDD] * told]
        assert bmc.get_one_time_boot() is BootDevice.NORMAL
        bmc.power_on()
        bmc.reset()
        assert [boot["device"] for boot in redfish.state()["boots"][-2:]] == ["network"] * 2
        bmc.set_persistent_boot(BootDevice.HDD)
        assert bmc.get_persistent_boot()[:2] == [BootDevice.HDD, *[BootDevice.NETWORK] * told]


def test_boot_modes_and_secure_boot_over_redfish(redfish: Emulated):
    with redfish.connect() as bmc:
        assert bmc.get_boot_mode() is BootMode.UEFI
        assert bmc.get_secure_boot() == SecureBoot(current=False, pending=False)
        with redfish.fault(post_refusals=2):
            bmc.set_secure_boot(enabled=True)
        bmc.power_on()
        assert bmc.get_secure_boot() == SecureBoot(current=True, pending=True)
        bmc.set_secure_boot(enabled=False)
        bmc.reset()
        if redfish.name in UEFI_ALONE:
            assert bmc.get_supported_boot_modes() == [BootMode.UEFI]
            with pytest.raises(BmcFeatureMissing, match="no boot mode but UEFI"):
                bmc.set_pending_boot_mode(BootMode.LEGACY)
        else:
            _change_boot_modes(redfish, bmc)


def _change_boot_modes(redfish: Emulated, bmc: Bmc) -> None:
    assert bmc.get_supported_boot_modes() == [BootMode.LEGACY, BootMode.UEFI]
    with redfish.fault(post_refusals=2):
        bmc.set_pending_boot_mode(BootMode.LEGACY)
    assert (bmc.get_boot_mode(), bmc.get_pending_boot_mode()) == (BootMode.UEFI, BootMode.LEGACY)
    bmc.reset()
    assert bmc.get_boot_mode() is BootMode.LEGACY
    with pytest.raises(BmcFeatureMissing, match="Put the server into UEFI mode"):
        bmc.set_secure_boot(enabled=True)
    bmc.set_pending_boot_mode(BootMode.UEFI)
    bmc.reset()
    assert bmc.get_boot_mode() is BootMode.UEFI


def test_inventory_and_sensors(emulated: Emulated, bmc: Bmc):
    bmc.power_on()
    inventory = bmc.get_inventory()
    assert inventory == Inventory(
        cpus=8,
        cpu_arch="x86_64",
        memory_mib=16384,
        disks_gib=(279,),
        macs=inventory.macs,
        rom_version=PROFILES[emulated.name].rom_version,
        ilo_version=inventory.ilo_version,
    )
    assert len(inventory.macs) == 1
    assert inventory.ilo_version.startswith(bmc.product().firmware)
    assert {sensor.kind for sensor in bmc.get_sensors()} == set(SensorKind)


def test_inventory_of_a_gen8_that_is_off(gen8: Emulated):
    with gen8.connect() as bmc:
        assert bmc.get_inventory().memory_mib is None


@pytest.mark.parametrize("name", ["ilo4-gen9", *REDFISH])
def test_nmi(emulator: dict[str, Emulated], name: str):
    emulated = emulator[name]
    with emulated.connect() as bmc:
        with pytest.raises(BmcError, match="the server is off"):
            bmc.inject_nmi()
        bmc.power_on()
        bmc.inject_nmi()
        bmc.power_off()
    assert emulated.state()["nmis"] == 1


def test_nmi_of_a_gen8(gen8: Emulated):
    with gen8.connect() as bmc:
        bmc.power_on()
        with pytest.raises(BmcFeatureMissing, match="Check the server's generation"):
            bmc.inject_nmi()
    assert gen8.state()["nmis"] == 0


def test_rest_of_an_ilo_that_fails(gen9: Emulated):
    with gen9.fault(silent=True), pytest.raises(BmcUnreachable, match="within 1 s"):
        gen9.connect(timeout=1.0).get_secure_boot()
    with pytest.raises(BmcLoginFailed):
        gen9.connect(password="wrong-Pa$$w0rd").get_secure_boot()


def test_refusals_during_post_are_sat_out(emulated: Emulated, bmc: Bmc):
    with emulated.fault(post_refusals=2):
        bmc.set_one_time_boot(BootDevice.CDROM)
        assert bmc.get_one_time_boot() is BootDevice.CDROM


def test_refusals_that_do_not_end(emulated: Emulated):
    with emulated.fault(post_refusals=1000), pytest.raises(BmcBusy, match="POST"):
        with emulated.connect(busy_timeout=1.0) as bmc:
            bmc.set_one_time_boot(BootDevice.CDROM)


def test_a_missing_licence(emulated: Emulated, bmc: Bmc):
    with emulated.fault(no_license=True):
        with pytest.raises(BmcFeatureMissing, match="Standard"):
            bmc.check_virtual_media()
        with pytest.raises(BmcFeatureMissing, match="licence"):
            bmc.insert_media(Device.CDROM, ISO)


@pytest.mark.parametrize("fault", [{"silent": True}, {"refuse": True}, {"drop": True}])
def test_an_ilo_that_fails(emulated: Emulated, fault):
    with emulated.fault(**fault):
        started = time.monotonic()
        with pytest.raises(BmcUnreachable, match=rf"^iLO {ADDRESS}:\d+: could not read"):
            with emulated.connect(timeout=1.0) as bmc:
                bmc.get_power_state()
        assert time.monotonic() - started < 10
    with emulated.connect() as bmc:
        assert bmc.get_power_state() is PowerState.OFF


def test_a_slow_ilo(emulated: Emulated, bmc: Bmc):
    with emulated.fault(slow_s=0.4):
        assert bmc.get_power_state() is PowerState.OFF
        with pytest.raises(BmcUnreachable, match=r"within 0\.2 s"):
            with emulated.connect(timeout=0.2) as hasty:
                hasty.get_power_state()


def test_a_wrong_password(emulated: Emulated):
    with pytest.raises(BmcLoginFailed), emulated.connect(password="wrong-Pa$$w0rd") as bmc:
        bmc.power_on()


def test_a_certificate_that_is_not_known(emulated: Emulated):
    with pytest.raises(BmcUnreachable, match="ilo_verify_ca"):
        with emulated.connect(verify_ca=True) as bmc:
            bmc.get_power_state()
