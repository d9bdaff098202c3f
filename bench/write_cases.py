"""Writing an image over iSCSI: ours, its peers, and the limit; and ours to many nodes at once."""

import shutil
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ironic.conf import CONF

from bench import write_tools
from bench.case import Case, Context
from bench.measure import measure
from bench.offers import TgtOffer, running_ramdisk, running_tgtd
from bench.results import Bound, Row, Sample, Target
from bench.stores import MIB, Store, StoreKind
from bench.write_images import Image, make_dense, make_sparse
from bench.write_tools import AGENT, CONVERT, HISTORIC, Limit, Ours, Tool, tools_of_iscsi
from ironic_ilo import conf, write_slots
from ironic_ilo.iscsi import IscsiTarget

_GIB = 1024 * MIB
# For the partition table, and what stands after the image.
_ROOM = 16 * MIB
_MOST_WIRE = 1.02
_MOST_RSS_MIB = 96
_MOST_BEHIND_BEST = 1.1
_MOST_COST_OF_MANY = 1.1


class WriteCase(Case):
    """One image onto one store, by each tool.

    A row's ratio: how many times as long as ours the tool took.

    :param faster: how many times as fast as a tool ours is to be, by its name.
    """

    def __init__(self, kind: StoreKind, faster: Mapping[str, float]) -> None:
        self.name = f"{self.shape}-{kind}"
        self._kind = kind
        self._faster = faster

    shape: str

    @abstractmethod
    def image_size(self, context: Context) -> int:
        """Return the size of the image's disk in bytes."""

    @abstractmethod
    def make_image(self, path: Path, size: int) -> Image:
        """Make the image."""

    def bytes_needed(self, context: Context) -> int:
        """See :class:`Case`: the store in full, the image, and its making."""
        return self.image_size(context) * 13 // 10 + _ROOM

    def measure(self, context: Context, directory: Path) -> Sequence[Row]:
        """See :class:`Case`."""
        image = self.make_image(directory / "image", self.image_size(context))
        store = Store(directory / "store", image.size + _ROOM, self._kind)
        with self.running_tools(store, directory) as tools:
            samples: dict[str, list[Sample]] = {tool.name: [] for tool in tools}
            for _round in context.rounds(self.name):
                for tool in tools:
                    samples[tool.name].append(_write_once(tool, image, store, directory))
        return self._compared([Row(self.name, *item) for item in samples.items()], image)

    @contextmanager
    def running_tools(self, store: Store, directory: Path) -> Iterator[Sequence[Tool]]:
        """Have the tools ready to write to a store, ours first."""
        del store, directory
        with running_tgtd() as offer:
            yield [*tools_of_iscsi(offer), Limit()]

    def _compared(self, rows: Sequence[Row], image: Image) -> list[Row]:
        ours, *others = rows
        compared = [self._against(ours, row) for row in others]
        peers = [row.wall_s for row in others if row.tool != Limit.name]
        behind = Target(
            "time, of the best peer's", ours.wall_s / min(peers), Bound.AT_MOST, _MOST_BEHIND_BEST
        )
        targets = [behind, *cost_targets(ours, image.allocated, writes=1)]
        return [replace(ours, ratio=1.0, targets=targets), *compared]

    def _against(self, ours: Row, row: Row) -> Row:
        ratio = row.wall_s / ours.wall_s
        limit = self._faster.get(row.tool)
        targets = [Target("ours is faster, times", ratio, Bound.AT_LEAST, limit)] if limit else []
        return replace(row, ratio=ratio, targets=targets)


class SparseCase(WriteCase):
    """A qcow2 image, a tenth of which holds data."""

    shape = "sparse"

    def image_size(self, context: Context) -> int:
        """See :class:`WriteCase`: a thick store takes minutes for each write of 10 GiB."""
        full = 10 * _GIB if self._kind is StoreKind.THIN else 2 * _GIB
        return 128 * MIB if context.quick else full

    def make_image(self, path: Path, size: int) -> Image:
        """See :class:`WriteCase`."""
        return make_sparse(path, size=size, data=size // 10)

    def seconds(self, context: Context) -> float:
        """See :class:`Case`."""
        each = 120.0 if self._kind is StoreKind.THIN else 65.0
        return 5 + context.repeat * (6.0 if context.quick else each)


class RamdiskCase(SparseCase):
    """The same image, smaller, onto the disk of a machine with the deploy ramdisk: through LIO.

    No TCP connection leads into that store for the limit.
    """

    in_quick_run = False

    def __init__(self, faster: Mapping[str, float]) -> None:
        super().__init__(StoreKind.THICK, faster)
        self.name = "sparse-lio"

    def image_size(self, context: Context) -> int:
        """See :class:`WriteCase`: the machine is emulated, without KVM."""
        return (128 if context.quick else 512) * MIB

    def seconds(self, context: Context) -> float:
        """See :class:`Case`."""
        return 60 + context.repeat * (20.0 if context.quick else 60.0)

    @contextmanager
    def running_tools(self, store: Store, directory: Path) -> Iterator[Sequence[Tool]]:
        """See :class:`WriteCase`."""
        store.prepare()
        with running_ramdisk(store, directory) as offer:
            yield tools_of_iscsi(offer)


class DenseCase(WriteCase):
    """A raw image, all of which is data."""

    shape = "dense"

    def image_size(self, context: Context) -> int:
        """See :class:`WriteCase`."""
        return 64 * MIB if context.quick else 2 * _GIB

    def bytes_needed(self, context: Context) -> int:
        """See :class:`Case`."""
        return 2 * self.image_size(context) + _ROOM

    def make_image(self, path: Path, size: int) -> Image:
        """See :class:`WriteCase`."""
        return make_dense(path, size=size)

    def seconds(self, context: Context) -> float:
        """See :class:`Case`."""
        return 5 + context.repeat * (3.0 if context.quick else 45.0)


class NodesCase(Case):
    """Ours to 1, 2, 4 and more nodes at once, in one process, as one conductor does it.

    A row's ratio: the time of all of them, of as many single writes one after the other.
    """

    name = "nodes"

    def seconds(self, context: Context) -> float:
        """See :class:`Case`."""
        return 5 + context.repeat * (4.0 if context.quick else 60.0)

    def bytes_needed(self, context: Context) -> int:
        """See :class:`Case`."""
        size, counts = self._sizes(context)
        return size // 10 * (counts[-1] + 3) + _ROOM

    def measure(self, context: Context, directory: Path) -> Sequence[Row]:
        """See :class:`Case`."""
        conf.register_opts(CONF)
        size, counts = self._sizes(context)
        image = make_sparse(directory / "image", size=size, data=size // 10)
        samples: dict[int, list[Sample]] = {count: [] for count in counts}
        with running_tgtd() as offer:
            for _round in context.rounds(self.name):
                for count in counts:
                    samples[count].append(_write_to_many(offer, image, count, directory))
        rows = [Row(self.name, Ours.name, found, n) for n, found in samples.items()]
        return [_against_single(rows[0], row, image, is_most=row is rows[-1]) for row in rows]

    @staticmethod
    def _sizes(context: Context) -> tuple[int, tuple[int, ...]]:
        return (128 * MIB, (1, 2, 12)) if context.quick else (2 * _GIB, (1, 2, 4, 8, 16))


def cost_targets(row: Row, allocated: int, *, writes: int) -> list[Target]:
    """Hold what ours sent and had in memory against what it should.

    :param allocated: bytes of data that were to be sent.
    :param writes: how many ran at once.
    """
    targets = []
    if row.wire_bytes is not None:
        share = row.wire_bytes / allocated
        targets.append(Target("wire bytes, of the data", share, Bound.AT_MOST, _MOST_WIRE))
    if row.peak_rss_mib is not None:
        each = row.peak_rss_mib / writes
        targets.append(Target("peak MiB per write", each, Bound.AT_MOST, _MOST_RSS_MIB))
    return targets


def all_write_cases() -> list[Case]:
    """Make the cases of writing, with the targets of each."""
    thin, thick = StoreKind.THIN, StoreKind.THICK
    return [
        SparseCase(thin, {HISTORIC: 8, CONVERT: 1.2, AGENT: 8}),
        SparseCase(thick, {CONVERT: 1, AGENT: 8}),
        RamdiskCase({CONVERT: 1}),
        DenseCase(thin, {CONVERT: 1.2}),
        DenseCase(thick, {CONVERT: 1}),
        NodesCase(),
    ]


def _write_once(tool: Tool, image: Image, store: Store, directory: Path) -> Sample:
    store.prepare()
    image.warm()
    scratch = directory / "scratch"
    scratch.mkdir()
    try:
        return tool.write(image, store, scratch)
    finally:
        shutil.rmtree(scratch)


def _write_to_many(offer: TgtOffer, image: Image, count: int, directory: Path) -> Sample:
    image.warm()
    stores = [
        Store(directory / f"store-{number}", image.size + _ROOM, StoreKind.THIN)
        for number in range(count)
    ]
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        for store in stores:
            store.prepare()
            stack.callback(store.path.unlink)
        targets = [stack.enter_context(offer.offered(store)) for store in stores]

        def write_all() -> None:
            writes = [
                pool.submit(_write_in_turn, target, store, image)
                for target, store in zip(targets, stores, strict=True)
            ]
            for write in writes:
                write.result()

        def flush_all() -> None:
            for store in stores:
                store.flush()

        return measure(write_all, portal=offer.portal, until_stored=flush_all)


def _write_in_turn(target: IscsiTarget, store: Store, image: Image) -> None:
    with write_slots.waiting_for_slot(_Node(), on_wait=lambda: None, interval=3600.0):
        write_tools.write_as_conductor(target, store, image)


def _against_single(single: Row, row: Row, image: Image, *, is_most: bool) -> Row:
    at_once = min(row.nodes, CONF.ilo.max_concurrent_writes)
    ratio = row.wall_s / (row.nodes * single.wall_s)
    many = Target("time, of as many single writes", ratio, Bound.AT_MOST, _MOST_COST_OF_MANY)
    costs = cost_targets(row, row.nodes * image.allocated, writes=at_once)
    return replace(row, ratio=ratio, targets=[many, *costs] if is_most else costs)


class _Node:
    """A node as far as the queue for a slot writes to it."""

    def __init__(self) -> None:
        self.driver_internal_info: dict[str, Any] = {}

    def set_driver_internal_info(self, key: str, value: object) -> None:
        self.driver_internal_info[key] = value

    def del_driver_internal_info(self, key: str) -> None:
        del self.driver_internal_info[key]

    def save(self) -> None:
        pass
