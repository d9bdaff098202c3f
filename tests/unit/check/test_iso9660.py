"""ISOs, whole and broken."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_ilo.check.deploy_iso import judge_iso
from ironic_ilo.check.findings import Status
from ironic_ilo.check.iso9660 import Iso, read_iso
from ironic_ilo.exception import ImageError
from tests.isos import BIOS, UEFI, make_iso

SECTOR = 2048


def reader(content):
    return lambda offset, count: content[offset : offset + count]


@pytest.mark.parametrize("platforms", [(BIOS,), (UEFI,), (BIOS, UEFI)])
def test_what_boots_it(tmp_path, platforms):
    content = make_iso(tmp_path / "boot.iso", *platforms).read_bytes()
    iso = read_iso(reader(content))
    assert iso.boots == platforms
    # xorriso pads the file behind the volume's end.
    assert 0 < iso.size <= len(content)


def test_one_that_does_not_boot(tmp_path):
    content = make_iso(tmp_path / "data.iso").read_bytes()
    with pytest.raises(ImageError, match="does not boot"):
        read_iso(reader(content))


def test_one_that_is_cut_off(tmp_path):
    content = make_iso(tmp_path / "boot.iso", BIOS, UEFI).read_bytes()
    size = read_iso(reader(content)).size
    with pytest.raises(ImageError, match=f"cut off.*{size}"):
        read_iso(reader(content[: size - SECTOR]))


def test_one_whose_boot_catalog_is_zeros(tmp_path):
    content = bytearray(make_iso(tmp_path / "boot.iso", BIOS).read_bytes())
    catalog = int.from_bytes(content[17 * SECTOR + 71 : 17 * SECTOR + 75], "little") * SECTOR
    content[catalog : catalog + SECTOR] = bytes(SECTOR)
    with pytest.raises(ImageError, match="empty catalog"):
        read_iso(reader(bytes(content)))


@pytest.mark.parametrize("content", [b"", b"<html>", bytes(64 * SECTOR)])
def test_what_is_no_iso(content):
    with pytest.raises(ImageError, match="no ISO 9660"):
        read_iso(reader(content))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_iso(tmp_path_factory.mktemp("iso") / "boot.iso", BIOS, UEFI).read_bytes()


@settings(max_examples=50, deadline=None)
@given(changes=st.dictionaries(st.integers(16 * SECTOR, 20 * SECTOR), st.integers(0, 255)))
def test_anything_hostile_is_an_image_error_or_an_iso(whole, changes):
    content = bytearray(whole)
    for at, value in changes.items():
        content[at] = value
    try:
        assert read_iso(reader(bytes(content))).boots
    except ImageError as error:
        assert error.message


def test_judging_names_the_servers_that_do_not_boot_it():
    assert judge_iso(Iso(17 * 1024**2, (BIOS, UEFI)), "x").status is Status.OK
    verdict = judge_iso(Iso(17 * 1024**2, (BIOS,)), "x")
    assert verdict.status is Status.WARNING
    assert "UEFI" in verdict.hint
