"""Shared boot ISOs: none in use is lost, and none unused stays, whatever comes between."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from ironic_ilo.exception import StoreError
from ironic_ilo.shared_iso import USAGE_COUNT, SharedIsos
from ironic_ilo.web_store import WebStore
from tests.sharing_machine import GRACE, ModelStore, Setting, SharingMachine

FEW = settings(
    max_examples=10,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
MANY = settings(FEW, max_examples=100, stateful_step_count=40)
# It ends with the first mistake found, and the shortest way there does not matter.
UNTIL_CAUGHT = settings(
    MANY,
    max_examples=3000,
    stateful_step_count=20,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
)


class CountsInMetadata(SharedIsos):
    """Counts up and down on the object, and destroys it at zero, as the specification says."""

    def take(self, reference, name, build):
        reference.write(name)
        info = self._store.get_object_info(self._container, name)
        if info is None:
            self._store.upload_object(self._container, name, build(), metadata={USAGE_COUNT: "1"})
        else:
            self._add(info, 1)

    def release(self, reference):
        name = reference.read()
        if name is None:
            return
        reference.write(None)
        info = self._store.get_object_info(self._container, name)
        if info is not None and info.metadata[USAGE_COUNT] == "1":
            self._store.delete_object(self._container, name)
        elif info is not None:
            self._add(info, -1)

    def reconcile(self):
        return set()

    def _add(self, info, number):
        count = str(int(info.metadata[USAGE_COUNT]) + number)
        self._store.update_object(
            self._container, info.name, metadata={USAGE_COUNT: count}, delete_after=None
        )


class DeletesAtZero(SharedIsos):
    """Deletes what the database says nobody uses, instead of letting it expire."""

    def _let_expire(self, name):
        self._store.delete_object(self._container, name)
        return False


class SettlesBeforeReferring(SharedIsos):
    """Looks whether the ISO is there, and refers to it then."""

    def take(self, reference, name, build):
        is_there = self.settle(name)
        reference.write(name)
        if not is_there:
            self._store.upload_object(
                self._container, name, build(), metadata={USAGE_COUNT: str(self._count(name))}
            )


class RenewsExpiry(SharedIsos):
    """Lets what nobody uses expire, from the beginning at each run."""

    def _let_expire(self, name):
        try:
            return self._update(name, 0, delete_after=GRACE)
        except StoreError:
            return False


class OverlooksLostOnes(SharedIsos):
    """Reconciles what is there, and nothing else."""

    def reconcile(self):
        super().reconcile()
        return set()


def play(setting, how):
    machine = type("Machine", (SharingMachine,), {"setting": setting})
    run_state_machine_as_test(machine, settings=how)


@pytest.fixture
def iso(tmp_path):
    path = tmp_path / "boot.iso"
    path.write_bytes(b"iso")
    return path


def test_over_an_eventually_consistent_store(iso):
    play(Setting(ModelStore, iso), MANY)


def test_over_the_web_store(iso, tmp_path):
    def open_store(clock):
        return WebStore(tmp_path / "store", "http://192.0.2.1:8088", "k" * 32, clock=clock)

    play(Setting(open_store, iso), FEW)


@pytest.mark.parametrize(
    "mistake",
    [
        CountsInMetadata,
        DeletesAtZero,
        SettlesBeforeReferring,
        RenewsExpiry,
        OverlooksLostOnes,
    ],
)
def test_mistakes_are_caught(mistake, iso):
    with pytest.raises(AssertionError):
        play(Setting(ModelStore, iso, rule=mistake), UNTIL_CAUGHT)
