"""An iLO 4, over RIBCL; Secure Boot, which RIBCL does not know, over REST."""

from collections.abc import Callable

from ironic_ilo.bmc import replies
from ironic_ilo.bmc.confirming import ConfirmingBmc, shown
from ironic_ilo.bmc.errors import RefusalError
from ironic_ilo.bmc.https import Endpoint
from ironic_ilo.bmc.rest import RestSession
from ironic_ilo.bmc.session import RibclSession
from ironic_ilo.bmc.types import (
    Access,
    BootDevice,
    BootMode,
    Device,
    MediaStatus,
    PowerState,
    Privilege,
    Product,
    SecureBoot,
)
from ironic_ilo.exception import BmcFeatureMissing


class RibclBmc(ConfirmingBmc):
    """``Bmc`` over RIBCL; its methods are described there. Every command logs in for itself.

    :raises InvalidInput: RIBCL cannot carry the user name or the password.
    """

    def __init__(self, access: Access, endpoint: Endpoint) -> None:
        super().__init__(access, endpoint)
        self._session = RibclSession(self._name, access, endpoint)
        self._rest = RestSession(self._name, access, endpoint)

    def close(self) -> None:
        """Do nothing: RIBCL knows no sessions."""

    def product(self) -> Product:
        """Tell what answers."""
        with self._doing("read the product name and firmware version"):
            model = self._session.get_product_name()
            return replies.parse_product(model, self._session.get_fw_version()["GET_FW_VERSION"])

    def get_privileges(self) -> dict[Privilege, bool]:
        """Tell what the user may do."""
        with self._doing("read the user's privileges"):
            try:
                return replies.parse_privileges(self._session.get_user()["GET_USER"])
            except RefusalError as refusal:
                if refusal.means_secret:
                    return {}
                raise

    def get_power_state(self) -> PowerState:
        """Read the server's power."""
        with self._doing("read the power state"):
            return replies.parse_power(self._session.get_host_power_status())

    def get_media_status(self, device: Device) -> MediaStatus:
        """Read a drive."""
        with self._doing(f"read the state of the {device} drive"):
            return replies.parse_media_status(self._session.get_vm_status(device.value))

    def get_one_time_boot(self) -> BootDevice:
        """Read what the next start boots from."""
        with self._doing("read the one-time boot device"):
            return replies.parse_boot_device(self._session.get_one_time_boot())

    def get_persistent_boot(self) -> list[BootDevice]:
        """Read the boot order."""
        with self._doing("read the boot order"):
            return list(dict.fromkeys(device for device, _value in self._boot_entries()))

    def get_boot_mode(self) -> BootMode:
        """Read the boot mode; a server without the command, as before Gen9, boots LEGACY."""
        return self._read_boot_mode("boot mode", self._session.get_current_boot_mode)

    def get_pending_boot_mode(self) -> BootMode:
        """Read the boot mode of the next start."""
        return self._read_boot_mode("pending boot mode", self._session.get_pending_boot_mode)

    def get_supported_boot_modes(self) -> list[BootMode]:
        """Tell the boot modes to choose from."""
        with self._doing("read the supported boot modes"):
            try:
                supported = self._session.get_supported_boot_mode()
            except RefusalError as refusal:
                if refusal.means_unsupported:
                    return [BootMode.LEGACY]
                raise
            return replies.parse_supported_boot_modes(supported)

    def get_secure_boot(self) -> SecureBoot:
        """Read the state of Secure Boot."""
        with self._doing("read the state of Secure Boot"):
            return self._rest.get_secure_boot()

    def _send_power_on(self) -> None:
        self._session.set_host_power("ON")

    def _send_power_off(self) -> None:
        """Hold the button: on some firmware SET_HOST_POWER only asks the operating system."""
        self._session.hold_pwr_btn()

    def _send_reset(self) -> None:
        self._session.reset_server()

    def _send_insert(self, device: Device, url: str) -> None:
        self._session.insert_virtual_media(url, device.value)

    def _send_eject(self, device: Device) -> None:
        try:
            self._session.eject_virtual_media(device.value)
        except RefusalError as refusal:
            if not refusal.means_empty_drive:  # emptied by someone else since it was looked at
                raise

    def _knows_boot_once(self, device: Device) -> bool:  # noqa: ARG002 - all drives do
        return True

    def _send_boot_once(self, device: Device) -> None:
        self._session.set_vm_status(device.value, "BOOT_ONCE")

    def _send_one_time_boot(self, device: BootDevice) -> None:
        self._session.set_one_time_boot(device.value)

    def _send_persistent_boot(self, device: BootDevice) -> None:
        entries = self._boot_entries()
        front = [value for kind, value in entries if kind is device]
        if not front:
            raise BmcFeatureMissing(
                f"{self._name}: {device} is not in its boot order",
                hint=f"Choose from {shown([kind for kind, _value in entries])}.",
            )
        self._session.set_boot_order(
            front + [value for kind, value in entries if kind is not device]
        )

    def _send_boot_mode(self, mode: BootMode) -> None:
        self._session.set_pending_boot_mode(mode.value)

    def _send_secure_boot(self, enabled: bool) -> None:
        self._rest.set_secure_boot_mode(enabled)

    def _read_boot_mode(self, what: str, read: Callable[[], str]) -> BootMode:
        with self._doing(f"read the {what}"):
            try:
                return replies.parse_boot_mode(read())
            except RefusalError as refusal:
                if refusal.means_unsupported:
                    return BootMode.LEGACY
                raise

    def _boot_entries(self) -> list[tuple[BootDevice, str]]:
        return [replies.parse_boot_entry(entry) for entry in self._session.get_boot_order()]
