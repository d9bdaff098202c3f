"""The one door to an iLO: ``with connect(access) as server``, then use the ``Bmc``.

What can go wrong on the other side comes out as ``BmcError``'s subclasses, and nothing that leaves
here (errors, logs, reprs) holds a password or the URL of an image.
"""

from ironic_ilo.bmc.connecting import connect
from ironic_ilo.bmc.types import (
    Access,
    Bmc,
    BootDevice,
    BootMode,
    Device,
    MediaStatus,
    PowerState,
    Privilege,
    Product,
    SecureBoot,
    TlsVersion,
)

__all__ = [
    "Access",
    "Bmc",
    "BootDevice",
    "BootMode",
    "Device",
    "MediaStatus",
    "PowerState",
    "Privilege",
    "Product",
    "SecureBoot",
    "TlsVersion",
    "connect",
]
