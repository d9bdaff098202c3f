"""What the server is made of: the smallest answers that both third-party clients can read."""

import base64

from ilo_emulator import hardware
from ilo_emulator.config import ServerConfig
from ilo_emulator.ribcl.reply import tag, value


def embedded_health(server: ServerConfig, *, powered: bool) -> str:
    """Write GET_EMBEDDED_HEALTH_DATA: sensors that are well, and the parts of the machine.

    Of a server that is off, an iLO 4 may not know the memory.
    """
    return tag(
        "GET_EMBEDDED_HEALTH_DATA",
        *_sensors(),
        *_parts(server, powered=powered),
        _firmware(server),
        # python-hpilo fails unless there are two different tags here.
        tag("HEALTH_AT_A_GLANCE", tag("FANS", STATUS="OK"), tag("TEMPERATURE", STATUS="OK")),
    )


def host_data(server: ServerConfig) -> str:
    """Write GET_HOST_DATA: the SMBIOS records of the BIOS (type 0) and the system (type 1)."""
    bios = {"Subject": "BIOS Information", "Family": server.profile.rom_version}
    system = {
        "Subject": "System Information",
        "Product Name": server.profile.model,
        "Serial Number": server.serial_number.ljust(16),
        "UUID": server.serial_number.ljust(16),
        "cUUID": str(server.uuid).upper(),
    }
    return tag("GET_HOST_DATA", _smbios(0, bios), _smbios(1, system))


def _smbios(kind: int, fields: dict[str, str]) -> str:
    decoded = [tag("FIELD", NAME=name, VALUE=content) for name, content in fields.items()]
    raw = base64.b64encode(bytes([kind])).decode()
    return tag("SMBIOS_RECORD", *decoded, TYPE=kind, B64_DATA=raw)


def _sensors() -> list[str]:
    fan = tag(
        "FAN",
        value("ZONE", "System"),
        value("LABEL", "Fan 1"),
        value("STATUS", "OK"),
        value("SPEED", 20, UNIT="Percentage"),
    )
    inlet = tag(
        "TEMP",
        value("LABEL", "01-Inlet Ambient"),
        value("LOCATION", "Ambient"),
        value("STATUS", "OK"),
        value("CURRENTREADING", 21, UNIT="Celsius"),
    )
    supply = tag("SUPPLY", value("LABEL", "Power Supply 1"), value("STATUS", "Good, In Use"))
    return [tag("FANS", fan), tag("TEMPERATURE", inlet), tag("POWER_SUPPLIES", supply)]


def _parts(server: ServerConfig, *, powered: bool) -> list[str]:
    parts = hardware.of(server)
    cpus, memory, disk = parts.cpus, parts.memory_mib // 1024, parts.disks_gib[0]
    processor = tag(
        "PROCESSOR",
        value("LABEL", "Proc 1"),
        value("STATUS", "OK"),
        value("EXECUTION_TECHNOLOGY", f"{cpus}/{cpus} cores; {cpus} threads"),
    )
    nic = tag(
        "NIC",
        value("NETWORK_PORT", "Port 1"),
        value("LOCATION", "Embedded"),
        value("MAC_ADDRESS", parts.mac),
    )
    drive = tag("LOGICAL_DRIVE", value("LABEL", "01"), value("CAPACITY", f"{disk} GB"))
    summary = tag("CPU_1", value("TOTAL_MEMORY_SIZE", f"{memory} GB" if powered else "N/A"))
    return [
        tag("PROCESSORS", processor),
        tag("MEMORY", tag("MEMORY_DETAILS_SUMMARY", summary)),
        tag("NIC_INFORMATION", nic),
        tag("STORAGE", tag("CONTROLLER", value("LABEL", "Controller on System Board"), drive)),
    ]


def _firmware(server: ServerConfig) -> str:
    profile = server.profile
    ilo_version = f"{profile.firmware_version} {profile.firmware_date}"
    named = {"HP ProLiant System ROM": profile.rom_version, "iLO": ilo_version}
    entries = [
        tag(f"INDEX_{n}", value("FIRMWARE_NAME", name), value("FIRMWARE_VERSION", version))
        for n, (name, version) in enumerate(named.items(), 1)
    ]
    return tag("FIRMWARE_INFORMATION", *entries)
