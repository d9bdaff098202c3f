"""What answers, and what its licence includes."""

import pytest

from ironic_ilo.bmc import Access, Product, connect
from ironic_ilo.exception import BmcFeatureMissing
from tests.unit.bmc.scripted_ilo import ScriptedIlo, answer

NAME = '<GET_PRODUCT_NAME><PRODUCT_NAME VALUE="ProLiant DL380p Gen8"/></GET_PRODUCT_NAME>'


def script_license(ilo: ScriptedIlo, license_type: str) -> None:
    ilo.on("GET_PRODUCT_NAME", answer(NAME))
    ilo.on(
        "GET_FW_VERSION",
        answer(
            '<GET_FW_VERSION FIRMWARE_VERSION="2.55" FIRMWARE_DATE="Aug 16 2017" '
            f'MANAGEMENT_PROCESSOR="iLO4" LICENSE_TYPE="{license_type}"/>'
        ),
    )


def test_product(ilo: ScriptedIlo, access: Access):
    script_license(ilo, "iLO 4 Advanced")
    assert connect(access).product() == Product(
        "ProLiant DL380p Gen8", "iLO 4", "2.55", "iLO 4 Advanced"
    )


@pytest.mark.parametrize(
    "license_type",
    ["iLO 4 Advanced", "iLO Advanced for BladeSystem", "iLO Scale-Out", "a name not known yet"],
)
def test_licences_with_virtual_media(ilo: ScriptedIlo, access: Access, license_type):
    script_license(ilo, license_type)
    connect(access).check_virtual_media()


@pytest.mark.parametrize(
    "license_type", ["iLO 4 Standard", "iLO Standard Blade Edition", "iLO 4 Essentials"]
)
def test_licences_without_virtual_media(ilo: ScriptedIlo, access: Access, license_type):
    script_license(ilo, license_type)
    with pytest.raises(BmcFeatureMissing) as caught:
        connect(access).check_virtual_media()
    assert str(caught.value) == (
        f"iLO 127.0.0.1:{ilo.port}: its licence, '{license_type}', does not include virtual "
        "media. Install an iLO Advanced licence."
    )
