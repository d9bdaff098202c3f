"""Makes the door to an iLO, whatever it speaks."""

from ironic_ilo.bmc.confirming import ConfirmingBmc
from ironic_ilo.bmc.detection import Protocol, identify
from ironic_ilo.bmc.errors import translated
from ironic_ilo.bmc.https import make_endpoint
from ironic_ilo.bmc.redfish import RedfishBmc
from ironic_ilo.bmc.ribcl import RibclBmc
from ironic_ilo.bmc.types import Access, Bmc

_DOORS: dict[Protocol, type[ConfirmingBmc]] = {
    Protocol.RIBCL: RibclBmc,
    Protocol.REDFISH: RedfishBmc,
}


def connect(access: Access) -> Bmc:
    """Make the door to an iLO, asking what it is unless that is known; no login yet.

    :raises InvalidInput: the CA file, the user name or the password cannot be used.
    :raises BmcUnreachable: what answers is no iLO, or nothing answers.
    """
    endpoint = make_endpoint(access)
    with translated(f"iLO {endpoint.authority}", "read what kind of iLO it is"):
        protocol = identify(endpoint).protocol
    return _DOORS[protocol](access, endpoint)
