"""proliantutils 2.16.3, unmodified, against emulated iLOs: its RIBCL and its RIS class."""

import hpilo
import pytest
from proliantutils import exception as proliant_exception

from tests.functional.third_party.conftest import PLAIN_PASSWORD, Emulated

pytestmark = pytest.mark.functional


class TestProliantutils:
    """The RIBCL class of proliantutils 2.16.3, which verifies the certificate."""

    def test_tells_what_it_is(self, emulated: Emulated):
        client = emulated.proliant()
        assert client.get_product_name() == "ProLiant DL380p Gen8"
        assert client.get_all_licenses()["LICENSE_TYPE"] == "iLO 4 Advanced"

    def test_inventory(self, emulated: Emulated):
        client = emulated.proliant()
        client.init_model_based_tags(client.get_product_name())
        # An iLO 4 may know the memory of a running server only.
        assert client.get_essential_properties()["properties"]["memory_mb"] == 0
        client.set_host_power("ON")
        assert client.get_essential_properties() == {
            "properties": {
                "memory_mb": 16384,
                "cpus": 8,
                "cpu_arch": "x86_64",
                "local_gb": 278,
            },
            "macs": {"Port 1": "52:54:00:42:43:44"},
        }
        assert client.get_ilo_firmware_version_as_major_minor() == "2.55"

    def test_power(self, emulated: Emulated):
        client = emulated.proliant()
        assert client.get_host_power_status() == "OFF"
        client.set_host_power("ON")
        assert client.get_host_power_status() == "ON"
        assert client.reset_server() == "Server being reset."
        client.hold_pwr_btn()
        assert client.get_host_power_status() == "OFF"
        assert client.hold_pwr_btn() == "Host power is already OFF."
        client.press_pwr_btn()
        emulated.wait_for_power("on")

    def test_boots_from_virtual_media_as_ironic_did(self, emulated: Emulated, images: str):
        client = emulated.proliant()
        for device, name in (("FLOPPY", "f.img"), ("CDROM", "x.iso")):
            client.insert_virtual_media(f"{images}/{name}", device)
            client.set_vm_status(device, "CONNECT", "YES")
        client.set_one_time_boot("CDROM")
        assert client.get_one_time_boot() == "CDROM"
        client.set_host_power("ON")
        assert emulated.ask()["booted_from"] == "cdrom"
        assert emulated.ask()["boots"][-1]["floppy_url"] == f"{images}/f.img"
        assert client.get_one_time_boot() == "Normal"
        status = client.get_vm_status("CDROM")
        assert (status["VM_APPLET"], status["WRITE_PROTECT"]) == ("CONNECTED", "YES")
        for device in ("FLOPPY", "CDROM", "CDROM"):
            client.eject_virtual_media(device)
            assert client.get_vm_status(device)["IMAGE_INSERTED"] == "NO"

    def test_boots_once(self, emulated: Emulated, images: str):
        client = emulated.proliant()
        client.insert_virtual_media(f"{images}/x.iso", "CDROM")
        client.set_vm_status("CDROM", "BOOT_ONCE", "YES")
        client.set_host_power("ON")
        assert emulated.ask()["booted_from"] == "cdrom"
        client.reset_server()
        assert emulated.ask()["booted_from"] == "hdd"
        assert client.get_vm_status("CDROM")["IMAGE_INSERTED"] == "NO"

    def test_a_second_insert(self, emulated: Emulated, images: str):
        client = emulated.proliant()
        client.insert_virtual_media(f"{images}/x.iso", "CDROM")
        with pytest.raises(proliant_exception.IloError, match="already present"):
            client.insert_virtual_media(f"{images}/y.iso", "CDROM")

    def test_an_image_that_is_not_there(self, emulated: Emulated, images: str):
        with pytest.raises(proliant_exception.ImageRefValidationFailed):
            emulated.proliant().insert_virtual_media(f"{images}/absent.iso", "CDROM")

    def test_boot_order(self, emulated: Emulated):
        client = emulated.proliant()
        assert client.get_persistent_boot_device() == "CDROM"
        client.update_persistent_boot(["HDD"])
        assert client.get_persistent_boot_device() == "HDD"

    def test_wrong_logins(self, emulated: Emulated):
        for wrong in (emulated.proliant(password="x"), emulated.proliant(username="nobody")):
            with pytest.raises(proliant_exception.IloLoginFailError):
                wrong.get_product_name()

    def test_no_licence(self, emulated: Emulated, images: str):
        emulated.ask("PUT", "/faults", {"no_license": True})
        with pytest.raises(proliant_exception.IloError, match="license"):
            emulated.proliant().insert_virtual_media(f"{images}/x.iso", "CDROM")

    def test_in_post(self, emulated: Emulated):
        emulated.ask("PUT", "/faults", {"post_refusals": 1})
        with pytest.raises(proliant_exception.IloError, match="POST"):
            emulated.proliant().set_one_time_boot("CDROM")
        emulated.proliant().set_one_time_boot("CDROM")

    def test_boot_modes_are_not_supported(self, emulated: Emulated):
        client = emulated.proliant()
        for ask in (client.get_current_boot_mode, client.get_supported_boot_mode):
            with pytest.raises(
                proliant_exception.IloCommandNotSupportedError, match="ProLiant DL380p Gen8"
            ):
                ask()


class TestGen9:
    """Boot modes and Secure Boot, which a Gen9 has: over RIBCL, and over REST."""

    def test_boot_modes_over_ribcl(self, gen9: Emulated):
        client, ilo = gen9.ribcl(), gen9.hpilo(password=PLAIN_PASSWORD)
        assert client.get_product_name() == "ProLiant DL380 Gen9"
        assert client.get_supported_boot_mode() == "legacy bios and uefi"
        client.set_pending_boot_mode("UEFI")
        assert (ilo.get_current_boot_mode(), ilo.get_pending_boot_mode()) == ("LEGACY", "UEFI")
        gen9.restart()
        assert (client.get_current_boot_mode(), gen9.ask()["boot_mode"]) == ("UEFI", "uefi")
        assert "Boot0002" in dict(ilo.get_persistent_boot())
        assert client.get_persistent_boot_device() == "HDD"
        client.update_persistent_boot(["NETWORK"])
        assert client.get_persistent_boot_device() == "NETWORK"
        ilo.set_pending_boot_mode("legacy")
        assert client.get_pending_boot_mode() == "LEGACY"
        with pytest.raises(hpilo.IloError, match="not known"):
            ilo.set_pending_boot_mode("both")

    def test_boot_modes_over_rest(self, gen9: Emulated):
        client = gen9.ris()
        assert client.get_product_name() == "ProLiant DL380 Gen9"
        assert client.get_host_power_status() == "OFF"
        assert client.get_supported_boot_mode() == "legacy bios and uefi"
        assert client.get_current_boot_mode() == "LEGACY"
        client.set_pending_boot_mode("uefi")
        assert (client.get_current_boot_mode(), client.get_pending_boot_mode()) == (
            "LEGACY",
            "UEFI",
        )
        gen9.restart()
        assert client.get_current_boot_mode() == "UEFI"
        client.set_pending_boot_mode("legacy")
        assert gen9.ask()["pending_boot_mode"] == "legacy"

    def test_secure_boot(self, gen9: Emulated):
        client = gen9.ris()
        with pytest.raises(proliant_exception.IloCommandNotSupportedInBiosError):
            client.set_secure_boot_mode(True)
        client.set_pending_boot_mode("uefi")
        gen9.restart()
        client.set_secure_boot_mode(True)
        assert client.get_secure_boot_mode() is False
        gen9.restart()
        assert client.get_secure_boot_mode() is True
        client.clear_secure_boot_keys()
        gen9.restart()
        assert client.get_secure_boot_mode() is False
        client.reset_secure_boot_keys()
        gen9.restart()
        assert client.get_secure_boot_mode() is True
        client.set_secure_boot_mode(False)
        gen9.restart()
        assert client.get_secure_boot_mode() is False

    def test_rest_in_post_and_with_a_wrong_password(self, gen9: Emulated):
        with pytest.raises(proliant_exception.IloError, match="NoValidSession"):
            gen9.ris("wrong").get_secure_boot_mode()
        gen9.ask("PUT", "/faults", {"post_refusals": 1})
        with pytest.raises(proliant_exception.IloError, match="UnableToModifyDuringSystemPOST"):
            gen9.ris().set_pending_boot_mode("uefi")

    def test_a_gen8_has_no_rest(self, emulated: Emulated):
        with pytest.raises(proliant_exception.IloError):
            emulated.ris().get_secure_boot_mode()


def on(*generations: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("redfish", generations, indirect=True)


class TestRibclOfLaterGenerations:
    """The RIBCL class again."""

    @on("ilo5", "ilo5-early")
    def test_ilo5(self, redfish: Emulated, images: str):
        client = redfish.ribcl()
        assert client.get_product_name() == "ProLiant DL380 Gen10"
        assert client.get_current_boot_mode() == "UEFI"
        client.insert_virtual_media(f"{images}/x.iso", "CDROM")
        client.set_vm_status("CDROM", "CONNECT", "YES")
        client.set_one_time_boot("CDROM")
        client.set_host_power("ON")
        assert redfish.ask()["booted_from"] == "cdrom"
        client.eject_virtual_media("CDROM")
        assert not redfish.drive()["Inserted"]

    @on("ilo6")
    def test_ilo6(self, redfish: Emulated):
        with pytest.raises(proliant_exception.IloError, match="RIBCLI is disabled"):
            redfish.ribcl().get_product_name()

    @on("ilo7")
    def test_ilo7(self, redfish: Emulated):
        with pytest.raises(proliant_exception.IloConnectionError, match="404"):
            redfish.ribcl().get_product_name()
