"""Makes the door to an iLO."""

from ironic_ilo.bmc.https import Endpoint, make_context
from ironic_ilo.bmc.ribcl import RibclBmc
from ironic_ilo.bmc.types import Access, Bmc


def connect(access: Access) -> Bmc:
    """Make the door to an iLO. Nothing is sent yet.

    :raises InvalidInput: the CA file, the user name or the password cannot be used.
    """
    host = f"[{access.address}]" if ":" in access.address else access.address
    name = f"iLO {host}:{access.port}"
    endpoint = Endpoint(
        access.address, access.port, make_context(access.verify_ca), access.timeout
    )
    return RibclBmc(name, access, endpoint)
