"""Which boots of a ramdisk are proved, which are tried again, and which are given up."""

import time
from types import SimpleNamespace
from unittest import mock

import pytest
from futurist import periodics
from ironic import objects
from ironic.common import states
from ironic.conductor import periodics as conductor_periodics
from ironic.conductor import utils as manager_utils

from ironic_ilo import boot_proof, boot_watch, publisher, ramdisk, virtual_media
from ironic_ilo.boot import IloVirtualMediaBoot
from ironic_ilo.boot_proof import Boot
from ironic_ilo.boot_watch import Finding
from ironic_ilo.callback import RamdiskAction
from ironic_ilo.exception import StoreError
from ironic_ilo.ironic_errors import IloOperationError
from ironic_ilo.object_store import ObjectStore
from ironic_ilo.timeline import TIMELINE
from tests.unit.nodes import make_node

NOW = 1_795_350_000.0
URLS = ("container/image-1/1", "container/iso-1/1")
ADDRESS = "http://192.0.2.10:8088"
DRIVES = "FLOPPY is empty, CDROM is inserted and not connected"


@pytest.fixture(autouse=True)
def _options(configure):
    configure("boot_proof_timeout", 900, "ilo")
    configure("deploy_helper_images_ttl", 30, "ilo")
    configure("web_store_url", ADDRESS, "ilo")


@pytest.fixture(autouse=True)
def _now():
    with mock.patch.object(time, "time", autospec=True, return_value=NOW):
        yield


@pytest.fixture(autouse=True)
def _saved():
    with mock.patch.object(objects.Node, "save", autospec=True):
        yield


@pytest.fixture(autouse=True)
def reads():
    """Say when each URL was first read from, by its name."""
    made = mock.create_autospec(ObjectStore, instance=True)
    with mock.patch.object(publisher, "get_object_store", autospec=True, return_value=made):
        times: dict[str, float] = {}
        made.fetched_at.side_effect = times.get
        times["store"] = made
        yield times


@pytest.fixture(autouse=True)
def _drives():
    with mock.patch.object(virtual_media, "describe_drives", autospec=True, return_value=DRIVES):
        yield


@pytest.fixture
def failed():
    """Note with which words Ironic was told to fail nodes, by the state they were in."""
    words = {}

    def fail(task, log, errmsg):
        assert log.endswith(errmsg)
        words[task.node.provision_state] = errmsg

    waits = {state: wait._replace(fail=fail) for state, wait in boot_watch._WAITS.items()}
    with mock.patch.object(boot_watch, "_WAITS", waits):
        yield words


@pytest.fixture
def tried_again():
    """Note what servers were booted for again, and in what history."""
    done = []
    with (
        mock.patch.object(ramdisk, "boot_again", autospec=True) as boot_again,
        mock.patch.object(manager_utils, "node_history_record", autospec=True) as record,
    ):
        record.side_effect = lambda _node, event, event_type: done.append((event_type, event))
        boot_again.side_effect = lambda _task, action: done.append(action)
        yield done


def make_waiting_node(state, **boot):
    node = make_node()
    node.provision_state = state
    node.clean_step = {"step": "erase_devices"} if state == states.CLEANWAIT else {}
    node.set_driver_internal_info(TIMELINE, [{"stage": "post", "at": NOW - 1000}])
    boot_proof._save(node, Boot(**{"urls": URLS, "powered_on_at": NOW - 1000} | boot))
    return node


def watch(node, *, seen=None):
    """Let a conductor look at a node; say whether it locked it.

    :param seen: its ``driver_internal_info`` before it was locked.
    """
    task = SimpleNamespace(node=node, driver=SimpleNamespace(boot=IloVirtualMediaBoot()))
    task.spawn_after = lambda spawn, function, *arguments: spawn(function, *arguments)
    manager = mock.Mock()
    manager._spawn_worker = lambda function, *arguments: function(*arguments)
    manager.iter_nodes.return_value = [(node.uuid, "ilo", "", seen or node.driver_internal_info)]
    with mock.patch.object(conductor_periodics.task_manager, "acquire", autospec=True) as acquire:
        acquire.return_value.__enter__.return_value = task
        task.driver.boot.watch_boots(manager, mock.Mock())
    return acquire.called


@pytest.mark.parametrize(
    ("boot", "read", "finding"),
    [
        ({"powered_on_at": None, "urls": ()}, {}, Finding.BROKEN_OFF),
        ({"powered_on_at": None}, {}, Finding.BROKEN_OFF),
        ({"powered_on_at": None}, {URLS[1]: NOW}, Finding.READ),
        ({"powered_on_at": NOW - 899}, {}, Finding.PENDING),
        ({"powered_on_at": NOW - 900}, {}, Finding.SILENT),
        ({"powered_on_at": NOW - 1}, {URLS[0]: NOW}, Finding.READ),
        ({"powered_on_at": NOW - 5000}, {URLS[1]: NOW}, Finding.READ),
        ({"powered_on_at": NOW - 5000}, {"container/image-1/2": NOW}, Finding.SILENT),
    ],
)
def test_judgement(reads, boot, read, finding):
    reads.update(read)
    assert boot_watch.judge(Boot(**{"urls": URLS} | boot)) is finding


def test_nothing_is_read_after_the_urls_have_expired(configure):
    configure("deploy_helper_images_ttl", 10, "ilo")
    assert boot_watch.judge(Boot(urls=URLS, powered_on_at=NOW - 600)) is Finding.SILENT


def test_without_a_deadline_reads_are_noted_all_the_same(configure, reads):
    configure("boot_proof_timeout", 0, "ilo")
    boot = Boot(urls=URLS, powered_on_at=NOW - 10**6)
    assert boot_watch.judge(boot) is Finding.PENDING
    reads[URLS[0]] = NOW
    assert boot_watch.judge(boot) is Finding.READ


def test_a_store_that_is_down_proves_nothing(reads):
    reads["store"].fetched_at.side_effect = StoreError("It is down")
    assert boot_watch.judge(Boot(urls=URLS, powered_on_at=NOW - 10**6)) is Finding.PENDING


@pytest.mark.parametrize(("timeout", "seconds"), [(0, 10), (4, 1), (30, 6), (900, 10)])
def test_ironic_finds_the_task_and_looks_often_enough(configure, timeout, seconds):
    configure("boot_proof_timeout", timeout, "ilo")
    run = IloVirtualMediaBoot().watch_boots
    assert periodics.is_periodic(run)
    conductor_periodics.refresh_periodic_attributes(run)
    assert run._is_periodic
    assert run._periodic_spacing == seconds


@pytest.mark.parametrize(
    ("state", "stages"),
    [
        (states.DEPLOYWAIT, [("post", NOW - 1000), ("ramdisk", NOW - 400)]),
        (states.CLEANWAIT, [("post", NOW - 1000)]),
    ],
)
def test_a_first_read_ends_the_watch(reads, failed, tried_again, state, stages):
    node = make_waiting_node(state)
    reads.update({URLS[0]: NOW - 300, URLS[1]: NOW - 400})
    assert watch(node)
    assert boot_proof.read(node) is None
    assert [(mark["stage"], mark["at"]) for mark in node.driver_internal_info[TIMELINE]] == stages
    assert not watch(node)
    assert not failed
    assert not tried_again


@pytest.mark.parametrize(
    ("state", "work", "action"),
    [
        (states.DEPLOYWAIT, states.DEPLOYING, RamdiskAction.DEPLOY),
        (states.CLEANWAIT, states.CLEANING, RamdiskAction.ERASE_DEVICES),
    ],
)
def test_silence_is_answered_by_new_media(failed, tried_again, state, work, action):
    watch(make_waiting_node(state))
    (event_type, event), done = tried_again
    assert (event_type, done) == (work, action)
    assert event == (
        f"The server has read nothing of its virtual media from {ADDRESS} within 900 s of being "
        f"powered on. Its iLO says: {DRIVES}. The media are inserted once more."
    )
    assert not failed


def test_an_insertion_that_was_broken_off_is_done_to_its_end(failed, tried_again):
    watch(make_waiting_node(states.DEPLOYWAIT, attempt=2, urls=(), powered_on_at=None))
    assert "was ended" in tried_again[0][1]
    assert tried_again[1] is RamdiskAction.DEPLOY
    assert not failed


@pytest.mark.parametrize("state", [states.DEPLOYWAIT, states.CLEANWAIT])
def test_silence_again_fails_with_what_to_do(failed, tried_again, state):
    watch(make_waiting_node(state, attempt=2))
    assert not tried_again
    for text in (ADDRESS, "within 900 s", DRIVES, "firewall"):
        assert text in failed[state]


@pytest.mark.parametrize("error", [IloOperationError, ValueError])
def test_a_second_attempt_that_fails_is_the_end(failed, tried_again, error):
    ramdisk.boot_again.side_effect = error("No licence")
    watch(make_waiting_node(states.DEPLOYWAIT))
    assert "has read nothing" in failed[states.DEPLOYWAIT]
    assert "That failed: No licence" in failed[states.DEPLOYWAIT]


def test_a_callback_that_came_first_wins(failed, tried_again):
    node = make_waiting_node(states.DEPLOYWAIT)
    seen = dict(node.driver_internal_info)
    boot_proof.accept(node)
    node.provision_state = states.DEPLOYING
    assert watch(node, seen=seen)
    assert not failed
    assert not tried_again


def test_where_nobody_can_tell_nothing_is_watched():
    node = make_waiting_node(states.DEPLOYWAIT)
    boot_proof.begin(node)
    boot_proof.note_media(node, ())
    boot_proof.note_power_on(node)
    assert not watch(node)
    boot_proof.begin_stage(node)
    assert node.driver_internal_info[TIMELINE][-1]["stage"] == "ramdisk"


def test_a_second_boot_is_known_as_such():
    node = make_waiting_node(states.DEPLOYWAIT)
    boot_proof.begin(node, attempt=2)
    assert boot_proof.read(node) == Boot(2)
    boot_proof.note_media(node, URLS)
    boot_proof.note_power_on(node)
    assert boot_proof.read(node) == Boot(2, URLS, NOW)
    boot_proof.begin(node)
    assert boot_proof.read(node) == Boot()
