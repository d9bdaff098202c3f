"""What a ramdisk tells of its disks is checked before it is kept."""

import json

import pytest

from ironic_ilo.exception import InvalidInput
from ironic_ilo.local_disks import LocalDisk, read_disks
from tests.unit.nodes import DISK


def test_disks_are_taken_as_they_are():
    told = [DISK, DISK | {"lun": 255, "sector_size": 4096, "vendor": "", "rotational": False}]
    assert read_disks(told) == tuple(told)
    assert read_disks(json.dumps(told)) == tuple(told)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"lun": 0}, "lun"),
        ({"lun": 256}, "lun"),
        ({"lun": True}, "lun"),
        ({"lun": "1"}, "lun"),
        ({"size": 0}, "size"),
        ({"size": -512}, "size"),
        ({"size": 513}, "size"),
        ({"size": 2.0**40}, "size"),
        ({"size": 2**64}, "size"),
        ({"sector_size": 520}, "sector_size"),
        ({"sector_size": 0}, "sector_size"),
        ({"sector_size": 2**40}, "sector_size"),
        ({"model": None}, "model"),
        ({"model": ["a"]}, "model"),
        ({"model": "a" * 257}, "model"),
        ({"serial": "a\nb"}, "serial"),
        ({"serial": "\x1b[31m"}, "serial"),
        ({"vendor": "\u202e"}, "vendor"),
        ({"rotational": 1}, "rotational"),
        ({"uuid": ""}, "lun, size"),
    ],
)
def test_malformed_field_is_named_and_not_shown(changes, named):
    with pytest.raises(InvalidInput, match=rf"disks\[1\].*{named}") as caught:
        read_disks([DISK, DISK | {"lun": 2} | changes])
    assert "\x1b" not in str(caught.value)


def test_every_field_is_needed():
    for name in DISK:
        with pytest.raises(InvalidInput, match=r"disks\[0\] is no object"):
            read_disks([{key: value for key, value in DISK.items() if key != name}])


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("[", "not JSON"),
        ("[NaN]", "no object"),
        ({"lun": 1}, "not a list"),
        (5, "not a list"),
        ([None], "no object"),
        ([DISK, DISK], "the same lun"),
        ([DISK | {"lun": lun, "model": "m" * 256} for lun in range(1, 200)], "characters"),
        ("[" * 20_000, "not JSON"),
    ],
)
def test_other_things_are_refused(told, reason):
    with pytest.raises(InvalidInput, match=reason):
        read_disks(told)


def test_is_shown_in_a_few_words():
    assert str(LocalDisk(**DISK)) == (
        "/dev/sda (447.13 GiB, HP LOGICAL VOLUME, serial 600508b1001c1045b2f93a5d6e7f8091)"
    )
