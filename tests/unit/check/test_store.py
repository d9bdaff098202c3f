"""The store's checks: over the real image server, and over servers that fail."""

import time
from email.utils import formatdate

import pytest

from ironic_ilo.check import store
from ironic_ilo.check.fetch import Remote
from ironic_ilo.check.findings import Status, run_checks
from ironic_ilo.exception import InvalidInput, StoreError
from ironic_ilo.web_store import WebStore
from tests.image_server_process import SIGNING_KEY, running_image_server
from tests.unit.check.serving import send, send_range, serving

# Several times what anything takes here.
SECONDS = 60
CONTAINER = "ironic_ilo_container"


def check_store(opened, **options):
    place = store.Place("a store", CONTAINER, lambda: opened, **options)
    return {each.check: each for each in run_checks(store.make_group(place, SECONDS), SECONDS)}


def statuses(found):
    return {name: finding.status for name, finding in found.items()}


def find_content(root):
    (path,) = root.glob(f"{CONTAINER}/contents/check-*")
    return path.read_bytes()


def is_empty(root):
    return not list(root.glob(f"{CONTAINER}/*/check-*"))


def test_the_image_server(tmp_path):
    with running_image_server(tmp_path) as server:
        found = check_store(WebStore(server.root, server.url, SIGNING_KEY))
        assert set(statuses(found).values()) == {Status.OK}
        assert "GET ironic_ilo_container/check-" in server.log
        assert is_empty(server.root)
        # A URL is a secret as long as it works.
        assert "/v1/" not in f"{found}"


def test_an_image_server_with_another_key(tmp_path):
    with running_image_server(tmp_path) as server:
        found = check_store(WebStore(server.root, server.url, "x" * 32))
        assert found["store-ranges"].status is Status.FAILURE
        assert "404" in found["store-ranges"].detail
        assert "keys" in found["store-ranges"].hint
        assert found["store-remove"].status is Status.OK


def test_a_server_without_ranges(tmp_path):
    with serving(lambda handler: send(handler, 200, find_content(tmp_path))) as url:
        found = check_store(WebStore(tmp_path, url, SIGNING_KEY))
    assert found["store-ranges"].status is Status.FAILURE
    assert "200, not 206" in found["store-ranges"].detail
    assert "ranges" in found["store-ranges"].hint
    assert is_empty(tmp_path)


def test_a_server_that_changes_bytes(tmp_path):
    def answer(handler):
        send_range(handler, bytes(byte ^ 1 for byte in find_content(tmp_path)))

    with serving(answer) as url:
        found = check_store(WebStore(tmp_path, url, SIGNING_KEY))
    assert "other bytes" in found["store-ranges"].detail


@pytest.mark.parametrize(("seconds", "words"), [(4000, "ahead"), (-4000, "behind")])
def test_a_server_whose_clock_is_wrong(tmp_path, seconds, words):
    date = formatdate(time.time() + seconds, usegmt=True)
    with serving(lambda handler: send_range(handler, find_content(tmp_path), date=date)) as url:
        found = check_store(WebStore(tmp_path, url, SIGNING_KEY))
    assert found["store-ranges"].status is Status.WARNING
    assert words in found["store-ranges"].detail


def test_nothing_listens(tmp_path):
    with serving(lambda handler: None) as url:
        pass
    found = check_store(WebStore(tmp_path, url, SIGNING_KEY))
    assert found["store-ranges"].status is Status.FAILURE
    assert f"{url} does not answer" in found["store-ranges"].detail
    assert is_empty(tmp_path)


def test_a_store_that_cannot_be_opened():
    def refuse():
        raise InvalidInput("[ilo]signing_key is missing", hint="Set it.")

    place = store.Place("a store", CONTAINER, refuse)
    found = list(run_checks(store.make_group(place, SECONDS), SECONDS))
    assert [finding.status for finding in found] == [
        Status.FAILURE,
        Status.SKIPPED,
        Status.SKIPPED,
        Status.SKIPPED,
    ]


def test_a_store_that_takes_objects_but_makes_no_urls(tmp_path):
    class KeylessStore(WebStore):
        def get_tmp_url(self, *arguments, **options):
            raise StoreError("There is no key", hint="Set one.")

    found = check_store(KeylessStore(tmp_path, "http://127.0.0.1", SIGNING_KEY))
    assert found["store-publish"].hint == "Set one."
    assert is_empty(tmp_path)


def test_only_the_image_servers_user_may_publish(tmp_path, monkeypatch):
    store.check_owner(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(InvalidInput, match="belongs to") as refused:
        store.check_owner(tmp_path)
    assert "sudo -u" in refused.value.hint
    with pytest.raises(StoreError, match="No such file"):
        store.check_owner(tmp_path / "missing")


# Reading as an iLO does


@pytest.mark.parametrize(("status", "hint"), [(302, "redirection"), (401, "clocks"), (500, "log")])
def test_answers_that_are_none(status, hint):
    with serving(lambda handler: send(handler, status, Location="/elsewhere")) as url:
        remote = Remote(f"{url}/secret?sig=secret", verify=True, seconds=SECONDS)
        for ask in (remote.head, lambda: remote.read(0, 1)):
            with pytest.raises(StoreError, match=f"{status}") as refused:
                ask()
            assert hint in refused.value.hint
            assert "secret" not in str(refused.value)


def test_bytes_behind_the_end_are_none():
    with serving(lambda handler: send_range(handler, b"content")) as url:
        assert Remote(url, verify=True, seconds=SECONDS).read(10, 10) == b""


def test_environment_has_no_say(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with serving(lambda handler: send(handler, 404)) as url:
        with pytest.raises(StoreError, match="404"):
            Remote(url, verify=True, seconds=SECONDS).head()


def test_place_has_no_login():
    remote = Remote("https://user:secret@192.0.2.1:8/iso", verify=True, seconds=SECONDS)
    assert remote.place == "https://192.0.2.1:8"
