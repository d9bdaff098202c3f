"""Which of several disks is written to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ironic.common import exception

from ironic_ilo import root_device
from ironic_ilo.callback import DeployInfo
from tests.unit.nodes import DISK, make_node

GIB = 2**30
# A logical drive, an NVMe disk without a SCSI address, a SATA disk, and a small one.
RAID = DISK
NVME = DISK | {
    "lun": 2,
    "name": "/dev/nvme0n1",
    "size": 100 * GIB,
    "sector_size": 4096,
    "model": "MO0400KEFHN",
    "vendor": "",
    "serial": "CVFT 42",
    "wwn": "eui.0025385b71b00001",
    "wwn_with_extension": "",
    "wwn_vendor_extension": "",
    "rotational": False,
    "hctl": "",
    "by_path": "/dev/disk/by-path/pci-0000:05:00.0-nvme-1",
}
SATA = DISK | {
    "lun": 3,
    "name": "/dev/sdb",
    "size": 1000 * GIB,
    "model": "MB1000GCWCV",
    "vendor": "ATA",
    "serial": "Z1W1",
    "wwn": "0x5000c50015ea71ac",
    "wwn_with_extension": "0x5000c50015ea71ac",
    "wwn_vendor_extension": "",
    "hctl": "1:0:0:0",
    "by_path": "/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0",
}
SMALL = DISK | {"lun": 4, "name": "/dev/sdc", "size": 4 * GIB - 512, "model": "sd card"}


def choose(hints, *disks):
    node = make_node()
    node.properties = {"root_device": hints}
    return root_device.choose(node, DeployInfo("192.0.2.7", "", "", disks)).name


@pytest.mark.parametrize(
    ("hints", "name"),
    [
        ({"serial": "cvft 42"}, "/dev/nvme0n1"),
        ({"name": "/dev/sdb"}, "/dev/sdb"),
        ({"model": "s== LOGICAL VOLUME"}, "/dev/sda"),
        ({"vendor": "s!= HP"}, "/dev/sdb"),
        ({"model": "s>= MO"}, "/dev/nvme0n1"),
        ({"model": "s> MO"}, "/dev/nvme0n1"),
        ({"model": "s< MA"}, "/dev/sda"),
        ({"model": "s<= MA"}, "/dev/sda"),
        ({"model": "<in> gcwc"}, "/dev/sdb"),
        ({"hctl": "<or> 1:0:0:0 <or> 2:0:0:0"}, "/dev/sdb"),
        ({"size": 100}, "/dev/nvme0n1"),
        ({"size": "= 1000"}, "/dev/sdb"),
        ({"size": "== 1000"}, "/dev/sdb"),
        ({"size": "!= 100", "hctl": "0:1:0:0"}, "/dev/sda"),
        ({"size": "< 447"}, "/dev/nvme0n1"),
        ({"size": "<= 100"}, "/dev/nvme0n1"),
        ({"size": "> 447", "vendor": "hp"}, "/dev/sda"),
        ({"size": ">= 1000"}, "/dev/sdb"),
        ({"size": "<range-in> [ 400 500 ]"}, "/dev/sda"),
        ({"rotational": "no"}, "/dev/nvme0n1"),
        ({"wwn": "0x600508B1001C1045"}, "/dev/sda"),
        ({"wwn_with_extension": RAID["wwn_with_extension"]}, "/dev/sda"),
        ({"wwn_vendor_extension": RAID["wwn_vendor_extension"]}, "/dev/sda"),
        ({"by_path": SATA["by_path"]}, "/dev/sdb"),
    ],
)
def test_hints_choose_with_every_operator(hints, name):
    assert choose(hints, RAID, NVME, SATA) == name


def test_hints_of_the_instance_win():
    node = make_node(root_device={"serial": "Z1W1"})
    node.properties = {"root_device": {"rotational": False}}
    info = DeployInfo("192.0.2.7", "", "", (NVME, SATA))
    assert root_device.choose(node, info).lun == SATA["lun"]


@pytest.mark.parametrize(
    ("hints", "reason"),
    [
        ({"serial": "other"}, "match no disk"),
        ({"rotational": True}, r"match several disks: /dev/sda .*, /dev/sdb .*there are:"),
    ],
)
def test_hints_that_tell_no_single_disk_stop_the_deploy(hints, reason):
    with pytest.raises(exception.InstanceDeployFailure, match=reason) as caught:
        choose(hints, RAID, NVME, SATA)
    for disk in (RAID, NVME, SATA):
        assert disk["name"] in str(caught.value)


def test_hints_need_a_ramdisk_that_describes_its_disks():
    with pytest.raises(exception.InstanceDeployFailure, match="new deploy ISO"):
        choose({"serial": "other"})


def test_hostile_text_of_a_disk_is_not_taken_for_an_operator():
    with pytest.raises(exception.InstanceDeployFailure, match="cannot be matched"):
        choose({"model": "x"}, RAID | {"model": "<in>"})


class TestWithoutHints:
    def test_the_only_disk_is_it_however_small(self):
        assert choose({}, SMALL) == "/dev/sdc"

    def test_a_ramdisk_that_tells_nothing_has_one_disk(self):
        chosen = root_device.choose(make_node(), DeployInfo("192.0.2.7", "", ""))
        assert (chosen.lun, chosen.size, chosen.sector_size) == (1, 0, 512)

    def test_the_smallest_of_4_gib_is_it(self):
        assert choose({}, SATA, RAID, NVME, SMALL) == "/dev/nvme0n1"

    def test_several_small_ones_stop_the_deploy(self):
        with pytest.raises(exception.InstanceDeployFailure, match=r"none has 4 GiB.*sdc.*sdd"):
            choose({}, SMALL, SMALL | {"lun": 5, "name": "/dev/sdd"})

    @given(st.permutations(["2", "10", "11"]), st.permutations(["sda", "sdb", "sdc"]))
    def test_of_equal_ones_the_place_decides_not_the_name(self, ports, names):
        disks = [
            DISK | {"lun": lun, "name": name, "by_path": f"/dev/disk/by-path/ata-{port}"}
            for lun, (port, name) in enumerate(zip(ports, names, strict=True), start=1)
        ]
        assert choose({}, *disks) == names[ports.index("2")]


class TestValidate:
    def validate(self, hints):
        node = make_node()
        node.properties = {"root_device": hints}
        root_device.validate(node)

    @pytest.mark.parametrize(
        "hints",
        [
            None,
            {},
            {"size": 447, "rotational": "true"},
            {"size": "<range-in> [ 100 500 ]", "model": "<or> a b <or> c"},
        ],
    )
    def test_valid_hints_pass(self, hints):
        self.validate(hints)

    @pytest.mark.parametrize(
        ("hints", "named"),
        [
            ({"sice": 10}, r"sice"),
            ({"size": "big"}, r"size='big'.*not an integer"),
            ({"size": 0}, r"size=0.*positive"),
            ({"size": "=> 10"}, r"size='=> 10'.*do not fit"),
            ({"size": "<in> 10"}, r"size='<in> 10'.*do not fit"),
            ({"size": "<range-in> [ 10"}, r"size="),
            ({"model": ""}, r"model=''.*empty"),
            ({"model": 5}, r"model=5.*not a string"),
            ({"model": "<in>"}, r"model='<in>'.*do not fit"),
            ({"model": "<all-in> a b"}, r"model='<all-in> a b'.*do not fit"),
            ({"model": ">= 10"}, r"model='>= 10'"),
            ({"rotational": "maybe"}, r"rotational='maybe'.*not a Boolean"),
            ("/dev/sda", r"/dev/sda"),
            (["sda"], r"sda"),
        ],
    )
    def test_invalid_hint_is_named(self, hints, named):
        with pytest.raises(exception.InvalidParameterValue, match=named) as caught:
            self.validate(hints)
        assert "in properties of node" in str(caught.value)
        # The parser would print its grammar.
        assert "{{{" not in str(caught.value)


class TestRebuild:
    @pytest.fixture
    def node(self, monkeypatch):
        node = make_node()
        monkeypatch.setattr(type(node), "save", lambda *_: None)
        return node

    def remember(self, node, disk, *, preserve):
        chosen = root_device.choose(node, DeployInfo("192.0.2.7", "", "", (disk,)))
        root_device.remember(node, chosen, preserve=preserve)
        return node.driver_internal_info[root_device.ROOT_DEVICE]

    def test_choice_is_kept_for_operators(self, node):
        assert self.remember(node, RAID, preserve=False) == RAID
        root_device.forget(node)
        assert root_device.ROOT_DEVICE not in node.driver_internal_info

    def test_same_disk_under_another_name_is_preserved(self, node):
        self.remember(node, RAID, preserve=False)
        moved = RAID | {"lun": 7, "name": "/dev/sdz", "hctl": "9:1:0:0", "by_path": "elsewhere"}
        assert self.remember(node, moved, preserve=True) == moved

    @pytest.mark.parametrize("change", [{"serial": "other"}, {"size": GIB}, {"model": "other"}])
    def test_another_disk_is_refused_when_data_must_be_preserved(self, node, change):
        self.remember(node, RAID, preserve=False)
        with pytest.raises(exception.InstanceDeployFailure, match="preserve_ephemeral needs"):
            self.remember(node, RAID | change, preserve=True)
        assert node.driver_internal_info[root_device.ROOT_DEVICE] == RAID
        self.remember(node, RAID | change, preserve=False)

    def test_disk_without_numbers_is_known_by_its_place(self, node):
        plain = RAID | {"serial": "", "wwn": "", "wwn_vendor_extension": ""}
        self.remember(node, plain, preserve=False)
        self.remember(node, plain | {"name": "/dev/sdz"}, preserve=True)
        with pytest.raises(exception.InstanceDeployFailure, match="preserve_ephemeral needs"):
            self.remember(node, plain | {"by_path": "elsewhere"}, preserve=True)
