"""Nodes for unit tests, as Ironic's own objects, in no database."""

from ironic import objects
from ironic.common import context

from ironic_ilo import callback

UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"
INSTANCE = {
    "image_source": "http://192.0.2.1/image.qcow2",
    "image_checksum": "0" * 64,
    "kernel": "http://192.0.2.1/kernel",
    "ramdisk": "http://192.0.2.1/ramdisk",
    "root_gb": 4,
}

DISK = {
    "lun": 1,
    "name": "/dev/sda",
    "size": 480103981056,
    "sector_size": 512,
    "model": "LOGICAL VOLUME",
    "vendor": "HP",
    "serial": "600508b1001c1045b2f93a5d6e7f8091",
    "wwn": "0x600508b1001c1045",
    "wwn_with_extension": "0x600508b1001c1045b2f93a5d6e7f8091",
    "wwn_vendor_extension": "0xb2f93a5d6e7f8091",
    "rotational": True,
    "hctl": "0:1:0:0",
    "by_path": "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:1:0:0",
}


def make_node(**instance_info):
    """Make a node that is being deployed; ``...`` leaves a field of ``instance_info`` out."""
    objects.register_all()
    info = {key: value for key, value in (INSTANCE | instance_info).items() if value is not ...}
    return objects.Node(
        context.get_admin_context(),
        uuid=UUID,
        deploy_interface="ilo-iscsi",
        properties={},
        instance_info=info,
        driver_internal_info={"is_whole_disk_image": False, callback.NONCE: "0" * 32},
    )
