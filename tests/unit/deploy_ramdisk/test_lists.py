"""Reading the lists that people edit."""

import pytest

from deploy_ramdisk.lists import read_names
from ironic_ilo.exception import InvalidInput


def test_lists_may_have_comments_and_several_names_a_line():
    assert read_names("# Storage\nhpsa smartpqi # Gen8 to Gen11\n\nusb-storage\n") == (
        "hpsa",
        "smartpqi",
        "usb-storage",
    )


def test_a_list_that_has_a_name_twice_is_refused():
    with pytest.raises(InvalidInput, match="tg3"):
        read_names("tg3 hpsa\ntg3\n")
