"""Plays nodes and conductors that share boot ISOs, side by side, over any object store.

Each operation runs in a greenlet of its own, which stops before every step on the object store or
the database. Hypothesis chooses who goes on, what becomes of that step, and who is killed there.
The store behind is honest; reads that are stale, updates that are lost or overtaken, and failures
are made up in front of it, as an eventually consistent store has them.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from greenlet import GreenletExit, getcurrent, greenlet
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ironic_ilo.exception import StoreError
from ironic_ilo.object_store import ObjectInfo, ObjectStore
from ironic_ilo.shared_iso import PREFIX, USAGE_COUNT, SharedIsos

# As few as can get in each other's way.
NODES = ("node-0", "node-1")
NAMES = (f"{PREFIX}a", f"{PREFIX}b")
GRACE = 100
# For so many seconds at most is a read stale or an update under way.
INCONSISTENCY = 10


class Fate(Enum):
    """What becomes of one step of an operation."""

    FINE = "it is done"
    STALE = "a read tells what was"
    LOST = "an update is acknowledged, and has no effect"
    LATE = "an update is acknowledged, and has its effect later, over newer ones"
    FAILED = "the store does not answer"


class Kind(Enum):
    """What nodes and conductors do."""

    TAKE = "deploy or rebuild a node, or try it again"
    RELEASE = "tear a node down, or clean up after a failed deploy"
    POWER_ON = "power a node on, for which its ISO must be there"
    RECONCILE = "reconcile"


@dataclasses.dataclass(frozen=True)
class Action:
    """Something to do for a node, or by a conductor that is near it."""

    kind: Kind
    node: str
    name: str

    def locks(self) -> str:
        """Tell what nobody else works on meanwhile."""
        return f"{self.kind.name} near {self.node}" if self.kind is Kind.RECONCILE else self.node


_FATES = st.one_of(st.just(Fate.FINE), st.sampled_from(Fate))
_NAMES = st.one_of(st.just(NAMES[0]), st.sampled_from(NAMES))
_ACTIONS = st.builds(Action, st.sampled_from(Kind), st.sampled_from(NODES), _NAMES)
# After how many steps an operation is left; ``None``: it comes to its end at once.
_STEPS = st.one_of(st.none(), st.integers(0, 3))


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class ModelStore:
    """``ObjectStore`` in memory, as far as sharing needs it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._objects: dict[tuple[str, str], ObjectInfo] = {}

    def upload_object(
        self, container, object_name, path, *, delete_after=None, metadata=None
    ) -> str:
        self._put(container, object_name, path.stat().st_size, delete_after, metadata or {})
        return "etag"

    def delete_object(self, container, object_name) -> None:
        self._objects.pop((container, object_name), None)

    def get_object_info(self, container, object_name) -> ObjectInfo | None:
        return _alive(self._objects.get((container, object_name)), self._clock())

    def update_object(self, container, object_name, *, metadata, delete_after) -> None:
        info = self.get_object_info(container, object_name)
        if info is None:
            raise StoreError(f"Object {object_name} does not exist")
        self._put(container, object_name, info.size, delete_after, metadata)

    def list_objects(self, container, prefix="") -> list[str]:
        names = [name for place, name in self._objects if place == container]
        return sorted(name for name in names if self.get_object_info(container, name))

    def _put(self, container, name, size, delete_after, metadata) -> None:
        delete_at = None if delete_after is None else int(self._clock()) + delete_after
        self._objects[container, name] = ObjectInfo(name, size, delete_at, dict(metadata))


def _alive(info: ObjectInfo | None, now: float) -> ObjectInfo | None:
    return None if info and info.delete_at is not None and info.delete_at <= now else info


def _pause() -> Fate:
    """Stop before a step, until the main greenlet says what becomes of it."""
    fate: Fate = getcurrent().parent.switch()
    if fate is Fate.FAILED:
        raise StoreError("The store does not answer")
    return fate


class UnreliableStore:
    """What operations see of a store."""

    def __init__(self, truth: ObjectStore, container: str, clock: Callable[[], float]) -> None:
        self._truth = truth
        self._container = container
        self._clock = clock
        self._past: list[tuple[float, dict[str, ObjectInfo]]] = [(clock(), {})]
        self.under_way: list[tuple[float, Callable[[], None]]] = []

    def upload_object(self, container, object_name, path, *, delete_after=None, metadata=None):
        _pause()
        stored = self._truth.upload_object(
            container, object_name, path, delete_after=delete_after, metadata=metadata
        )
        self._remember()
        return stored

    def delete_object(self, container, object_name) -> None:
        _pause()
        self._truth.delete_object(container, object_name)
        self._remember()

    def get_object_info(self, container, object_name) -> ObjectInfo | None:
        if _pause() is Fate.STALE:
            return self._recall().get(object_name)
        return self._truth.get_object_info(container, object_name)

    def update_object(self, container, object_name, *, metadata, delete_after) -> None:
        fate = _pause()
        delete_at = None if delete_after is None else self._clock() + delete_after

        def update() -> None:
            remaining = None if delete_at is None else max(1, int(delete_at - self._clock()))
            self._truth.update_object(
                container, object_name, metadata=metadata, delete_after=remaining
            )
            self._remember()

        if fate not in (Fate.LOST, Fate.LATE):
            update()
        elif self._truth.get_object_info(container, object_name) is None:
            raise StoreError(f"Object {object_name} does not exist")
        elif fate is Fate.LATE:
            self.under_way.append((self._clock() + INCONSISTENCY, update))

    def list_objects(self, container, prefix="") -> list[str]:
        if _pause() is Fate.STALE:
            return sorted(self._recall())
        return self._truth.list_objects(container, prefix)

    def land(self, *, due: float) -> None:
        """Let the updates have their effect that were to have it by some time."""
        landing = [update for deadline, update in self.under_way if deadline <= due]
        self.under_way = [entry for entry in self.under_way if entry[0] > due]
        for update in landing:
            try:
                update()
            except StoreError:
                continue  # the object is gone by now

    def _remember(self) -> None:
        names = self._truth.list_objects(self._container, PREFIX)
        infos = {name: self._truth.get_object_info(self._container, name) for name in names}
        known = {name: info for name, info in infos.items() if info is not None}
        self._past.append((self._clock(), known))

    def _recall(self) -> dict[str, ObjectInfo]:
        """Tell what there was, as long ago as can be."""
        since = self._clock() - INCONSISTENCY
        passed = [number for number, (at, _) in enumerate(self._past) if at <= since]
        _, known = self._past[passed[-1] if passed else 0]
        return {name: info for name, info in known.items() if _alive(info, self._clock())}

    def get_tmp_url(self, container, object_name, timeout, *, suffix) -> str:
        raise NotImplementedError


class Database:
    """The references; never stale, but anything may come between two steps."""

    def __init__(self) -> None:
        self.references: dict[str, str] = {}

    def count(self) -> Counter[str]:
        """Count the references at this moment."""
        return Counter(self.references.values())

    def count_when_asked(self) -> Counter[str]:
        """Count them, as a step of an operation."""
        _pause()
        return self.count()


@dataclasses.dataclass(frozen=True)
class NodeReference:
    """``Reference`` of one node."""

    database: Database
    node: str

    def read(self) -> str | None:
        return self.database.references.get(self.node)

    def write(self, name: str | None) -> None:
        _pause()
        if name is None:
            self.database.references.pop(self.node, None)
        else:
            self.database.references[self.node] = name


@dataclasses.dataclass
class Operation:
    """An action under way."""

    action: Action
    run: greenlet

    def is_done(self) -> bool:
        return self.run.dead


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a machine is played over.

    :ivar open_store: opens an honest store with nothing in a container of that name.
    :ivar rule: the rule of sharing; ``SharedIsos``, or one that has a mistake.
    """

    open_store: Callable[[Any], ObjectStore]
    iso: Path
    make_clock: Callable[[], Any] = Clock
    rule: type[SharedIsos] = SharedIsos


class SharingMachine(RuleBasedStateMachine):
    """Nodes that take and release, conductors that reconcile, and everything that goes wrong."""

    setting: ClassVar[Setting]
    _examples: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        type(self)._examples += 1
        self.container = f"sharing-{self._examples}"
        self.clock = self.setting.make_clock()
        self.truth = self.setting.open_store(self.clock)
        self.store = UnreliableStore(self.truth, self.container, self.clock)
        self.database = Database()
        self.isos = self.setting.rule(
            self.store,
            self.container,
            grace=GRACE,
            count_references=self.database.count_when_asked,
        )
        self.operations: list[Operation] = []
        # When an ISO was in order at the latest, of those in use ever since.
        self.in_order: dict[str, float] = {}
        # When an ISO must be gone, of those that nobody has used or worked on since.
        self.doomed: dict[str, float] = {}

    def teardown(self) -> None:
        for operation in getattr(self, "operations", []):
            operation.run.throw(GreenletExit)

    # What can happen.

    @rule(action=_ACTIONS, steps=_STEPS)
    def begin_action(self, action, steps) -> None:
        """Do something, to its end or only to some step of it."""
        self._begin(action, steps)

    @rule(outer=_ACTIONS, steps=st.integers(0, 4), inner=_ACTIONS)
    def interrupt(self, outer, steps, inner) -> None:
        """Do something in the middle of something else: most mistakes need no more than that."""
        self._begin(outer, steps)
        self._begin(inner, None)
        for operation in [each for each in self.operations if each.action == outer]:
            self._go_on(operation, None)

    @precondition(lambda self: self.operations)
    @rule(data=st.data(), fate=_FATES, steps=_STEPS)
    def go_on(self, data, fate, steps) -> None:
        """Let an operation go on; what becomes of the next step is chosen."""
        operation = data.draw(st.sampled_from(self.operations))
        self._step(operation, fate)
        self._go_on(operation, steps)

    @precondition(lambda self: self.operations)
    @rule(data=st.data())
    def crash(self, data) -> None:
        """Kill a conductor in the middle of an operation; its locks are broken."""
        operation = data.draw(st.sampled_from(self.operations))
        operation.run.throw(GreenletExit)
        self.operations.remove(operation)

    @rule(seconds=st.sampled_from((1, INCONSISTENCY, GRACE // 2, GRACE)))
    def wait(self, seconds) -> None:
        """Let time pass."""
        self.store.land(due=self.clock() + seconds)
        self.clock.advance(seconds)

    @rule(rounds=st.integers(1, 4))
    def nothing_happens(self, rounds) -> None:
        """Let time pass, and reconcile as often as is due."""
        for _ in range(rounds):
            self.wait(GRACE // 2)
            self._begin(Action(Kind.RECONCILE, "nobody", ""), None)
            self.unused_iso_goes()

    # What must hold always.

    @invariant()
    def iso_in_use_is_kept(self) -> None:
        """An ISO that was in order, and used since, lives on until the next reconcile is due."""
        for name, since in self.in_order.items():
            if self.clock() < since + GRACE - INCONSISTENCY:
                info = self.truth.get_object_info(self.container, name)
                assert info is not None, f"{name} is lost, and used by somebody since {since}"

    @invariant()
    def unused_iso_goes(self) -> None:
        """However often it is reconciled, what nobody uses goes in the grace time."""
        for name, deadline in self.doomed.items():
            if self.clock() >= deadline:
                info = self.truth.get_object_info(self.container, name)
                assert info is None, f"{name} is used by nobody, and stays"

    # How it is done.

    def _begin(self, action: Action, steps: int | None) -> None:
        """Begin to do something, unless somebody has the lock; check it if it ends at once."""
        if self._is_locked(action.locks()):
            return
        failures: list[StoreError] = []

        def guarded() -> None:
            try:
                self._perform(action)
            except StoreError as error:
                failures.append(error)

        operation = Operation(action, greenlet(guarded))
        self.operations.append(operation)
        if steps is not None:
            self.doomed.clear()
        operation.run.switch()
        self._notice(operation)
        self._go_on(operation, steps)
        if steps is None:
            assert not failures
            self._check(action)

    def _perform(self, action: Action) -> None:
        reference = NodeReference(self.database, action.node)
        if action.kind is Kind.TAKE:
            self.isos.take(reference, action.name, lambda: self.setting.iso)
        elif action.kind is Kind.RELEASE:
            self.isos.release(reference)
        elif action.kind is Kind.POWER_ON:
            self._restore(action.node)
        else:
            self._reconcile()

    def _is_locked(self, what: str) -> bool:
        return any(operation.action.locks() == what for operation in self.operations)

    def _go_on(self, operation: Operation, steps: int | None) -> None:
        done = 0
        while not operation.is_done() and done != steps:
            self._step(operation, Fate.FINE)
            done += 1

    def _step(self, operation: Operation, fate: Fate) -> None:
        if not operation.is_done():
            operation.run.switch(fate)
            self._notice(operation)

    def _notice(self, operation: Operation) -> None:
        """Take note of what a step has changed."""
        if operation.is_done() and operation in self.operations:
            self.operations.remove(operation)
        used = self.database.count()
        self.in_order = {name: at for name, at in self.in_order.items() if used[name]}
        self.doomed = {name: at for name, at in self.doomed.items() if not used[name]}

    def _check(self, action: Action) -> None:
        """Hold what is promised when nobody moves meanwhile and the store does its best."""
        name = self.database.references.get(action.node)
        if action.kind is Kind.RECONCILE:
            self._check_all()
        elif name is not None:
            self._check_in_use(name)

    def _check_all(self) -> None:
        references = self.database.count()
        for name in NAMES:
            users = [node for node, used in self.database.references.items() if used == name]
            if not users:
                info = self.truth.get_object_info(self.container, name)
                assert info is None or self._goes_in_time(info), f"{name} stays, unused: {info}"
            elif not all(map(self._is_locked, users)):
                info = self._check_in_use(name)
                assert info.metadata[USAGE_COUNT] == str(references[name])
        if not self.operations and not self.store.under_way:
            for name in set(NAMES) - set(references):
                self.doomed.setdefault(name, self.clock() + GRACE + INCONSISTENCY)

    def _check_in_use(self, name: str) -> ObjectInfo:
        info = self.truth.get_object_info(self.container, name)
        assert info is not None, f"{name} is lost, and in use"
        assert info.delete_at is None, f"{name} goes, and is in use"
        self.in_order[name] = self.clock()
        return info

    def _goes_in_time(self, info: ObjectInfo) -> bool:
        return info.delete_at is not None and info.delete_at <= self.clock() + GRACE + 1

    def _reconcile(self) -> None:
        for name in sorted(self.isos.reconcile()):
            for node in NODES:
                if self.database.references.get(node) == name and not self._is_locked(node):
                    self._restore(node)

    def _restore(self, node: str) -> None:
        reference = NodeReference(self.database, node)
        name = reference.read()
        if name is not None and not self.isos.settle(name):
            self.isos.take(reference, name, lambda: self.setting.iso)
