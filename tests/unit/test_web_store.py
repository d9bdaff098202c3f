import fcntl
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_ilo import web_store
from ironic_ilo.exception import InvalidInput, StoreError
from ironic_ilo.signed_path import NAME as NAME_PATTERN
from ironic_ilo.signed_path import PathSigner, parse_path
from ironic_ilo.web_store import ObjectDirectory, WebStore
from tests.image_server_process import SIGNING_KEY, running_image_server
from tests.object_store_contract import NAME, SECONDS_FOR_HTTP, ObjectStoreContract, http_get

BASE_URL = "http://192.0.2.10:8088"
CONTAINER = "ironic_ilo_container"
NOW = 1_795_350_000


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_image_server(tmp_path_factory.mktemp("server")) as running:
        yield running


class TestWebStore(ObjectStoreContract):
    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def store(self, server, clock):
        yield WebStore(server.root, server.url, SIGNING_KEY, clock=clock)
        for path in server.root.iterdir():
            shutil.rmtree(path)

    @pytest.fixture
    def container(self):
        return CONTAINER

    @pytest.fixture
    def pass_time(self, clock):
        return clock.advance

    def test_tells_when_a_url_was_first_read_from(self, store, container, source, server):
        store.upload_object(container, NAME, source)
        url, other = (store.get_tmp_url(container, NAME, 600, suffix=".img") for _ in range(2))
        name = store.name_url(url)
        assert parse_path(url.removeprefix(server.url)).signature not in name
        assert store.fetched_at(name) is None
        requests.head(url, timeout=SECONDS_FOR_HTTP)
        http_get(f"{url}x")
        assert store.fetched_at(name) is None

        began = time.time()
        http_get(url)
        first = store.fetched_at(name)
        assert began <= first <= time.time()
        http_get(url)
        assert store.fetched_at(name) == first
        # Another reader's URL, although it was made in the same second.
        assert store.fetched_at(store.name_url(other)) is None


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def store(root, clock):
    return WebStore(root, BASE_URL, SIGNING_KEY, clock=clock)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"content")
    return path


def files_below(root: Path) -> set[str]:
    """All files but the lock."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {str(path) for path in found if path.name != "lock"}


def files_of(name: str, etag: str) -> set[str]:
    return {f"{CONTAINER}/entries/{name}", f"{CONTAINER}/contents/{name}.{etag}"}


def grants(url: str, store: WebStore, *, now: float) -> bool:
    """What the image server decides."""
    path = parse_path(url.removeprefix(BASE_URL))
    stored = store.open_object(path.container, path.object_name) if path else None
    if path is None or stored is None:
        return False
    stored.file.close()
    return PathSigner(SIGNING_KEY).permits(path, stored.etag, now)


# What is refused


@pytest.mark.parametrize("key", ["", "k" * 31])
def test_a_short_signing_key_is_refused(root, key):
    with pytest.raises(InvalidInput, match="signing_key"):
        WebStore(root, BASE_URL, key)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "192.0.2.10:8088",
        "ftp://192.0.2.10",
        "http://user:secret@192.0.2.10",
        "http://192.0.2.10/?a=b",
        "http://192.0.2.10/a,b",
        'http://192.0.2.10/"',
        "http://192.0.2.10/a b",
        "http://192.0.2.10/\n",
    ],
)
def test_a_url_that_a_bmc_refuses_is_refused(root, url):
    with pytest.raises(InvalidInput, match="form"):
        WebStore(root, url, SIGNING_KEY)


@pytest.mark.parametrize("url", ["http://[2001:db8::1]:8088", "https://images.example/a/b/"])
def test_other_base_urls(root, source, url):
    store = WebStore(root, url, SIGNING_KEY)
    store.upload_object(CONTAINER, NAME, source)
    made = store.get_tmp_url(CONTAINER, NAME, 60, suffix=".iso")
    assert made.startswith(f"{url.rstrip('/')}/{CONTAINER}/")


BAD_NAMES = st.text(max_size=20).filter(lambda name: not NAME_PATTERN.fullmatch(name))


@settings(deadline=None)
@given(bad_name=BAD_NAMES | st.sampled_from(["..", ".", "../x", "a/b", "a\n", "", "a" * 129]))
def test_a_bad_name_is_refused_before_anything_is_touched(tmp_path_factory, bad_name):
    directory = tmp_path_factory.mktemp("names")
    store = WebStore(directory / "root", BASE_URL, SIGNING_KEY)
    source = directory / "source"
    source.write_bytes(b"content")
    for container, name in ((bad_name, NAME), (CONTAINER, bad_name)):
        with pytest.raises(InvalidInput):
            store.upload_object(container, name, source)
        with pytest.raises(InvalidInput):
            store.delete_object(container, name)
        with pytest.raises(InvalidInput):
            store.get_tmp_url(container, name, 60, suffix=".iso")
        with pytest.raises(InvalidInput):
            store.get_object_info(container, name)
    with pytest.raises(InvalidInput):
        store.list_objects(bad_name)
    assert list(directory.iterdir()) == [source]


@settings(deadline=None, max_examples=30)
@given(name=st.from_regex(NAME_PATTERN, fullmatch=True))
def test_every_good_name_works(tmp_path_factory, name):
    directory = tmp_path_factory.mktemp("names")
    store = WebStore(directory / "root", BASE_URL, SIGNING_KEY)
    source = directory / "source"
    source.write_bytes(b"content")
    store.upload_object(name, name, source)
    assert store.list_objects(name) == [name]
    path = parse_path(store.get_tmp_url(name, name, 60, suffix=".iso").removeprefix(BASE_URL))
    assert path is not None
    assert (path.container, path.object_name) == (name, name)


@pytest.mark.parametrize(
    "metadata", [{"Upper": "1"}, {"": "1"}, {"a b": "1"}, {"a": "x\n"}, {"a": "ü"}]
)
def test_metadata_that_swift_cannot_hold_is_refused(store, source, metadata):
    with pytest.raises(InvalidInput, match="Metadata"):
        store.upload_object(CONTAINER, NAME, source, metadata=metadata)
    store.upload_object(CONTAINER, NAME, source)
    with pytest.raises(InvalidInput, match="Metadata"):
        store.update_object(CONTAINER, NAME, metadata=metadata, delete_after=None)


@pytest.mark.parametrize("seconds", [0, -1])
def test_an_expiry_in_the_past_is_refused(store, source, seconds):
    with pytest.raises(InvalidInput):
        store.upload_object(CONTAINER, NAME, source, delete_after=seconds)
    store.upload_object(CONTAINER, NAME, source)
    with pytest.raises(InvalidInput):
        store.get_tmp_url(CONTAINER, NAME, seconds, suffix=".iso")


def test_other_suffixes_are_refused(store, source):
    store.upload_object(CONTAINER, NAME, source)
    with pytest.raises(InvalidInput, match="qcow2"):
        store.get_tmp_url(CONTAINER, NAME, 60, suffix=".qcow2")


# Temporary URLs


def test_no_url_for_what_is_missing(store):
    with pytest.raises(StoreError, match="does not exist"):
        store.get_tmp_url(CONTAINER, NAME, 60, suffix=".iso")


def test_url_is_short_and_plain(store, source):
    store.upload_object(CONTAINER, NAME, source)
    url = store.get_tmp_url(CONTAINER, NAME, 60, suffix=".img")
    assert re.fullmatch(r"http://[0-9.]+:[0-9]+/[A-Za-z0-9._/-]+\.img", url)
    assert len(url) < 128


def test_url_expires(store, source, clock):
    store.upload_object(CONTAINER, NAME, source)
    url = store.get_tmp_url(CONTAINER, NAME, 60, suffix=".iso")
    assert grants(url, store, now=clock.now + 59)
    assert not grants(url, store, now=clock.now + 62)


def test_url_does_not_grant_what_is_stored_later(store, source, clock):
    store.upload_object(CONTAINER, NAME, source)
    url = store.get_tmp_url(CONTAINER, NAME, 60, suffix=".iso")
    store.upload_object(CONTAINER, NAME, source)
    assert grants(url, store, now=clock.now)
    source.write_bytes(b"the secrets of the next deploy")
    store.upload_object(CONTAINER, NAME, source)
    assert not grants(url, store, now=clock.now)


def test_another_key_grants_nothing():
    path = parse_path(PathSigner(SIGNING_KEY).make("c", "o", "etag", NOW, suffix=".iso"))
    assert path is not None
    assert PathSigner(SIGNING_KEY).permits(path, "etag", NOW - 1)
    assert not PathSigner(SIGNING_KEY[::-1]).permits(path, "etag", NOW - 1)


SIGNED = PathSigner(SIGNING_KEY).make(CONTAINER, NAME, "etag", NOW, suffix=".iso")


def is_granted(raw_path: str) -> bool:
    path = parse_path(raw_path)
    return path is not None and PathSigner(SIGNING_KEY).permits(path, "etag", NOW - 1)


@settings(deadline=None)
@given(
    position=st.integers(0, len(SIGNED) - 1),
    byte=st.characters(min_codepoint=0, max_codepoint=255),
    length=st.integers(0, 1),
)
def test_any_changed_byte_is_refused(position, byte, length):
    assert is_granted(SIGNED)
    changed = SIGNED[:position] + byte + SIGNED[position + length :]
    assert is_granted(changed) == (changed == SIGNED)
    assert not is_granted(SIGNED[:position] + SIGNED[position + 1 :])
    assert not is_granted(SIGNED + byte)


@pytest.mark.parametrize(
    "changed",
    [
        SIGNED.replace(f"/{NOW}", f"/0{NOW}"),
        SIGNED.replace(f"/{NOW}", f"/{NOW + 1}"),
        SIGNED.replace(".iso", ".img"),
        SIGNED.replace("image-", "%69mage-"),
        f"http://192.0.2.10{SIGNED}",
        f"/{SIGNED}",
        f"{SIGNED}?",
    ],
)
def test_any_other_spelling_is_refused(changed):
    assert not is_granted(changed)


def test_the_key_and_signatures_are_not_shown(store, source):
    store.upload_object(CONTAINER, NAME, source)
    url = store.get_tmp_url(CONTAINER, NAME, 60, suffix=".iso")
    path = parse_path(url.removeprefix(BASE_URL))
    assert path is not None
    assert path.signature in url
    assert path.signature not in repr(path)
    assert SIGNING_KEY not in repr(store) + repr(vars(store)) + url


# Files


def test_nobody_else_can_enter_or_read(store, root, source):
    source.chmod(0o644)
    old_mask = os.umask(0)
    try:
        store.upload_object(CONTAINER, NAME, source)
        store.update_object(CONTAINER, NAME, metadata={}, delete_after=60)
        store.get_tmp_url(CONTAINER, NAME, 60, suffix=".iso")
    finally:
        os.umask(old_mask)
    for path in [root / CONTAINER, *(root / CONTAINER).rglob("*")]:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_nothing_else_is_left_behind(store, root, source):
    store.upload_object(CONTAINER, NAME, source)
    store.update_object(CONTAINER, NAME, metadata={"a": "1"}, delete_after=60)
    source.write_bytes(b"another content")
    etag = store.upload_object(CONTAINER, NAME, source)
    assert files_below(root) == files_of(NAME, etag)
    with pytest.raises(StoreError):
        store.upload_object(CONTAINER, NAME, source.parent)
    assert files_below(root) == files_of(NAME, etag)
    store.delete_object(CONTAINER, NAME)
    assert files_below(root) == set()


def test_an_open_object_outlives_its_deletion(store, source):
    store.upload_object(CONTAINER, NAME, source)
    stored = store.open_object(CONTAINER, NAME)
    assert stored is not None
    store.delete_object(CONTAINER, NAME)
    with stored.file as file:
        assert file.read() == b"content"


def test_the_same_bytes_keep_their_date(store, source, clock):
    store.upload_object(CONTAINER, NAME, source)
    first = store.open_object(CONTAINER, NAME)
    clock.advance(100)
    store.upload_object(CONTAINER, NAME, source)
    second = store.open_object(CONTAINER, NAME)
    with first.file, second.file:
        assert (first.etag, first.stored_at) == (second.etag, second.stored_at)


def test_sweep_removes_the_expired_and_keeps_the_rest(store, root, source, clock):
    store.upload_object(CONTAINER, "short", source, delete_after=10)
    store.upload_object(CONTAINER, "long", source, delete_after=100)
    etag = store.upload_object(CONTAINER, "for-ever", source)
    assert store.sweep() == []
    clock.advance(11.1)
    assert store.sweep() == [f"{CONTAINER}/short"]
    assert files_below(root) == files_of("long", etag) | files_of("for-ever", etag)


def test_sweep_of_no_directory(store):
    assert store.sweep() == []


def test_sweep_leaves_other_directories_alone(store, root, source):
    stranger = root / "stranger" / "contents"
    stranger.mkdir(parents=True)
    (stranger / "file").touch()
    store.sweep()
    assert files_below(root) == {"stranger/contents/file"}


def test_sweep_removes_what_crashes_left(store, root, source, clock):
    etag = store.upload_object(CONTAINER, NAME, source)
    unnamed = root / CONTAINER / "contents" / f"{NAME}.{'0' * 64}"
    abandoned = root / CONTAINER / "incoming" / "abandoned"
    written_to = root / CONTAINER / "incoming" / "written-to"
    for path in (unnamed, abandoned, written_to):
        path.touch()
    os.utime(abandoned, (clock.now - 7200, clock.now - 7200))
    store.sweep()
    assert files_below(root) == files_of(NAME, etag) | {f"{CONTAINER}/incoming/written-to"}


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b'{"etag": 1, "more": 2}', b"\xff"])
def test_a_damaged_entry_is_as_good_as_gone(store, root, source, damage, caplog):
    whole = store.upload_object(CONTAINER, "whole", source)
    store.upload_object(CONTAINER, NAME, source)
    (root / CONTAINER / "entries" / NAME).write_bytes(damage)
    assert store.get_object_info(CONTAINER, NAME) is None
    assert "is damaged" in caplog.text
    assert store.list_objects(CONTAINER) == ["whole"]
    assert store.sweep() == [f"{CONTAINER}/{NAME}"]
    assert files_below(root) == files_of("whole", whole)


@pytest.mark.parametrize("content", [None, b"conten"])
def test_an_object_without_its_content_is_swept(store, root, source, content):
    etag = store.upload_object(CONTAINER, NAME, source)
    path = root / CONTAINER / "contents" / f"{NAME}.{etag}"
    path.unlink() if content is None else path.write_bytes(content)
    assert store.sweep() == [f"{CONTAINER}/{NAME}"]
    assert files_below(root) == set()


def test_a_damaged_object_can_be_uploaded_again(store, root, source):
    etag = store.upload_object(CONTAINER, NAME, source)
    (root / CONTAINER / "entries" / NAME).write_bytes(b"{")
    store.upload_object(CONTAINER, NAME, source)
    assert store.get_object_info(CONTAINER, NAME).size == 7
    assert files_below(root) == files_of(NAME, etag)


def test_a_failing_directory_is_a_store_error(tmp_path, source):
    store = WebStore(source, BASE_URL, SIGNING_KEY)  # a file where the directory should be
    with pytest.raises(StoreError, match=str(source)):
        store.upload_object(CONTAINER, NAME, source)
    with pytest.raises(StoreError, match=str(source)):
        store.create_root()


# Marks of what was read


def marks_of(root: Path) -> list[str]:
    return sorted(path.name for path in (root / CONTAINER / "fetched").iterdir())


def test_other_urls_have_no_name(store):
    for url in ("http://192.0.2.1/deploy.iso", f"{BASE_URL}/deploy.iso", f"http://x{SIGNED}"):
        assert store.name_url(url) is None


def test_every_url_of_an_object_has_a_name_of_its_own(store, source):
    store.upload_object(CONTAINER, NAME, source)
    with ThreadPoolExecutor(8) as pool:
        urls = list(
            pool.map(lambda _: store.get_tmp_url(CONTAINER, NAME, 60, suffix=".iso"), range(50))
        )
    assert len(set(map(store.name_url, urls))) == 50


def test_marks_go_with_their_object(store, root, source):
    for name in (NAME, f"{NAME}.1"):
        store.upload_object(CONTAINER, name, source)
        store.get_tmp_url(CONTAINER, name, 60, suffix=".iso")
    url_name = store.name_url(store.get_tmp_url(CONTAINER, NAME, 60, suffix=".iso"))
    store.delete_object(CONTAINER, NAME)
    (left,) = marks_of(root)
    assert left.startswith(f"{NAME}.1.")
    assert store.fetched_at(url_name) is None
    store.note_fetch(CONTAINER, NAME, int(url_name.rpartition("/")[2]))
    assert marks_of(root) == [left]


def test_a_mark_outlives_its_expired_object_by_a_day(store, root, source, clock):
    store.upload_object(CONTAINER, NAME, source, delete_after=60)
    url_name = store.name_url(store.get_tmp_url(CONTAINER, NAME, 60, suffix=".iso"))
    store.note_fetch(CONTAINER, NAME, int(url_name.rpartition("/")[2]))
    (root / CONTAINER / "fetched" / ".nfs0012").touch()
    clock.advance(3600)
    assert store.sweep() == [f"{CONTAINER}/{NAME}"]
    assert store.fetched_at(url_name) == pytest.approx(clock.now - 3600)
    clock.advance(24 * 3600)
    store.sweep()
    assert store.fetched_at(url_name) is None
    assert marks_of(root) == [".nfs0012"]


# Several processes


def test_a_lock_held_for_long_is_a_store_error(store, root, source, monkeypatch):
    store.upload_object(CONTAINER, NAME, source)
    monkeypatch.setattr(web_store, "_SECONDS_TO_LOCK", 0.1)
    with (root / CONTAINER / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="lslocks"):
            store.delete_object(CONTAINER, NAME)
        assert store.get_object_info(CONTAINER, NAME) is not None
    store.delete_object(CONTAINER, NAME)


_WRITER = """
import itertools, sys
from pathlib import Path
from ironic_ilo.web_store import ObjectDirectory
store = ObjectDirectory(Path(sys.argv[1]))
container, name, sources, rounds = sys.argv[2], sys.argv[3], sys.argv[4:-1], int(sys.argv[-1])
print("ready", flush=True)
for number, source in enumerate(itertools.islice(itertools.cycle(sources), rounds)):
    store.upload_object(container, name, Path(source), metadata={"number": str(number)})
    store.update_object(container, name, metadata={"number": str(number)}, delete_after=1000)
"""


def start_writer(root: Path, sources: list[Path], rounds: int) -> "subprocess.Popen[str]":
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, root, CONTAINER, NAME, *sources, str(rounds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout.readline() == "ready\n"
    return writer


@pytest.fixture
def sources(tmp_path):
    """Files of one byte value each, that value times 1000 bytes long."""
    paths = [tmp_path / f"source-{number}" for number in range(1, 5)]
    for number, path in enumerate(paths, start=1):
        path.write_bytes(bytes([number]) * number * 1000)
    return paths


def assert_whole(content: bytes) -> None:
    assert content == content[:1] * content[0] * 1000


def test_processes_write_while_others_read_and_sweep(root, sources):
    store = ObjectDirectory(root)
    store.upload_object(CONTAINER, NAME, sources[0])
    writers = [start_writer(root, sources, rounds=50) for _ in range(2)]
    reads = 0
    while any(writer.poll() is None for writer in writers):
        assert store.get_object_info(CONTAINER, NAME) is not None
        assert store.sweep() == []
        stored = store.open_object(CONTAINER, NAME)
        if stored is not None:
            with stored.file as file:
                content = file.read()
            assert_whole(content)
            assert len(content) == stored.size
            reads += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert reads > 0
    assert len(files_below(root)) == 2
    for writer in writers:
        writer.stdout.close()


def test_a_killed_writer_leaves_a_whole_object(root, sources):
    chance = random.Random(1)
    survivor = ObjectDirectory(root)
    for _ in range(5):
        with start_writer(root, sources, rounds=1_000_000) as writer:
            time.sleep(chance.uniform(0.05, 0.15))
            writer.kill()
        stored = survivor.open_object(CONTAINER, NAME)
        assert stored is not None
        with stored.file as file:
            assert_whole(file.read())
        assert survivor.sweep() == []
    # An hour later nothing else is left.
    ObjectDirectory(root, clock=lambda: time.time() + 3700).sweep()
    left = {path for path in files_below(root) if "incoming" in path}
    assert left == set()
