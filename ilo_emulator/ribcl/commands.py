"""What each RIBCL command does, and its reply."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ilo_emulator import state
from ilo_emulator.firmware import BootMode
from ilo_emulator.ilo import Ilo
from ilo_emulator.ribcl import boot_order
from ilo_emulator.ribcl.inventory import embedded_health, host_data
from ilo_emulator.ribcl.reply import DONE, Document, tag, value
from ilo_emulator.ribcl.request import Command

Handler = Callable[[Ilo, Command], Awaitable[Document]]

# Numbers of the guide and of python-hpilo. Those for a missing licence, an occupied drive and a
# server in POST are documented nowhere: clients must not lean on them.
_STATUS: dict[type[state.Refusal], int] = {
    state.NoMedium: 0x0039,
    state.DriveOccupied: 0x0038,
    state.InvalidValue: 0x0035,
    state.LicenseMissing: 0x002E,
    state.PostInProgress: 0x003D,
    state.NotInLegacyMode: 0x003C,
    state.ServerIsOff: 0x0058,
    state.MachineFailed: 0x0003,
}
_BOOT_MODE_COMMANDS = frozenset(
    {"GET_CURRENT_BOOT_MODE", "GET_PENDING_BOOT_MODE", "SET_PENDING_BOOT_MODE"}
    | {"GET_SUPPORTED_BOOT_MODE"}
)


_PRIVILEGES = {"RIB_INFO": "VIRTUAL_MEDIA_PRIV", "SERVER_INFO": "RESET_SERVER_PRIV"}


class SyntaxProblem(Exception):
    """The iLO does not know the tag; it reads no further."""


@dataclass(frozen=True)
class _Entry:
    block: str
    write: bool
    handler: Handler


_COMMANDS: dict[str, _Entry] = {}


async def execute(ilo: Ilo, command: Command) -> Document:
    """Carry out a command.

    :raises SyntaxProblem: this iLO has no such command, or not in this block.
    """
    ilo.record(command.name)
    if command.name in _BOOT_MODE_COMMANDS and not ilo.profile.has_boot_modes:
        return Document(0x003C, f"Feature not supported - {command.name}")
    entry = _COMMANDS.get(command.name)
    if entry is None or entry.block != command.block:
        raise SyntaxProblem(command.name)
    if entry.write and not command.write:
        kind = "RIB" if entry.block == "RIB_INFO" else "Server"
        text = f"{kind} information is open for read-only access."
        return Document(0x0007, f"{text} Write access is required for this operation.")
    if entry.write and ilo.faults.no_privileges:
        needed = _PRIVILEGES[entry.block]
        text = f"User does NOT have correct privilege for action. {needed} required."
        return Document(0x0023, text)
    try:
        return await entry.handler(ilo, command)
    except state.Refusal as refusal:
        return Document(_STATUS[type(refusal)], str(refusal))


def _command(name: str, block: str, *, write: bool = False) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _COMMANDS[name] = _Entry(block, write, handler)
        return handler

    return register


def _device(command: Command) -> state.Device:
    name = (command.attribute("DEVICE") or "FLOPPY").upper()
    if name not in state.Device.__members__:
        raise state.InvalidValue("An invalid Virtual Media option has been given.")
    return state.Device(name)


@_command("GET_FW_VERSION", "RIB_INFO")
async def _get_fw_version(ilo: Ilo, _command: Command) -> Document:
    payload = tag(
        "GET_FW_VERSION",
        FIRMWARE_VERSION=ilo.profile.firmware_version,
        FIRMWARE_DATE=ilo.profile.firmware_date,
        MANAGEMENT_PROCESSOR=ilo.profile.management_processor,
        LICENSE_TYPE=ilo.license_type,
    )
    return Document(payload=payload)


@_command("GET_ALL_LICENSES", "RIB_INFO")
async def _get_all_licenses(ilo: Ilo, _command: Command) -> Document:
    facts = tag(
        "LICENSE",
        value("LICENSE_TYPE", ilo.license_type),
        value("LICENSE_KEY", "XXXXX-XXXXX-XXXXX-XXXXX-EMULA"),
        value("LICENSE_INSTALL_DATE", "Thu Jan 01 00:00:00 1970"),
        value("LICENSE_CLASS", "FQL"),
    )
    return Document(payload=tag("GET_ALL_LICENSES", facts))


@_command("GET_VM_STATUS", "RIB_INFO")
async def _get_vm_status(ilo: Ilo, command: Command) -> Document:
    device = _device(command)
    drive = ilo.shown_drive(device)
    payload = tag(
        "GET_VM_STATUS",
        VM_APPLET="CONNECTED" if drive.connected else "DISCONNECTED",
        DEVICE=device,
        BOOT_OPTION=drive.boot_option,
        WRITE_PROTECT="YES" if drive.write_protect else "NO",
        IMAGE_INSERTED="YES" if drive.url is not None else "NO",
        IMAGE_URL=drive.url or "",
    )
    return Document(payload=payload)


@_command("INSERT_VIRTUAL_MEDIA", "RIB_INFO", write=True)
async def _insert_virtual_media(ilo: Ilo, command: Command) -> Document:
    await ilo.insert(_device(command), command.attribute("IMAGE_URL") or "")
    return DONE


@_command("EJECT_VIRTUAL_MEDIA", "RIB_INFO", write=True)
async def _eject_virtual_media(ilo: Ilo, command: Command) -> Document:
    await ilo.eject(_device(command))
    return DONE


@_command("SET_VM_STATUS", "RIB_INFO", write=True)
async def _set_vm_status(ilo: Ilo, command: Command) -> Document:
    option = (command.child_values("VM_BOOT_OPTION") or [""])[0].upper()
    protect = (command.child_values("VM_WRITE_PROTECT") or [""])[0].upper()
    protected = {"YES": True, "Y": True, "NO": False, "N": False}.get(protect)
    await ilo.set_drive(_device(command), option, protected=protected)
    return DONE


@_command("RESET_RIB", "RIB_INFO", write=True)
async def _reset_rib(_ilo: Ilo, _command: Command) -> Document:
    text = "Integrated Lights-Out will reset at the end of the script."
    return Document(payload=tag("INFORM", text))


@_command("GET_PRODUCT_NAME", "SERVER_INFO")
async def _get_product_name(ilo: Ilo, _command: Command) -> Document:
    payload = tag("GET_PRODUCT_NAME", value("PRODUCT_NAME", ilo.profile.model))
    return Document(payload=payload)


@_command("GET_SERVER_NAME", "SERVER_INFO")
async def _get_server_name(ilo: Ilo, _command: Command) -> Document:
    return Document(payload=value("SERVER_NAME", ilo.server.name))


@_command("GET_ASSET_TAG", "SERVER_INFO")
async def _get_asset_tag(_ilo: Ilo, _command: Command) -> Document:
    return Document(message="No Asset Tag Information.")


@_command("GET_UID_STATUS", "SERVER_INFO")
async def _get_uid_status(ilo: Ilo, _command: Command) -> Document:
    return Document(payload=tag("GET_UID_STATUS", UID="ON" if ilo.uid_light else "OFF"))


@_command("UID_CONTROL", "SERVER_INFO", write=True)
async def _uid_control(ilo: Ilo, command: Command) -> Document:
    ilo.uid_light = _yes(command, "UID")
    return DONE


@_command("GET_HOST_POWER_STATUS", "SERVER_INFO")
async def _get_host_power_status(ilo: Ilo, _command: Command) -> Document:
    return Document(payload=tag("GET_HOST_POWER", HOST_POWER="ON" if ilo.is_on else "OFF"))


@_command("SET_HOST_POWER", "SERVER_INFO", write=True)
async def _set_host_power(ilo: Ilo, command: Command) -> Document:
    if _yes(command, "HOST_POWER"):
        was_off = await ilo.power_on()
        return DONE if was_off else Document(message="Host power is already ON.")
    if not ilo.is_on:
        return Document(message="Host power is already OFF.")
    await ilo.press_power_button()
    return DONE


@_command("PRESS_PWR_BTN", "SERVER_INFO", write=True)
async def _press_pwr_btn(ilo: Ilo, _command: Command) -> Document:
    await ilo.press_power_button()
    return DONE


@_command("HOLD_PWR_BTN", "SERVER_INFO", write=True)
async def _hold_pwr_btn(ilo: Ilo, command: Command) -> Document:
    if await ilo.hold_power_button():
        return DONE
    if command.attribute("TOGGLE") is not None and _yes(command, "TOGGLE"):
        await ilo.power_on()
        return DONE
    return Document(message="Host power is already OFF.")


@_command("RESET_SERVER", "SERVER_INFO", write=True)
async def _reset_server(ilo: Ilo, _command: Command) -> Document:
    await ilo.reset()
    return Document(message="Server being reset.")


@_command("WARM_BOOT_SERVER", "SERVER_INFO", write=True)
async def _warm_boot_server(ilo: Ilo, _command: Command) -> Document:
    await ilo.reset()
    return DONE


@_command("COLD_BOOT_SERVER", "SERVER_INFO", write=True)
async def _cold_boot_server(ilo: Ilo, _command: Command) -> Document:
    await ilo.cold_boot()
    return DONE


@_command("GET_ONE_TIME_BOOT", "SERVER_INFO")
async def _get_one_time_boot(ilo: Ilo, _command: Command) -> Document:
    chosen = ilo.state.one_time_boot
    return Document(payload=tag("ONE_TIME_BOOT", value("BOOT_TYPE", chosen or "Normal")))


@_command("SET_ONE_TIME_BOOT", "SERVER_INFO", write=True)
async def _set_one_time_boot(ilo: Ilo, command: Command) -> Document:
    name = command.attribute("VALUE") or ""
    await ilo.set_one_time_boot(
        None if name.upper() == "NORMAL" else boot_order.device(ilo.state, name)
    )
    return DONE


@_command("GET_PERSISTENT_BOOT", "SERVER_INFO")
async def _get_persistent_boot(ilo: Ilo, _command: Command) -> Document:
    return Document(payload=tag("PERSISTENT_BOOT", *boot_order.entries(ilo.state)))


@_command("SET_PERSISTENT_BOOT", "SERVER_INFO", write=True)
async def _set_persistent_boot(ilo: Ilo, command: Command) -> Document:
    names = command.child_values("DEVICE")
    await ilo.set_boot_order([boot_order.device(ilo.state, name) for name in names])
    return DONE


@_command("GET_SUPPORTED_BOOT_MODE", "SERVER_INFO")
async def _get_supported_boot_mode(ilo: Ilo, _command: Command) -> Document:
    both = len(ilo.profile.boot_modes) > 1
    supported = value("SUPPORTED_BOOT_MODE", "LEGACY_UEFI" if both else "UEFI_ONLY")
    return Document(payload=tag("GET_SUPPORTED_BOOT_MODE", supported))


@_command("GET_CURRENT_BOOT_MODE", "SERVER_INFO")
async def _get_current_boot_mode(ilo: Ilo, _command: Command) -> Document:
    current = value("BOOT_MODE", ilo.state.firmware.current.boot_mode)
    return Document(payload=tag("GET_CURRENT_BOOT_MODE", current))


@_command("GET_PENDING_BOOT_MODE", "SERVER_INFO")
async def _get_pending_boot_mode(ilo: Ilo, _command: Command) -> Document:
    pending = value("BOOT_MODE", ilo.state.firmware.pending_boot_mode)
    return Document(payload=tag("GET_PENDING_BOOT_MODE", pending))


@_command("SET_PENDING_BOOT_MODE", "SERVER_INFO", write=True)
async def _set_pending_boot_mode(ilo: Ilo, command: Command) -> Document:
    name = (command.attribute("VALUE") or "").upper()
    if name not in BootMode.__members__:
        raise state.InvalidValue(f"The boot mode {name!r} is not known.")
    await ilo.set_boot_mode(BootMode(name))
    return DONE


@_command("GET_EMBEDDED_HEALTH", "SERVER_INFO")
async def _get_embedded_health(ilo: Ilo, _command: Command) -> Document:
    return Document(payload=embedded_health(ilo.server, powered=ilo.is_on))


@_command("GET_HOST_DATA", "SERVER_INFO")
async def _get_host_data(ilo: Ilo, _command: Command) -> Document:
    return Document(payload=host_data(ilo.server))


@_command("GET_USER", "USER_INFO")
async def _get_user(ilo: Ilo, command: Command) -> Document:
    username = ilo.server.username
    if command.attribute("USER_LOGIN") != username:
        return Document(0x000A, "User login name was not found")
    names = ("ADMIN", "REMOTE_CONS", "RESET_SERVER", "VIRTUAL_MEDIA", "CONFIG_ILO")
    has = "N" if ilo.faults.no_privileges else "Y"
    privileges = {f"{name}_PRIV": has for name in names}
    return Document(payload=tag("GET_USER", USER_NAME=username, USER_LOGIN=username, **privileges))


def _yes(command: Command, name: str) -> bool:
    answer = (command.attribute(name) or "").upper()
    if answer not in ("YES", "Y", "NO", "N"):
        raise state.InvalidValue(f"{name} must be Yes or No.")
    return answer in ("YES", "Y")
