"""How changes are made at an iLO, whatever it speaks: asked for, insisted on, and read back."""

import html
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from ironic_ilo.bmc.detection import KNOWN
from ironic_ilo.bmc.errors import translated
from ironic_ilo.bmc.https import Endpoint
from ironic_ilo.bmc.inventory import Inventory, Sensor
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


class ConfirmingBmc(ABC):
    """The changes of ``Bmc``, described there, over what a protocol can read and send.

    The ``_send_…`` methods send one command each, without translating errors, and without
    checking what came of it.
    """

    def __init__(self, access: Access, endpoint: Endpoint) -> None:
        self._name = f"iLO {endpoint.authority}"
        self._access = access
        self._endpoint = endpoint

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Log out."""

    @abstractmethod
    def product(self) -> Product:
        """Tell what answers."""

    @abstractmethod
    def get_privileges(self) -> dict[Privilege, bool]:
        """Tell what the user may do."""

    @abstractmethod
    def get_power_state(self) -> PowerState:
        """Read the server's power."""

    @abstractmethod
    def get_media_status(self, device: Device) -> MediaStatus:
        """Read a drive."""

    @abstractmethod
    def get_one_time_boot(self) -> BootDevice:
        """Read what the next start boots from."""

    @abstractmethod
    def get_persistent_boot(self) -> list[BootDevice]:
        """Read the boot order."""

    @abstractmethod
    def get_boot_mode(self) -> BootMode:
        """Read the boot mode."""

    @abstractmethod
    def get_supported_boot_modes(self) -> list[BootMode]:
        """Tell the boot modes to choose from."""

    @abstractmethod
    def get_pending_boot_mode(self) -> BootMode:
        """Read the boot mode of the next start."""

    @abstractmethod
    def get_secure_boot(self) -> SecureBoot:
        """Read the state of Secure Boot."""

    @abstractmethod
    def get_inventory(self) -> Inventory:
        """Read what the server is made of."""

    @abstractmethod
    def get_sensors(self) -> tuple[Sensor, ...]:
        """Read the sensors."""

    @abstractmethod
    def _send_power_on(self) -> None: ...

    @abstractmethod
    def _send_power_off(self) -> None: ...

    @abstractmethod
    def _send_reset(self) -> None: ...

    @abstractmethod
    def _send_nmi(self) -> None: ...

    @abstractmethod
    def _send_insert(self, device: Device, url: str) -> None: ...

    @abstractmethod
    def _send_eject(self, device: Device) -> None: ...

    @abstractmethod
    def _knows_boot_once(self, device: Device) -> bool: ...

    @abstractmethod
    def _send_boot_once(self, device: Device) -> None: ...

    @abstractmethod
    def _send_one_time_boot(self, device: BootDevice) -> None: ...

    @abstractmethod
    def _send_persistent_boot(self, device: BootDevice) -> None: ...

    @abstractmethod
    def _send_boot_mode(self, mode: BootMode) -> None: ...

    @abstractmethod
    def _send_secure_boot(self, enabled: bool) -> None: ...

    def power_on(self) -> None:
        """Power the server on, if it is off."""
        self._switch(PowerState.ON, "power on", self._send_power_on)

    def power_off(self) -> None:
        """Power the server off hard, if it is on."""
        self._switch(PowerState.OFF, "power off", self._send_power_off)

    def reset(self) -> None:
        """Reset a running server; power on one that is off."""
        patience = self._patience()
        if self._ask(patience, self.get_power_state) is PowerState.OFF:
            self.power_on()
        else:
            self._insist(patience, "reset", self._send_reset)
            self._await_power(PowerState.ON)

    def inject_nmi(self) -> None:
        """Interrupt the running system."""
        if self.get_power_state() is PowerState.OFF:
            raise BmcError(
                f"{self._name}: the server is off, and an NMI needs a running system",
                hint="Power the server on first.",
            )
        with self._doing("inject an NMI"):
            self._send_nmi()

    def check_virtual_media(self) -> None:
        """Raise ``BmcFeatureMissing`` unless the licence includes scripted virtual media."""
        license_type = self.product().license_type
        if _POOR_LICENSES.search(license_type):
            raise BmcFeatureMissing(
                f"{self._name}: its licence, {license_type!r}, does not include virtual media",
                hint="Install an iLO Advanced licence.",
            )

    def insert_media(self, device: Device, url: str) -> None:
        """Put an image into a drive, to be connected at the next start, for one boot.

        An image already there is ejected even when it is the same: its one boot may be over, and
        then the next start would eject it.
        """
        _check_image_url(url)
        patience = self._patience()
        self._eject(device, patience)
        self._insist(patience, f"insert an image in {device}", self._send_insert, device, url)
        # RIBCL keeps a URL's "&amp;" as it came on some iLOs.
        stored = html.unescape(url)
        self._confirm_media(
            device, lambda now: now.inserted and html.unescape(now.url) == stored, "this image"
        )
        if self._ask(patience, partial(self._knows_boot_once, device)):
            self._insist(patience, f"set {device} to boot once", self._send_boot_once, device)
            self._confirm_media(device, lambda now: now.boot_once, "boot once")

    def eject_media(self, device: Device) -> None:
        """Empty a drive; an empty one is left alone."""
        self._eject(device, self._patience())

    def set_one_time_boot(self, device: BootDevice) -> None:
        """Choose what the next start, and only that one, boots from."""
        _check_settable(device)
        self._insist(
            self._patience(),
            f"set the one-time boot device to {device}",
            self._send_one_time_boot,
            device,
        )
        self._confirm(self.get_one_time_boot, lambda now: now is device, f"one-time boot {device}")

    def set_persistent_boot(self, device: BootDevice) -> None:
        """Move a device to the front of the boot order."""
        _check_settable(device)
        self._insist(
            self._patience(),
            f"put {device} first in the boot order",
            self._send_persistent_boot,
            device,
        )
        self._confirm(
            self.get_persistent_boot, lambda now: now[:1] == [device], f"{device} first to boot"
        )

    def set_pending_boot_mode(self, mode: BootMode) -> None:
        """Choose the boot mode of the next start, unless it is that already."""
        patience = self._patience()
        if self._ask(patience, self.get_pending_boot_mode) is not mode:
            self._insist(patience, f"set the boot mode to {mode}", self._send_boot_mode, mode)
            self._confirm(self.get_pending_boot_mode, lambda now: now is mode, f"boot mode {mode}")

    def set_secure_boot(self, *, enabled: bool) -> None:
        """Switch Secure Boot on or off from the next start on, unless it is so already."""
        patience = self._patience()
        if self._ask(patience, self.get_secure_boot).pending is not enabled:
            what = f"Secure Boot {'on' if enabled else 'off'}"
            self._insist(patience, f"switch {what}", self._send_secure_boot, enabled)
            self._confirm(self.get_secure_boot, lambda now: now.pending is enabled, what)

    def _switch(self, state: PowerState, action: str, command: Callable[[], object]) -> None:
        patience = self._patience()
        if self._ask(patience, self.get_power_state) is not state:
            self._insist(patience, action, command)
            self._await_power(state)

    def _eject(self, device: Device, patience: Deadline) -> None:
        if self._ask(patience, partial(self.get_media_status, device)).inserted:
            self._insist(patience, f"eject {device}", self._send_eject, device)
            self._confirm_media(device, lambda now: not now.inserted, "an eject")

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
                f"shows {shown(seen)}",
                hint="Look into the iLO's event log, and reset the iLO if it persists.",
            )

    def _patience(self) -> Deadline:
        """Start the time for which one change puts up with refusals."""
        return Deadline(self._access.busy_timeout)

    def _insist(
        self, patience: Deadline, action: str, command: Callable[..., object], *args: object
    ) -> None:
        """Send a command again and again while the iLO is busy."""

        def send() -> None:
            with self._doing(action):
                command(*args)

        self._ask(patience, send)

    def _ask(self, patience: Deadline, question: Callable[[], T]) -> T:
        """Ask again and again while the iLO is busy."""
        for pause in pauses():
            try:
                return question()
            except BmcBusy as busy:
                if patience.passed:
                    raise self._give_up(busy) from None
                LOG.debug("%s Trying again.", busy.message)
                patience.sleep(pause)
        raise AssertionError  # pauses() never ends

    def _give_up(self, busy: BmcBusy) -> BmcBusy:
        return BmcBusy(
            f"{busy.message}, and did so for {self._access.busy_timeout:g} s",
            hint=f"{busy.hint} Where it takes longer than that, raise `busy_timeout` in [ilo].",
        )

    @contextmanager
    def _doing(self, action: str) -> Iterator[None]:
        """Translate errors; unless it is busy, another iLO may stand there now."""
        LOG.debug("%s: %s", self._name, action)
        try:
            with translated(self._name, action):
                yield
        except BmcBusy:
            raise
        except BmcError:
            KNOWN.forget(self._endpoint.authority)
            raise


def shown(value: object) -> str:
    """Write a reading into an error."""
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
