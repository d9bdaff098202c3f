"""Virtual media: emptied before filled, set to boot once, and read back."""

import dataclasses

import pytest

from ironic_ilo.bmc import Access, Device, MediaStatus, connect
from ironic_ilo.exception import BmcError, BmcFeatureMissing, BmcStateMismatch, InvalidInput
from tests.unit.bmc.scripted_ilo import ScriptedIlo, answer, answers, payload_of_media

URL = "http://192.0.2.1:8088/v1/signature/deploy.iso"
EMPTY = payload_of_media()
INSERTED = payload_of_media(inserted="YES", url=URL)
SET = payload_of_media(inserted="YES", url=URL, boot="BOOT_ONCE")
CUT_OFF = payload_of_media(inserted="YES", url=URL[:-4], boot="BOOT_ONCE")
OLD = payload_of_media(
    inserted="YES", applet="CONNECTED", boot="BOOT_ONCE", url="http://192.0.2.1/x/old.iso"
)


def test_a_drive_is_read(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_VM_STATUS", *answers([OLD]))
    status = connect(access).get_media_status(Device.FLOPPY)
    assert status == MediaStatus(True, True, True, "http://192.0.2.1/x/old.iso")
    assert 'DEVICE="FLOPPY"' in ilo.requests[0]


@pytest.mark.parametrize("device", list(Device))
def test_insert_into_an_empty_drive(ilo: ScriptedIlo, access: Access, device: Device):
    ilo.on("GET_VM_STATUS", *answers([EMPTY, INSERTED, SET]))
    ilo.on("INSERT_VIRTUAL_MEDIA", answer())
    ilo.on("SET_VM_STATUS", answer())
    connect(access).insert_media(device, URL)
    assert ilo.commands == [
        "GET_VM_STATUS",
        "INSERT_VIRTUAL_MEDIA",
        "GET_VM_STATUS",
        "SET_VM_STATUS",
        "GET_VM_STATUS",
    ]
    assert all(f'DEVICE="{device}"' in request for request in ilo.requests)
    assert f'IMAGE_URL="{URL}"' in ilo.requests[1]
    assert '<VM_BOOT_OPTION VALUE="BOOT_ONCE" />' in ilo.requests[3]
    assert '<VM_WRITE_PROTECT VALUE="YES" />' in ilo.requests[3]


def test_an_occupied_drive_is_emptied_first(ilo: ScriptedIlo, access: Access):
    # The iLO claims that the image is still there at first, as real ones do after an eject.
    ilo.on("GET_VM_STATUS", *answers([OLD, OLD, OLD, EMPTY, INSERTED, SET]))
    ilo.on("EJECT_VIRTUAL_MEDIA", answer())
    ilo.on("INSERT_VIRTUAL_MEDIA", answer())
    ilo.on("SET_VM_STATUS", answer())
    connect(access).insert_media(Device.CDROM, URL)
    changes = [command for command in ilo.commands if command != "GET_VM_STATUS"]
    assert changes == ["EJECT_VIRTUAL_MEDIA", "INSERT_VIRTUAL_MEDIA", "SET_VM_STATUS"]


def test_the_refusals_of_one_insert_share_one_deadline(ilo: ScriptedIlo, access: Access):
    busy = answer(status=1, message="The server is in POST.")
    ilo.on("GET_VM_STATUS", *answers([EMPTY, INSERTED, SET]))
    ilo.on("INSERT_VIRTUAL_MEDIA", busy, answer())
    ilo.on("SET_VM_STATUS", busy, answer())
    connect(access).insert_media(Device.CDROM, URL)
    assert ilo.commands.count("INSERT_VIRTUAL_MEDIA") == 2
    assert ilo.commands.count("SET_VM_STATUS") == 2


@pytest.mark.parametrize("stored", ["a=1&amp;b=2", "a=1&amp;amp;b=2"])
def test_a_url_stored_with_its_entities_is_the_same(ilo, access, stored):
    stored = f"http://192.0.2.1/x.iso?{stored}"
    ilo.on(
        "GET_VM_STATUS",
        *answers(
            [
                EMPTY,
                payload_of_media(inserted="YES", url=stored),
                payload_of_media(inserted="YES", url=stored, boot="BOOT_ONCE"),
            ]
        ),
    )
    ilo.on("INSERT_VIRTUAL_MEDIA", answer())
    ilo.on("SET_VM_STATUS", answer())
    connect(access).insert_media(Device.CDROM, "http://192.0.2.1/x.iso?a=1&b=2")
    assert 'IMAGE_URL="http://192.0.2.1/x.iso?a=1&amp;b=2"' in ilo.requests[1]


@pytest.mark.parametrize(
    "read_back",
    [
        pytest.param([EMPTY, EMPTY], id="not inserted"),
        pytest.param([EMPTY, SET.replace("YES", "NO")], id="url only"),
        pytest.param([EMPTY, CUT_OFF], id="url cut off"),
        pytest.param([EMPTY, INSERTED, INSERTED], id="no boot option"),
        pytest.param([OLD, OLD, OLD], id="not ejected"),
    ],
)
def test_an_ilo_that_lies_is_found_out(ilo: ScriptedIlo, access: Access, read_back):
    ilo.on("GET_VM_STATUS", *answers(read_back))
    for command in ("EJECT_VIRTUAL_MEDIA", "INSERT_VIRTUAL_MEDIA", "SET_VM_STATUS"):
        ilo.on(command, answer())
    with pytest.raises(
        BmcStateMismatch, match=r"in CDROM was accepted, but after 0\.3 s"
    ) as caught:
        connect(dataclasses.replace(access, change_timeout=0.3)).insert_media(Device.CDROM, URL)
    assert "http:" not in str(caught.value)


def test_a_long_url_arrives_whole(ilo: ScriptedIlo, access: Access):
    url = f"http://192.0.2.1/{'a' * 9000}/x.iso"
    ilo.on("GET_VM_STATUS", *answers([EMPTY, payload_of_media(inserted="YES", url=url)]))
    ilo.on("INSERT_VIRTUAL_MEDIA", answer())
    ilo.on("SET_VM_STATUS", answer(status=1, message="Enough."))
    with pytest.raises(BmcError, match="Enough"):
        connect(access).insert_media(Device.CDROM, url)
    assert f'IMAGE_URL="{url}"' in ilo.requests[1]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://192.0.2.1/x.iso",
        "http://",
        "http://192.0.2.1/a,helper.iso",
        "http://192.0.2.1/a b.iso",
        'http://192.0.2.1/a"b.iso',
        "http://192.0.2.1/ä.iso",
        "http://192.0.2.1/x.iso\n",
    ],
)
def test_a_url_that_an_ilo_cannot_store_is_refused_at_once(ilo, access, url):
    with pytest.raises(InvalidInput) as caught:
        connect(access).insert_media(Device.CDROM, url)
    assert "192.0.2.1" not in str(caught.value)
    assert ilo.commands == []


def test_eject(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_VM_STATUS", *answers([OLD, OLD, EMPTY]))
    ilo.on("EJECT_VIRTUAL_MEDIA", answer())
    connect(access).eject_media(Device.CDROM)
    assert ilo.commands.count("EJECT_VIRTUAL_MEDIA") == 1


def test_ejecting_an_empty_drive_does_nothing(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_VM_STATUS", *answers([EMPTY]))
    connect(access).eject_media(Device.CDROM)
    assert ilo.commands == ["GET_VM_STATUS"]


def test_a_drive_emptied_by_someone_else_meanwhile_is_fine(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_VM_STATUS", *answers([OLD, OLD, EMPTY]))
    no_image = answer(status=0x0039, message="No image present in the Virtual Media drive")
    ilo.on("EJECT_VIRTUAL_MEDIA", no_image)
    connect(access).eject_media(Device.CDROM)


@pytest.mark.parametrize(
    ("status", "message"),
    [(0x002E, "License key error"), (0x0001, "This feature requires an iLO Advanced license.")],
)
def test_an_insert_without_a_licence(ilo: ScriptedIlo, access: Access, status, message):
    ilo.on("GET_VM_STATUS", *answers([EMPTY]))
    ilo.on("INSERT_VIRTUAL_MEDIA", answer(status=status, message=message))
    with pytest.raises(BmcFeatureMissing, match="Install an iLO Advanced licence"):
        connect(access).insert_media(Device.CDROM, URL)
