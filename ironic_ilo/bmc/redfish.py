"""An iLO 5, 6 or 7, over Redfish."""

import weakref

from sushy import BootSource, BootSourceOverrideEnabled, ResetType

from ironic_ilo.bmc import redfish_replies as replies
from ironic_ilo.bmc.confirming import ConfirmingBmc, shown
from ironic_ilo.bmc.https import Endpoint
from ironic_ilo.bmc.messages import RestRefusalError
from ironic_ilo.bmc.redfish_session import RedfishSession
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

# iLO 5 before 1.40 has only HPE's own.
_INSERT = ("#VirtualMedia.InsertMedia", "#HpeiLOVirtualMedia.InsertVirtualMedia")
_EJECT = ("#VirtualMedia.EjectMedia", "#HpeiLOVirtualMedia.EjectVirtualMedia")
_BOOT_ONCE = "BootOnNextServerReset"
_BOOT_MODES = {BootMode.LEGACY: "LegacyBios", BootMode.UEFI: "Uefi"}
_BOOT_SOURCES = {
    BootDevice.CDROM: BootSource.CD,
    BootDevice.FLOPPY: BootSource.USB,
    BootDevice.HDD: BootSource.HDD,
    BootDevice.NETWORK: BootSource.PXE,
}


class RedfishBmc(ConfirmingBmc):
    """``Bmc`` over Redfish; its methods are described there.

    The first of them logs in, ``close`` logs out, at the latest when the process ends or nobody
    knows the object any more.

    The one-time and the persistent boot device are one setting here: after a start from a
    one-time device the server's own boot order is back.
    """

    def __init__(self, access: Access, endpoint: Endpoint) -> None:
        super().__init__(access, endpoint)
        self._session = RedfishSession(self._name, access, endpoint)
        weakref.finalize(self, self._session.close)

    def close(self) -> None:
        """Log out."""
        self._session.close()

    def product(self) -> Product:
        """Tell what answers."""
        with self._doing("read the product name and firmware version"):
            root, system = self._session.root(), self._session.system()
            return replies.parse_product(root.json, system.json, self._session.manager().json)

    def get_privileges(self) -> dict[Privilege, bool]:
        """Tell what the user may do."""
        with self._doing("read the user's privileges"):
            return replies.parse_privileges(self._session.account())

    def get_power_state(self) -> PowerState:
        """Read the server's power."""
        with self._doing("read the power state"):
            return replies.parse_power(self._session.system().json)

    def get_media_status(self, device: Device) -> MediaStatus:
        """Read a drive."""
        with self._doing(f"read the state of the {device} drive"):
            return replies.parse_media_status(self._session.drive(device).json)

    def get_one_time_boot(self) -> BootDevice:
        """Read what the next start boots from."""
        with self._doing("read the one-time boot device"):
            enabled, device = replies.parse_boot_override(self._session.system().json)
            return device if enabled == BootSourceOverrideEnabled.ONCE.value else BootDevice.NORMAL

    def get_persistent_boot(self) -> list[BootDevice]:
        """Read the boot order, before which stands what overrides it at every start."""
        with self._doing("read the boot order"):
            system = self._session.system()
            enabled, device = replies.parse_boot_override(system.json)
            first = [device] if enabled == BootSourceOverrideEnabled.CONTINUOUS.value else []
            link = replies.oem_of(system.bios.json).get("Links", {}).get("Boot")
            if link is not None:
                first += replies.parse_boot_order(self._session.read(link["@odata.id"]))
            return list(dict.fromkeys(first))

    def get_boot_mode(self) -> BootMode:
        """Read the boot mode."""
        with self._doing("read the boot mode"):
            return replies.parse_boot_mode(self._session.system().bios.attributes)

    def get_pending_boot_mode(self) -> BootMode:
        """Read the boot mode of the next start."""
        with self._doing("read the pending boot mode"):
            return replies.parse_boot_mode(self._session.system().bios.pending_attributes)

    def get_supported_boot_modes(self) -> list[BootMode]:
        """Tell the boot modes to choose from."""
        with self._doing("read the supported boot modes"):
            system = self._session.system()
            return replies.parse_supported_boot_modes(system.json, system.bios.attributes)

    def get_secure_boot(self) -> SecureBoot:
        """Read the state of Secure Boot."""
        with self._doing("read the state of Secure Boot"):
            return replies.parse_secure_boot(self._session.system().secure_boot.json)

    def _send_power_on(self) -> None:
        self._reset(ResetType.ON, PowerState.ON)

    def _send_power_off(self) -> None:
        self._reset(ResetType.FORCE_OFF, PowerState.OFF)

    def _send_reset(self) -> None:
        self._session.system().reset_system(ResetType.FORCE_RESTART)

    def _reset(self, how: ResetType, aim: PowerState) -> None:
        try:
            self._session.system().reset_system(how)
        except RestRefusalError as refusal:
            # Someone else may have done it since it was looked at.
            there = replies.parse_power(self._session.system().json) is aim
            if not (refusal.means_wrong_state and there):
                raise

    def _send_insert(self, device: Device, url: str) -> None:
        self._session.act(self._session.drive(device), _INSERT, {"Image": url})

    def _send_eject(self, device: Device) -> None:
        try:
            self._session.act(self._session.drive(device), _EJECT, {})
        except RestRefusalError as refusal:
            if not refusal.means_empty_drive:  # emptied by someone else since it was looked at
                raise

    def _knows_boot_once(self, device: Device) -> bool:
        with self._doing(f"read the boot option of {device}"):
            return _BOOT_ONCE in replies.oem_of(self._session.drive(device).json)

    def _send_boot_once(self, device: Device) -> None:
        self._session.change(self._session.drive(device), {"Oem": {"Hpe": {_BOOT_ONCE: True}}})

    def _send_one_time_boot(self, device: BootDevice) -> None:
        system = self._session.system()
        if device is not BootDevice.NORMAL:
            self._override_boot(device, BootSourceOverrideEnabled.ONCE)
        elif replies.parse_boot_override(system.json)[0] == BootSourceOverrideEnabled.ONCE.value:
            system.set_system_boot_options(enabled=BootSourceOverrideEnabled.DISABLED)

    def _send_persistent_boot(self, device: BootDevice) -> None:
        self._override_boot(device, BootSourceOverrideEnabled.CONTINUOUS)

    def _override_boot(self, device: BootDevice, enabled: BootSourceOverrideEnabled) -> None:
        """Choose a device; without the boot mode, which an iLO lets nobody change here."""
        if device not in _BOOT_SOURCES:
            raise BmcFeatureMissing(
                f"{self._name}: {device} is not in its boot order",
                hint=f"Choose from {', '.join(_BOOT_SOURCES)}.",
            )
        self._session.system().set_system_boot_options(_BOOT_SOURCES[device], enabled)

    def _send_boot_mode(self, mode: BootMode) -> None:
        system = self._session.system()
        bios = system.bios
        supported = replies.parse_supported_boot_modes(system.json, bios.attributes)
        if mode not in supported:
            raise BmcFeatureMissing(
                f"{self._name}: the server has no boot mode but {shown(supported)}",
                hint="Change the capability boot_mode, or choose another node.",
            )
        changes = {"BootMode": _BOOT_MODES[mode]}
        if mode is BootMode.UEFI and "UefiOptimizedBoot" in bios.attributes:
            changes["UefiOptimizedBoot"] = "Enabled"  # UEFI mode needs it
        bios.set_attributes(changes)

    def _send_secure_boot(self, enabled: bool) -> None:
        self._session.system().secure_boot.set_enabled(enabled)
