"""Who offers a store as an iSCSI disk: tgt, or an emulated machine with the deploy ramdisk."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.stores import Store, StoreKind
from ironic_ilo.iscsi import IscsiTarget
from lab.deploy_iso import build_cached_deploy_iso
from tests import ramdisk_machine
from tests.tgt import LUN, Tgtd, start_tgtd

TGT_ADDRESS = "127.0.24.90"
_TGT_CONTROL_PORT = 24090
# That of qemu-img, where nobody gives it another.
_INITIATOR = "iqn.2008-11.org.linux-kvm"
# QEMU's user network: where its guest sees this machine.
_HOST = "10.0.2.2"


class Offer(ABC):
    """Offers stores as a deploy ramdisk offers its disk: to one initiator, with CHAP."""

    @abstractmethod
    @contextmanager
    def offered(self, store: Store) -> Iterator[IscsiTarget]:
        """Offer a store that is ready for it."""


class TgtOffer(Offer):
    """Offers any store, each time as another target.

    :ivar portal: where all of them are.
    """

    def __init__(self, tgtd: Tgtd) -> None:
        self.portal = tgtd.portal
        self._tgtd = tgtd
        # tgtd keeps users as long as it runs, each with one secret.
        self._chap = (f"bench-{secrets.token_hex(4)}", secrets.token_hex(16))

    @contextmanager
    def offered(self, store: Store) -> Iterator[IscsiTarget]:
        """See :class:`Offer`."""
        iqn = f"iqn.2008-10.org.openstack:{secrets.token_hex(8)}"
        target = IscsiTarget(self.portal, iqn, _INITIATOR, *self._chap, lun=LUN)
        self._tgtd.add_target(
            iqn, store.path, chap=self._chap, initiator_iqn=_INITIATOR,
            thin=store.kind is StoreKind.THIN,
        )  # fmt: skip
        try:
            yield target
        finally:
            self._tgtd.remove_target(iqn)


class RamdiskOffer(Offer):
    """Offers the one store that is the disk of a running machine."""

    def __init__(self, target: IscsiTarget) -> None:
        self._target = target

    @contextmanager
    def offered(self, store: Store) -> Iterator[IscsiTarget]:
        """See :class:`Offer`."""
        del store
        yield self._target


@contextmanager
def running_tgtd() -> Iterator[TgtOffer]:
    """Run an iSCSI target on this machine."""
    with start_tgtd(
        f"{TGT_ADDRESS}:{ramdisk_machine.free_port(TGT_ADDRESS)}", _TGT_CONTROL_PORT
    ) as tgtd:
        yield TgtOffer(tgtd)


@contextmanager
def running_ramdisk(store: Store, directory: Path) -> Iterator[RamdiskOffer]:
    """Boot the deploy ISO on an emulated machine whose disk is a store.

    :param directory: for the machine's other files.
    """
    with (
        ramdisk_machine.start_conductor() as conductor,
        ramdisk_machine.boot(
            directory,
            build_cached_deploy_iso(),
            f"http://{_HOST}:{conductor.port}",
            disk=store.path,
            iscsi_initiator_iqn=_INITIATOR,
        ) as machine,
    ):
        (call,) = conductor.wait_for_calls(1)
        (disk,) = call.body["disks"]
        yield RamdiskOffer(
            IscsiTarget(
                machine.portal,
                ramdisk_machine.IQN,
                _INITIATOR,
                ramdisk_machine.CHAP_USERNAME,
                machine.chap_secret,
                lun=disk["lun"],
            )
        )
