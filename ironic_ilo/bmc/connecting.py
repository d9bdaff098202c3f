"""Makes the door to an iLO."""

from ironic_ilo.bmc.https import make_endpoint
from ironic_ilo.bmc.ribcl import RibclBmc
from ironic_ilo.bmc.types import Access, Bmc


def connect(access: Access) -> Bmc:
    """Make the door to an iLO. Nothing is sent yet.

    :raises InvalidInput: the CA file, the user name or the password cannot be used.
    """
    endpoint = make_endpoint(access)
    return RibclBmc(f"iLO {endpoint.authority}", access, endpoint)
