"""python-hpilo 4.4.3, unmodified, against emulated iLOs."""

import hpilo
import pytest

from tests.functional.third_party.conftest import BOOT_ORDER, PLAIN_PASSWORD, Emulated

pytestmark = pytest.mark.functional


class TestHpilo:
    """python-hpilo 4.4.3."""

    def test_tells_what_it_is(self, emulated: Emulated):
        ilo = emulated.hpilo()
        assert ilo.get_product_name() == "ProLiant DL380p Gen8"
        assert ilo.get_fw_version() == {
            "firmware_version": "2.55",
            "firmware_date": "Aug 16 2017",
            "management_processor": "iLO4",
            "license_type": "iLO 4 Advanced",
        }
        assert [each["license_type"] for each in ilo.get_all_licenses()] == ["iLO 4 Advanced"]
        assert ilo.get_server_name() == "node-0"
        with pytest.warns(hpilo.IloWarning, match="No Asset Tag"):
            assert ilo.get_asset_tag() == {"asset_tag": None}

    def test_the_light(self, emulated: Emulated):
        ilo = emulated.hpilo()
        for light in ("ON", "OFF"):
            ilo.uid_control(light == "ON")
            assert ilo.get_uid_status() == light

    def test_discovery_without_a_login(self, emulated: Emulated):
        found = emulated.hpilo(password="wrong").xmldata()
        assert found["hsi"]["spn"] == "ProLiant DL380p Gen8"
        assert found["hsi"]["sbsn"] == "CZ1234ABCD"
        assert found["mp"]["pn"] == "Integrated Lights-Out 4 (iLO 4)"
        assert emulated.hpilo(password="wrong").xmldata("cpqkey")["lname"] == "iLO 4 Advanced"

    def test_inventory(self, emulated: Emulated):
        health = emulated.hpilo().get_embedded_health()
        assert health["nic_information"]["Embedded"]["mac_address"] == "52:54:00:42:43:44"
        assert health["health_at_a_glance"]["fans"]["status"] == "OK"
        system = emulated.hpilo().get_host_data()[1]
        assert system["Product Name"] == "ProLiant DL380p Gen8"
        assert system["cUUID"] == "30313436-3631-5A43-3332-303441424344"

    def test_power(self, emulated: Emulated):
        ilo = emulated.hpilo()
        assert ilo.get_host_power_status() == "OFF"
        ilo.set_host_power(True)
        assert ilo.get_host_power_status() == "ON"
        with pytest.warns(hpilo.IloWarning, match="already ON"):
            ilo.set_host_power(True)
        with pytest.warns(hpilo.IloWarning, match="Server being reset"):
            ilo.reset_server()
        ilo.hold_pwr_btn()
        assert ilo.get_host_power_status() == "OFF"
        with pytest.warns(hpilo.IloWarning, match="already OFF"):
            ilo.hold_pwr_btn()
        with pytest.raises(hpilo.IloError, match="powered off"):
            ilo.reset_server()

    def test_the_power_button(self, emulated: Emulated):
        ilo = emulated.hpilo()
        ilo.press_pwr_btn()
        emulated.wait_for_power("on")
        ilo.set_host_power(False)
        emulated.wait_for_power("off")
        with pytest.warns(hpilo.IloWarning, match="already OFF"):
            ilo.set_host_power(False)
        ilo.cold_boot_server()
        emulated.wait_for_power("on")
        ilo.warm_boot_server()
        assert emulated.ask()["power"] == "on"

    def test_boots_once_from_virtual_media(self, emulated: Emulated):
        ilo = emulated.hpilo()
        for device, url in (("CDROM", "http://h/x.iso"), ("FLOPPY", "http://h/f.img")):
            ilo.insert_virtual_media(device, url)
            ilo.set_vm_status(device, "boot_once", write_protect=True)
        assert ilo.get_vm_status("CDROM") == {
            "vm_applet": "DISCONNECTED",
            "device": "CDROM",
            "boot_option": "BOOT_ONCE",
            "write_protect": "YES",
            "image_inserted": "YES",
            "image_url": "http://h/x.iso",
        }
        ilo.set_one_time_boot("cdrom")
        assert ilo.get_one_time_boot() == "cdrom"
        ilo.set_host_power(True)
        server = emulated.ask()
        assert server["booted_from"] == "cdrom"
        assert server["boots"][-1]["floppy_url"] == "http://h/f.img"
        assert ilo.get_one_time_boot() == "normal"
        assert ilo.get_vm_status("FLOPPY")["vm_applet"] == "CONNECTED"
        with pytest.warns(hpilo.IloWarning):
            ilo.reset_server()
        assert emulated.ask()["booted_from"] == "hdd"
        assert ilo.get_vm_status("CDROM")["image_inserted"] == "NO"

    def test_an_url_with_an_ampersand(self, emulated: Emulated):
        emulated.hpilo().insert_virtual_media("CDROM", "http://h/x.iso?a=1&b=2")
        assert emulated.hpilo().get_vm_status("CDROM")["image_url"] == "http://h/x.iso?a=1&b=2"

    def test_connect_and_disconnect(self, emulated: Emulated):
        ilo = emulated.hpilo()
        ilo.insert_virtual_media("FLOPPY", "http://h/f.img")
        ilo.set_vm_status("FLOPPY", "connect")
        status = ilo.get_vm_status("FLOPPY")
        assert (status["vm_applet"], status["boot_option"]) == ("CONNECTED", "BOOT_ALWAYS")
        ilo.set_vm_status("FLOPPY", "disconnect")
        status = ilo.get_vm_status("FLOPPY")
        assert (status["vm_applet"], status["boot_option"]) == ("DISCONNECTED", "NO_BOOT")
        ilo.eject_virtual_media("FLOPPY")
        assert ilo.get_vm_status("FLOPPY")["image_inserted"] == "NO"

    def test_boot_order(self, emulated: Emulated):
        ilo = emulated.hpilo()
        assert ilo.get_persistent_boot() == BOOT_ORDER
        ilo.set_persistent_boot("network,hdd")
        assert ilo.get_persistent_boot() == ["network", "hdd", "cdrom", "floppy", "usb"]

    def test_an_empty_drive(self, emulated: Emulated):
        ilo = emulated.hpilo()
        for refused in (
            lambda: ilo.eject_virtual_media("CDROM"),
            lambda: ilo.set_vm_status("CDROM", "boot_once"),
        ):
            with pytest.raises(hpilo.IloError, match="No image present") as raised:
                refused()
            assert raised.value.errorcode == 0x39

    def test_wrong_logins(self, emulated: Emulated):
        with pytest.raises(hpilo.IloLoginFailed):
            emulated.hpilo(password="wrong").get_product_name()
        with pytest.raises(hpilo.IloUserNotFound):
            emulated.hpilo("nobody").get_product_name()

    def test_no_licence(self, emulated: Emulated):
        emulated.ask("PUT", "/faults", {"no_license": True})
        with pytest.raises(hpilo.IloLicenseKeyError):
            emulated.hpilo().insert_virtual_media("CDROM", "http://h/x.iso")
        assert emulated.hpilo().get_fw_version()["license_type"] == "iLO 4 Standard"

    def test_what_a_gen8_does_not_know(self, emulated: Emulated):
        with pytest.raises(hpilo.IloFeatureNotSupported):
            emulated.hpilo().get_current_boot_mode()
        with pytest.raises(hpilo.IloError, match="syntax error"):
            emulated.hpilo().get_all_users()

    def test_several_commands_at_once(self, emulated: Emulated):
        ilo = emulated.hpilo()
        ilo.delayed = True
        ilo.get_product_name()
        ilo.get_vm_status("CDROM")
        ilo.get_host_power_status()
        name, drive, power = ilo.call_delayed()
        assert (name, drive["device"], power) == ("ProLiant DL380p Gen8", "CDROM", "OFF")


def on(*generations: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("redfish", generations, indirect=True)


class TestLaterGenerations:
    """iLO 5 speaks RIBCL still, unless it is switched off; iLO 6 says that it is; 7 knows none."""

    @on("ilo5", "ilo5-early")
    def test_ilo5(self, redfish: Emulated):
        ilo = redfish.hpilo(password=PLAIN_PASSWORD)
        assert ilo.get_product_name() == "ProLiant DL380 Gen10"
        assert ilo.get_fw_version()["management_processor"] == "iLO5"
        assert ilo.get_current_boot_mode() == "UEFI"
        ilo.insert_virtual_media("CDROM", "http://h/x.iso")
        ilo.set_vm_status("CDROM", "boot_once", write_protect=True)
        ilo.set_one_time_boot("cdrom")
        ilo.set_host_power(True)
        assert redfish.ask()["booted_from"] == "cdrom"
        assert redfish.drive()["Inserted"]

    @on("ilo5")
    def test_ribcl_is_switched_off(self, redfish: Emulated):
        redfish.ask("PUT", "/faults", {"ribcl_disabled": True})
        with pytest.raises(hpilo.IloError, match="RIBCLI is disabled"):
            redfish.hpilo(password=PLAIN_PASSWORD).get_product_name()

    @on("ilo6")
    def test_ilo6(self, redfish: Emulated):
        with pytest.raises(hpilo.IloError, match="RIBCLI is disabled"):
            redfish.hpilo(password=PLAIN_PASSWORD).get_product_name()
        assert redfish.hpilo().xmldata()["mp"]["pn"] == "Integrated Lights-Out 6 (iLO 6)"

    @on("ilo7")
    def test_ilo7(self, redfish: Emulated):
        with pytest.raises(hpilo.IloError, match="bogus data"):
            redfish.hpilo(password=PLAIN_PASSWORD).get_product_name()
