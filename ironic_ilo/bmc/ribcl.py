"""An iLO 4, over RIBCL; Secure Boot, which RIBCL does not know, over REST."""

import html
import logging
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from ironic_ilo.bmc import replies
from ironic_ilo.bmc.errors import RefusalError, translated
from ironic_ilo.bmc.health import parse_health
from ironic_ilo.bmc.https import Endpoint, make_context
from ironic_ilo.bmc.inventory import Health
from ironic_ilo.bmc.rest import RestSession
from ironic_ilo.bmc.session import RibclSession
from ironic_ilo.bmc.types import (
    Access,
    Bmc,
    BootDevice,
    BootMode,
    Device,
    MediaStatus,
    PowerState,
    Product,
    SecureBoot,
)
from ironic_ilo.bmc.waiting import Deadline, pauses, poll
from ironic_ilo.exception import (
    BmcBusy,
    BmcError,
    BmcFeatureMissing,
    BmcStateMismatch,
    InvalidInput,
)

LOG = logging.getLogger(__name__)
T = TypeVar("T")

# The licences known to lack scripted virtual media. Names vary by form factor and firmware, so an
# unknown one passes: the insert itself then tells.
_POOR_LICENSES = re.compile(r"\b(standard|essentials)\b", re.IGNORECASE)
# The comma starts the name of a helper program in an iLO's image URLs.
_IMAGE_URL = re.compile(r"https?://[!-~]+")
_NOT_IN_IMAGE_URLS = set("\"'<>,")


def connect(access: Access) -> Bmc:
    """Make the door to an iLO. Nothing is sent yet; every method logs in for itself.

    :raises InvalidInput: the CA file, the user name or the password cannot be used.
    """
    host = f"[{access.address}]" if ":" in access.address else access.address
    name = f"iLO {host}:{access.port}"
    endpoint = Endpoint(
        access.address, access.port, make_context(access.verify_ca), access.timeout
    )
    session, rest = RibclSession(name, access, endpoint), RestSession(name, access, endpoint)
    return RibclBmc(name, access, session, rest)


class RibclBmc:
    """``Bmc`` over RIBCL; its methods are described there. It keeps no state between calls."""

    def __init__(
        self, name: str, access: Access, session: RibclSession, rest: RestSession
    ) -> None:
        self._name = name
        self._access = access
        self._session = session
        self._rest = rest

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    def product(self) -> Product:
        """Tell what answers."""
        with self._doing("read the product name and firmware version"):
            model = self._session.get_product_name()
            return replies.parse_product(model, self._session.get_fw_version()["GET_FW_VERSION"])

    def get_power_state(self) -> PowerState:
        """Read the server's power."""
        with self._doing("read the power state"):
            return replies.parse_power(self._session.get_host_power_status())

    def power_on(self) -> None:
        """Power the server on, if it is off."""
        if self.get_power_state() is PowerState.OFF:
            self._insist(self._patience(), "power on", self._session.set_host_power, "ON")
            self._await_power(PowerState.ON)

    def power_off(self) -> None:
        """Hold the power button, if the server is on.

        Not ``SET_HOST_POWER``: on some firmware it only asks the operating system.
        """
        if self.get_power_state() is PowerState.ON:
            self._insist(self._patience(), "power off", self._session.hold_pwr_btn)
            self._await_power(PowerState.OFF)

    def reset(self) -> None:
        """Reset a running server; power on one that is off."""
        if self.get_power_state() is PowerState.OFF:
            self.power_on()
        else:
            self._insist(self._patience(), "reset", self._session.reset_server)
            self._await_power(PowerState.ON)

    def check_virtual_media(self) -> None:
        """Raise ``BmcFeatureMissing`` unless the licence includes scripted virtual media."""
        license_type = self.product().license_type
        if _POOR_LICENSES.search(license_type):
            raise BmcFeatureMissing(
                f"{self._name}: its licence, {license_type!r}, does not include virtual media",
                hint="Install an iLO Advanced licence.",
            )

    def get_media_status(self, device: Device) -> MediaStatus:
        """Read a drive."""
        with self._doing(f"read the state of the {device} drive"):
            return replies.parse_media_status(self._session.get_vm_status(device.value))

    def insert_media(self, device: Device, url: str) -> None:
        """Put an image into a drive, to be connected at the next start, for one boot.

        An image already there is ejected even when it is the same: its one boot may be over, and
        then the next start would eject it.
        """
        _check_image_url(url)
        patience = self._patience()
        self._eject(device, patience)
        insert, connect_at_start = self._session.insert_virtual_media, self._session.set_vm_status
        self._insist(patience, f"insert an image in {device}", insert, url, device.value)
        # Some iLOs keep a URL's "&amp;" as it came: replies are read as if unescaped twice.
        stored = html.unescape(url)
        self._confirm_media(device, lambda now: now.inserted and now.url == stored, "this image")
        self._insist(
            patience, f"set {device} to boot once", connect_at_start, device.value, "BOOT_ONCE"
        )
        self._confirm_media(device, lambda now: now.boot_once, "boot once")

    def eject_media(self, device: Device) -> None:
        """Empty a drive; an empty one is left alone."""
        self._eject(device, self._patience())

    def get_one_time_boot(self) -> BootDevice:
        """Read what the next start boots from."""
        with self._doing("read the one-time boot device"):
            return replies.parse_boot_device(self._session.get_one_time_boot())

    def set_one_time_boot(self, device: BootDevice) -> None:
        """Choose what the next start, and only that one, boots from."""
        _check_settable(device)
        self._insist(
            self._patience(),
            f"set the one-time boot device to {device}",
            self._session.set_one_time_boot,
            device.value,
        )
        self._confirm(self.get_one_time_boot, lambda now: now is device, f"one-time boot {device}")

    def get_persistent_boot(self) -> list[BootDevice]:
        """Read the boot order."""
        return list(dict.fromkeys(device for device, _value in self._boot_entries()))

    def set_persistent_boot(self, device: BootDevice) -> None:
        """Move a device to the front of the boot order."""
        _check_settable(device)
        entries = self._boot_entries()
        front = [value for kind, value in entries if kind is device]
        if not front:
            raise BmcFeatureMissing(
                f"{self._name}: {device} is not in its boot order",
                hint=f"Choose from {_shown([kind for kind, _value in entries])}.",
            )
        order = front + [value for kind, value in entries if kind is not device]
        self._insist(
            self._patience(),
            f"put {device} first in the boot order",
            self._session.set_boot_order,
            order,
        )
        self._confirm(
            self.get_persistent_boot, lambda now: now[:1] == [device], f"{device} first to boot"
        )

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

    def set_pending_boot_mode(self, mode: BootMode) -> None:
        """Choose the boot mode of the next start, unless it is that already."""
        if self.get_pending_boot_mode() is not mode:
            self._insist(
                self._patience(),
                f"set the boot mode to {mode}",
                self._session.set_pending_boot_mode,
                mode.value,
            )
            self._confirm(self.get_pending_boot_mode, lambda now: now is mode, f"boot mode {mode}")

    def get_secure_boot(self) -> SecureBoot:
        """Read the state of Secure Boot."""
        with self._doing("read the state of Secure Boot"):
            return self._rest.get_secure_boot()

    def set_secure_boot(self, *, enabled: bool) -> None:
        """Switch Secure Boot on or off from the next start on, unless it is so already."""
        if self.get_secure_boot().pending is not enabled:
            what = f"Secure Boot {'on' if enabled else 'off'}"
            self._insist(
                self._patience(), f"switch {what}", self._rest.set_secure_boot_mode, enabled
            )
            self._confirm(self.get_secure_boot, lambda now: now.pending is enabled, what)

    def get_health(self) -> Health:
        """Read what the server is made of, and its sensors."""
        with self._doing("read the embedded health"):
            return parse_health(self._session.get_host_health_data())

    def inject_nmi(self) -> None:
        """Interrupt the running system, over REST: RIBCL has no command for it."""
        if self.get_power_state() is PowerState.OFF:
            raise BmcError(
                f"{self._name}: the server is off, and an NMI needs a running system",
                hint="Power the server on first.",
            )
        with self._doing("inject an NMI"):
            self._rest.inject_nmi()

    def _read_boot_mode(self, what: str, read: Callable[[], str]) -> BootMode:
        with self._doing(f"read the {what}"):
            try:
                return replies.parse_boot_mode(read())
            except RefusalError as refusal:
                if refusal.means_unsupported:
                    return BootMode.LEGACY
                raise

    def _eject(self, device: Device, patience: Deadline) -> None:
        if self.get_media_status(device).inserted:
            self._insist(patience, f"eject {device}", self._eject_unless_empty, device)
            self._confirm_media(device, lambda now: not now.inserted, "an eject")

    def _eject_unless_empty(self, device: Device) -> None:
        try:
            self._session.eject_virtual_media(device.value)
        except RefusalError as refusal:
            if not refusal.means_empty_drive:  # emptied by someone else since it was looked at
                raise

    def _boot_entries(self) -> list[tuple[BootDevice, str]]:
        with self._doing("read the boot order"):
            return [replies.parse_boot_entry(entry) for entry in self._session.get_boot_order()]

    def _await_power(self, state: PowerState) -> None:
        within = self._access.power_timeout
        self._confirm(self.get_power_state, lambda now: now is state, f"power {state}", within)

    def _confirm_media(
        self, device: Device, wanted: Callable[[MediaStatus], bool], what: str
    ) -> None:
        self._confirm(lambda: self.get_media_status(device), wanted, f"{what} in {device}")

    def _confirm(
        self,
        read: Callable[[], T],
        wanted: Callable[[T], bool],
        what: str,
        within: float | None = None,
    ) -> None:
        """Read a change back until it shows; ``within`` is ``change_timeout`` by default."""
        seconds = self._access.change_timeout if within is None else within
        seen = poll(read, wanted, seconds)
        if not wanted(seen):
            raise BmcStateMismatch(
                f"{self._name}: {what} was accepted, but after {seconds:g} s it still "
                f"shows {_shown(seen)}",
                hint="Look into the iLO's event log, and reset the iLO if it persists.",
            )

    def _patience(self) -> Deadline:
        """Start the time for which one change puts up with refusals."""
        return Deadline(self._access.busy_timeout)

    def _insist(
        self, patience: Deadline, action: str, command: Callable[..., object], *args: object
    ) -> None:
        """Send a command again and again while the iLO is busy."""
        for pause in pauses():
            try:
                with self._doing(action):
                    command(*args)
            except BmcBusy as busy:
                if patience.passed:
                    raise BmcBusy(
                        f"{busy.message}, and did so for {self._access.busy_timeout:g} s",
                        hint=busy.hint,
                    ) from None
                LOG.debug("%s Trying again.", busy.message)
                patience.sleep(pause)
            else:
                return

    def _doing(self, action: str) -> AbstractContextManager[None]:
        LOG.debug("%s: %s", self._name, action)
        return translated(self._name, action)


def _shown(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _check_settable(device: BootDevice) -> None:
    if device is BootDevice.OTHER:
        raise InvalidInput("A device without a name cannot be chosen to boot from")


def _check_image_url(url: str) -> None:
    """Refuse what an iLO cannot store (ilo-protocol.md 1.10), before the drive is touched."""
    if not _IMAGE_URL.fullmatch(url) or not _NOT_IN_IMAGE_URLS.isdisjoint(url):
        raise InvalidInput(
            "An image's URL must be http or https, in printable ASCII without spaces, quotes, "
            "angle brackets and commas",
            hint="Check the options of the store that publishes images.",
        )
