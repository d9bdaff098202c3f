"""The discovery document that an iLO shows to everyone, ``/xmldata``."""

from xml.sax.saxutils import escape

from ilo_emulator.ilo import Ilo
from ilo_emulator.ribcl.reply import tag


def _leaf(name: str, content: object) -> str:
    return f"<{name}>{escape(str(content))}</{name}>"


def everything(ilo: Ilo) -> str:
    """Write ``item=all``: the host (HSI) and the management processor (MP)."""
    server, profile = ilo.server, ilo.profile
    host = tag(
        "HSI",
        _leaf("SBSN", server.serial_number),
        _leaf("SPN", profile.model),
        _leaf("UUID", server.serial_number),
        _leaf("SP", 1),
        _leaf("cUUID", str(server.uuid).upper()),
    )
    processor = tag(
        "MP",
        _leaf("ST", 1),
        _leaf("PN", profile.processor_title),
        _leaf("FWRI", profile.firmware_version),
        _leaf("BBLK", ""),
        _leaf("HWRI", "ASIC: 16"),
        _leaf("SN", f"ILO{server.serial_number}"),
        _leaf("UUID", f"ILO{server.serial_number}"),
        _leaf("IPM", 1),
        _leaf("SSO", 0),
        _leaf("PWRM", "3.3"),
    )
    return f'<?xml version="1.0"?>\r\n{tag("RIMP", host, processor)}\r\n'


def license_key(ilo: Ilo) -> str:
    """Write ``item=cpqkey``: the licence."""
    facts = [_leaf("LNAME", ilo.license_type), _leaf("LSTATUS", 3), _leaf("LCLASS", 1)]
    return f'<?xml version="1.0"?>\r\n{tag("PROLIANTKEY", *facts)}\r\n'
