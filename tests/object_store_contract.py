"""What every ``ObjectStore`` keeps to; a test class of each store inherits it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from ironic_ilo.exception import StoreError
from ironic_ilo.object_store import ObjectInfo, ObjectStore

NAME = "image-1be26c0b-03f2-4d2e-ae87-c02d7f33c781"
SECONDS_FOR_HTTP = 60
SECONDS_TO_LEAVE_THE_LIST = 60


def http_get(url: str) -> requests.Response:
    return requests.get(url, timeout=SECONDS_FOR_HTTP)


class ObjectStoreContract:
    """Subclasses give the fixtures ``store`` (one that serves its URLs) and ``container``."""

    @pytest.fixture
    def store(self) -> ObjectStore:
        raise NotImplementedError

    @pytest.fixture
    def container(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def pass_time(self) -> Callable[[float], None]:
        """A store with a clock of its own moves that."""
        return time.sleep

    @pytest.fixture
    def source(self, tmp_path) -> Path:
        path = tmp_path / "Quelle für Bücher.img"
        path.write_bytes(bytes(range(256)) * 5000)
        return path

    def test_stores_the_bytes(self, store, container, source):
        assert store.upload_object(container, NAME, source)
        content = source.read_bytes()
        assert store.get_object_info(container, NAME) == ObjectInfo(NAME, len(content))
        source.unlink()
        url = store.get_tmp_url(container, NAME, 600, suffix=".img")
        assert http_get(url).content == content

    def test_stores_an_empty_file(self, store, container, source):
        source.write_bytes(b"")
        store.upload_object(container, NAME, source)
        assert store.get_object_info(container, NAME) == ObjectInfo(NAME, 0)
        response = http_get(store.get_tmp_url(container, NAME, 600, suffix=".img"))
        assert (response.status_code, response.content) == (200, b"")

    @pytest.mark.parametrize("suffix", [".iso", ".img"])
    def test_temporary_url_ends_in_the_suffix(self, store, container, source, suffix):
        store.upload_object(container, NAME, source)
        url = store.get_tmp_url(container, NAME, 600, suffix=suffix)
        assert url.endswith(suffix)
        assert requests.head(url, timeout=SECONDS_FOR_HTTP).ok

    def test_upload_replaces_content_metadata_and_expiry(self, store, container, source):
        store.upload_object(container, NAME, source, delete_after=600, metadata={"a": "1"})
        source.write_bytes(b"new")
        store.upload_object(container, NAME, source, metadata={"b": "2"})
        assert store.get_object_info(container, NAME) == ObjectInfo(NAME, 3, None, {"b": "2"})
        assert http_get(store.get_tmp_url(container, NAME, 600, suffix=".img")).content == b"new"

    def test_identifier_tells_contents_apart(self, store, container, source):
        first = store.upload_object(container, NAME, source)
        assert store.upload_object(container, "another", source) == first
        source.write_bytes(b"new")
        assert store.upload_object(container, NAME, source) != first

    def test_failed_upload_leaves_the_old_object(self, store, container, source, tmp_path):
        store.upload_object(container, NAME, source, metadata={"a": "1"})
        before = store.get_object_info(container, NAME)
        for bad_source in (tmp_path / "missing", tmp_path):
            with pytest.raises(StoreError, match=str(bad_source)):
                store.upload_object(container, NAME, bad_source)
        assert store.get_object_info(container, NAME) == before

    def test_delete(self, store, container, source):
        store.upload_object(container, NAME, source)
        url = store.get_tmp_url(container, NAME, 600, suffix=".img")
        store.delete_object(container, NAME)
        assert store.get_object_info(container, NAME) is None
        assert store.list_objects(container) == []
        assert not http_get(url).ok

    def test_deleting_what_is_gone_is_no_error(self, store, container, source):
        store.delete_object("unknown-container", NAME)
        store.upload_object(container, NAME, source)
        store.delete_object(container, NAME)
        store.delete_object(container, NAME)

    def test_expired_object_is_gone(self, store, container, source, pass_time):
        store.upload_object(container, NAME, source, delete_after=2)
        info = store.get_object_info(container, NAME)
        assert info is not None
        assert info.delete_at is not None
        pass_time(3.1)
        assert store.get_object_info(container, NAME) is None
        store.delete_object(container, NAME)
        with pytest.raises(StoreError, match="does not exist"):
            store.update_object(container, NAME, metadata={}, delete_after=None)
        deadline = time.monotonic() + SECONDS_TO_LEAVE_THE_LIST
        while store.list_objects(container):
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def test_update_replaces_all_metadata_and_the_expiry(
        self, store, container, source, pass_time
    ):
        store.upload_object(
            container, NAME, source, delete_after=2, metadata={"usage_count": "1", "other": "x"}
        )
        size = source.stat().st_size
        store.update_object(container, NAME, metadata={"usage_count": "2"}, delete_after=None)
        pass_time(3.1)
        expected = ObjectInfo(NAME, size, None, {"usage_count": "2"})
        assert store.get_object_info(container, NAME) == expected
        store.update_object(container, NAME, metadata={}, delete_after=600)
        info = store.get_object_info(container, NAME)
        assert info is not None
        assert info.delete_at is not None
        assert info.metadata == {}

    def test_updating_what_is_missing_fails(self, store, container):
        with pytest.raises(StoreError, match="does not exist"):
            store.update_object(container, NAME, metadata={}, delete_after=None)

    def test_describing_what_is_missing(self, store, container):
        assert store.get_object_info(container, NAME) is None
        assert store.get_object_info("unknown-container", NAME) is None

    def test_list(self, store, container, source):
        for name in ("boot-2", "image-1", "boot-1", "boot"):
            store.upload_object(container, name, source)
        assert store.list_objects(container) == ["boot", "boot-1", "boot-2", "image-1"]
        assert store.list_objects(container, "boot-") == ["boot-1", "boot-2"]
        assert store.list_objects(container, "none") == []
        assert store.list_objects("unknown-container") == []

    def test_concurrent_uploads_leave_one_whole_object(self, store, container, tmp_path):
        def upload(number: int) -> str:
            source = tmp_path / f"source-{number}"
            source.write_bytes(bytes([number]) * (100_000 + number))
            return store.upload_object(container, NAME, source, metadata={"number": str(number)})

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(upload, range(16)))) == 16
        info = store.get_object_info(container, NAME)
        assert info is not None
        number = int(info.metadata["number"])
        content = http_get(store.get_tmp_url(container, NAME, 600, suffix=".img")).content
        assert content == bytes([number]) * (100_000 + number)
        assert info.size == len(content)
