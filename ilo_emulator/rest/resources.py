"""What is behind each path: a document to read, and for some a way to change it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ilo_emulator.firmware import BootMode, Keys
from ilo_emulator.ilo import Ilo
from ilo_emulator.state import InvalidValue

ROOT = "/rest/v1"
SESSIONS = f"{ROOT}/Sessions"
_SYSTEM = f"{ROOT}/Systems/1"
_SECURE_BOOT = f"{_SYSTEM}/SecureBoot"
_BIOS = f"{ROOT}/systems/1/bios"
_BIOS_SETTINGS = f"{_BIOS}/Settings"
_MODE_NAMES = {BootMode.LEGACY: "LegacyBios", BootMode.UEFI: "Uefi"}
# One client writes "uefi" where the service itself says "Uefi".
_MODES = {name.lower(): mode for mode, name in _MODE_NAMES.items()}
# It boots in both modes.
_UEFI_CLASS = 2

Document = dict[str, Any]
Change = Callable[[Ilo, Any], Awaitable[None]]


class UnknownProperty(Exception):
    """A property that cannot be written; the text is its name."""


@dataclass(frozen=True)
class Resource:
    """One resource.

    :ivar changes: what writing a property does, by its name; empty for one that is only read.
    :ivar actions: what POST does, by the name of the action.
    """

    read: Callable[[Ilo], Document]
    changes: Mapping[str, Change]
    actions: Mapping[str, Change] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of the ``Allow`` header, in which clients look for PATCH."""
        return ("GET", *["PATCH"] * bool(self.changes), *["POST"] * bool(self.actions))

    async def patch(self, ilo: Ilo, values: Mapping[str, Any]) -> None:
        """Write properties.

        :raises UnknownProperty: one cannot be written; then none is.
        """
        for name in values:
            if name not in self.changes:
                raise UnknownProperty(name)
        for name, value in values.items():
            await self.changes[name](ilo, value)

    async def act(self, ilo: Ilo, body: Mapping[str, Any]) -> None:
        """Carry out an action, in the form that iLO 4's older clients use.

        :raises UnknownProperty: there is no such action.
        """
        action = self.actions.get(str(body.get("Action")))
        if action is None:
            raise UnknownProperty("Action")
        await action(ilo, body)


def find(path: str) -> Resource | None:
    """Find a resource; letter case and a slash at the end do not matter."""
    return _RESOURCES.get(path.rstrip("/").lower())


def _document(kind: str, path: str, **facts: Any) -> Document:
    links = {"self": {"href": path}, **facts.pop("links", {})}
    return {"Type": kind, "@odata.id": path, **facts, "links": links}


def _root(_ilo: Ilo) -> Document:
    links = {"Systems": {"href": f"{ROOT}/Systems"}, "Sessions": {"href": SESSIONS}}
    return _document("ServiceRoot.0.9.5", ROOT, Name="HP RESTful Root Service", links=links)


def _systems(_ilo: Ilo) -> Document:
    links = {"Member": [{"href": _SYSTEM}]}
    return _document("Collection.0.9.5", f"{ROOT}/Systems", Total=1, links=links)


def _system(ilo: Ilo) -> Document:
    power = "On" if ilo.is_on else "Off"
    links = {"BIOS": {"href": _BIOS}, "SecureBoot": {"href": _SECURE_BOOT}}
    hp = {"Type": "HpComputerSystemExt.0.10.1", "Bios": {"UefiClass": _UEFI_CLASS}, "links": links}
    return _document(
        "ComputerSystem.0.9.6",
        _SYSTEM,
        Model=ilo.profile.model,
        SerialNumber=ilo.server.serial_number,
        UUID=str(ilo.server.uuid).upper(),
        Power=power,
        PowerState=power,
        Oem={"Hp": hp},
    )


def _secure_boot(ilo: Ilo) -> Document:
    firmware = ilo.state.firmware
    return _document(
        "HpSecureBoot.0.9.5",
        _SECURE_BOOT,
        SecureBootCurrentState=firmware.current.secure_boot,
        SecureBootEnable=firmware.secure_boot_enable,
        ResetToDefaultKeys=False,
        ResetAllKeys=False,
    )


def _bios(ilo: Ilo) -> Document:
    links = {"Settings": {"href": _BIOS_SETTINGS}}
    return _bios_document(ilo, _BIOS, ilo.state.firmware.current.boot_mode, links)


def _bios_settings(ilo: Ilo) -> Document:
    return _bios_document(ilo, _BIOS_SETTINGS, ilo.state.firmware.pending_boot_mode, {})


def _bios_document(ilo: Ilo, path: str, mode: BootMode, links: Document) -> Document:
    return _document(
        "HpBios.1.1.0",
        path,
        BootMode=_MODE_NAMES[mode],
        UefiOptimizedBoot="Enabled" if mode is BootMode.UEFI else "Disabled",
        CustomPostMessage=ilo.state.firmware.post_message,
        links=links,
    )


async def _set_boot_mode(ilo: Ilo, value: Any) -> None:
    mode = _MODES.get(str(value).lower())
    if mode is None:
        raise InvalidValue("BootMode")
    await ilo.set_boot_mode(mode)


async def _set_optimized_boot(_ilo: Ilo, value: Any) -> None:
    # It follows the boot mode here, as in every sensible setting.
    if value not in ("Enabled", "Disabled"):
        raise InvalidValue("UefiOptimizedBoot")


async def _set_post_message(ilo: Ilo, value: Any) -> None:
    if not isinstance(value, str):
        raise InvalidValue("CustomPostMessage")
    ilo.state.firmware.post_message = value


async def _set_secure_boot(ilo: Ilo, value: Any) -> None:
    if not isinstance(value, bool):
        raise InvalidValue("SecureBootEnable")
    await ilo.set_secure_boot(enable=value)


_RESETS: Mapping[str, Callable[[Ilo], Awaitable[object]]] = {
    "On": Ilo.power_on,
    "ForceOff": Ilo.hold_power_button,
    "ForceRestart": Ilo.reset,
    "Nmi": Ilo.inject_nmi,
    "PushPowerButton": Ilo.press_power_button,
}


async def _reset(ilo: Ilo, body: Any) -> None:
    reset = _RESETS.get(str(body.get("ResetType")))
    if reset is None:
        raise InvalidValue("ResetType")
    await reset(ilo)


def _set_keys(keys: Keys) -> Change:
    async def change(ilo: Ilo, value: Any) -> None:
        if value is True:
            await ilo.set_keys(keys)

    return change


_RESOURCES = {
    path.lower(): resource
    for path, resource in {
        ROOT: Resource(_root, {}),
        f"{ROOT}/Systems": Resource(_systems, {}),
        _SYSTEM: Resource(_system, {}, {"Reset": _reset}),
        _SECURE_BOOT: Resource(
            _secure_boot,
            {
                "SecureBootEnable": _set_secure_boot,
                "ResetToDefaultKeys": _set_keys(Keys.FACTORY),
                "ResetAllKeys": _set_keys(Keys.NONE),
            },
        ),
        _BIOS: Resource(_bios, {}),
        _BIOS_SETTINGS: Resource(
            _bios_settings,
            {
                "BootMode": _set_boot_mode,
                "UefiOptimizedBoot": _set_optimized_boot,
                "CustomPostMessage": _set_post_message,
            },
        ),
    }.items()
}
