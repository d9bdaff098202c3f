"""The object store over a real Swift, and over Swifts that fail."""

import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import swiftclient
from ironic.conf import CONF

from ironic_ilo import publisher, swift
from ironic_ilo.exception import InvalidInput, StoreError
from ironic_ilo.object_store import ObjectInfo
from ironic_ilo.swift import SwiftAPI
from lab.openstack.swift import allow_temp_urls, running_swift
from lab.settings import LOOPBACK
from tests.object_store_contract import NAME, SECONDS_FOR_HTTP, ObjectStoreContract, http_get

pytestmark = pytest.mark.functional

CONTAINER = "ironic_ilo_container"
SEGMENTS = f"{CONTAINER}_segments"
# The contract's largest file is smaller.
MAX_FILE_SIZE = 1_500_000


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    port, memcached_port = free_ports(2)
    directory = tmp_path_factory.mktemp("swift")
    with running_swift(
        directory,
        port=port,
        memcached_port=memcached_port,
        keystone=None,
        max_file_size=MAX_FILE_SIZE,
    ) as access:
        yield access


def free_ports(number):
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(number)]
        for probe in sockets:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in sockets]


@pytest.fixture
def account(service):
    """The account as Swift's own client sees it; it is empty in the end."""
    with closing(
        swiftclient.Connection(service.auth_url, service.user, service.key, retries=0)
    ) as connection:
        allow_temp_urls(connection)
        yield connection
        for container in connection.get_account()[1]:
            for entry in connection.get_container(container["name"])[1]:
                connection.delete_object(container["name"], entry["name"])
            connection.delete_container(container["name"])


@pytest.fixture
def store(service, account):
    return SwiftAPI(service.user, None, service.key, service.auth_url)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.img"
    path.write_bytes(b"content")
    return path


@pytest.fixture
def large_source(tmp_path):
    """A file of three segments, each of another length or content."""
    path = tmp_path / "large.iso"
    path.write_bytes(b"".join(number.to_bytes(4, "big") for number in range(800_000)))
    return path


@pytest.fixture
def set_option():
    """Set options of the section [swift], which its next session obeys."""
    with ExitStack() as stack:

        def set_option(name, value):
            CONF.set_override(name, value, group="swift")
            stack.callback(CONF.clear_override, name, group="swift")

        stack.callback(swift._load_adapter.cache_clear)
        swift._load_adapter.cache_clear()
        yield set_option


@pytest.fixture
def impatient(set_option):
    set_option("timeout", 1)
    set_option("connect_retries", 0)


class TestSwift(ObjectStoreContract):
    @pytest.fixture
    def store(self, service, account):
        return SwiftAPI(service.user, None, service.key, service.auth_url)

    @pytest.fixture
    def container(self):
        return CONTAINER


# Temporary URLs


def test_temporary_url_ends(store, source):
    store.upload_object(CONTAINER, NAME, source)
    url = store.get_tmp_url(CONTAINER, NAME, 2, suffix=".img")
    assert http_get(url).content == b"content"
    expires = int(parse_qs(urlsplit(url).query)["temp_url_expires"][0])
    time.sleep(max(0.0, expires + 1.1 - time.time()))
    assert http_get(url).status_code == 401


def test_temporary_url_is_for_one_object(store, source):
    store.upload_object(CONTAINER, NAME, source)
    store.upload_object(CONTAINER, "other", source)
    url = store.get_tmp_url(CONTAINER, NAME, 600, suffix=".img")
    assert http_get(url.replace(f"/{NAME}?", "/other?")).status_code == 401
    assert requests.put(url, data=b"", timeout=SECONDS_FOR_HTTP).status_code == 401


def test_cannot_tell_what_is_read(store, source):
    store.upload_object(CONTAINER, NAME, source)
    assert store.name_url(store.get_tmp_url(CONTAINER, NAME, 600, suffix=".img")) is None


def test_no_temporary_url_key(store, source, account):
    store.upload_object(CONTAINER, NAME, source)
    account.post_account({"X-Account-Meta-Temp-Url-Key": ""})
    with pytest.raises(StoreError, match=rf"Neither .*{CONTAINER}.* --property Temp-URL-Key=<32"):
        store.get_tmp_url(CONTAINER, NAME, 600, suffix=".img")


@pytest.mark.parametrize("name", ["Temp-Url-Key", "Temp-Url-Key-2"])
def test_temporary_url_key_of_the_container(store, source, account, name):
    store.upload_object(CONTAINER, NAME, source)
    account.post_account({"X-Account-Meta-Temp-Url-Key": ""})
    account.post_container(CONTAINER, {f"X-Container-Meta-{name}": "k" * 32})
    url = store.get_tmp_url(CONTAINER, NAME, 600, suffix=".img")
    assert http_get(url).content == b"content"
    assert "k" * 32 not in url


# Who we are


def test_expired_token_is_replaced(store, source):
    store.upload_object(CONTAINER, NAME, source)
    session = store._adapter.session
    session.auth.get_access(session).auth_token = "AUTH_tkexpired"
    assert store.get_object_info(CONTAINER, NAME) == ObjectInfo(NAME, 7)
    store.upload_object(CONTAINER, NAME, source)


def test_conductors_own_credentials(service, account, source, set_option):
    set_option("auth_type", "v1password")
    with pytest.raises(InvalidInput, match=r"\[swift\].*auth_url, username, password"):
        publisher.get_object_store()
    register_auth_options()
    for name, value in (
        ("auth_url", service.auth_url),
        ("username", service.user),
        ("password", service.key),
    ):
        set_option(name, value)
    store = publisher.get_object_store()
    store.upload_object(CONTAINER, NAME, source)
    assert account.get_object(CONTAINER, NAME)[1] == b"content"


def register_auth_options():
    from keystoneauth1 import loading

    options = loading.get_auth_plugin_conf_options("v1password")
    CONF.register_opts(options, group="swift")


def test_wrong_credentials(service, source):
    secret = "wrong-" + "s" * 20
    store = SwiftAPI(service.user, None, secret, service.auth_url)
    for call in calls(store, source):
        with pytest.raises(StoreError, match=r"refused.*Check user, password") as caught:
            call()
        assert secret not in str(caught.value)


def calls(store, source):
    """All that can be asked of a store."""
    return [
        lambda: store.upload_object(CONTAINER, NAME, source),
        lambda: store.delete_object(CONTAINER, NAME),
        lambda: store.get_tmp_url(CONTAINER, NAME, 600, suffix=".img"),
        lambda: store.get_object_info(CONTAINER, NAME),
        lambda: store.update_object(CONTAINER, NAME, metadata={}, delete_after=None),
        lambda: store.list_objects(CONTAINER),
    ]


def test_container_refused(service, account, store, source):
    store.upload_object(CONTAINER, NAME, source)
    guest = SwiftAPI(service.guest, None, service.key, service.auth_url)
    for call in calls(guest, source):
        with pytest.raises(StoreError, match=rf"{CONTAINER}.*403 Forbidden.*operator_roles"):
            call()


def test_user_with_rights_on_the_container_alone(service, account, store, source):
    account.put_container(
        CONTAINER,
        {
            "X-Container-Read": f"{service.guest},.rlistings",
            "X-Container-Write": service.guest,
        },
    )
    guest = SwiftAPI(service.guest, None, service.key, service.auth_url)
    guest.upload_object(CONTAINER, NAME, source, metadata={"usage_count": "1"})
    assert guest.get_object_info(CONTAINER, NAME).metadata == {"usage_count": "1"}
    guest.delete_object(CONTAINER, NAME)
    assert guest.list_objects(CONTAINER) == []


def test_container_is_not_created_unless_asked(store, source, account):
    with pytest.raises(StoreError, match=rf"{CONTAINER}/{NAME}.*404 Not Found.*the container"):
        store.upload_object(CONTAINER, NAME, source, create_container=False)
    assert account.get_account()[1] == []


# Swift does not answer


def test_swift_is_down(source, impatient):
    store = SwiftAPI("user", None, "key", f"http://{LOOPBACK}:{free_ports(1)[0]}/auth/v1.0")
    for call in calls(store, source):
        with pytest.raises(StoreError, match=r"Unable to establish connection"):
            call()


def test_keystone_works_and_swift_is_down(service, store, source, impatient):
    store = with_endpoint(service, f"http://{LOOPBACK}:{free_ports(1)[0]}/v1/AUTH_test")
    for call in calls(store, source):
        with pytest.raises(StoreError, match=rf"{NAME}|{CONTAINER}.*Connection refused.*runs"):
            call()


def with_endpoint(service, url):
    """Make a store that gets real tokens, and uses them elsewhere."""
    store = SwiftAPI(service.user, None, service.key, service.auth_url)
    store._adapter.endpoint_override = url
    return store


def test_swift_hangs(service, source, impatient):
    with socket.create_server((LOOPBACK, 0)) as listener:
        store = with_endpoint(
            service, f"http://{LOOPBACK}:{listener.getsockname()[1]}/v1/AUTH_test"
        )
        started = time.monotonic()
        with pytest.raises(StoreError, match=r"did not answer in time"):
            store.list_objects(CONTAINER)
        assert time.monotonic() - started < 30


def test_upload_is_cut(service, store, large_source, impatient):
    large_source.write_bytes(large_source.read_bytes()[:MAX_FILE_SIZE])
    store.upload_object(CONTAINER, NAME, large_source, metadata={"a": "1"})
    before = store.get_object_info(CONTAINER, NAME)
    with relay(service, bytes_until_cut=MAX_FILE_SIZE // 2) as url:
        with pytest.raises(StoreError, match=rf"Storing .*{NAME} failed: no answer from Swift"):
            with_endpoint(service, f"{url}/v1/AUTH_test").upload_object(
                CONTAINER, NAME, large_source
            )
    assert store.get_object_info(CONTAINER, NAME) == before


def test_upload_is_tried_again(service, store, large_source, set_option):
    set_option("connect_retries", 1)
    large_source.write_bytes(large_source.read_bytes()[:MAX_FILE_SIZE])
    with relay(service, bytes_until_cut=MAX_FILE_SIZE // 2, cuts=1) as url:
        with_endpoint(service, f"{url}/v1/AUTH_test").upload_object(CONTAINER, NAME, large_source)
    url = store.get_tmp_url(CONTAINER, NAME, 600, suffix=".iso")
    assert http_get(url).content == large_source.read_bytes()


@contextmanager
def relay(service, *, bytes_until_cut, cuts=1000):
    """Pass connections on to Swift, and cut those that send too much.

    :param cuts: how many are cut; the next ones are not.
    """
    swift_address = (LOOPBACK, urlsplit(service.url).port)
    cuts_left = iter(range(cuts))
    threads = []
    ends = []

    def start(function, *arguments):
        threads.append(threading.Thread(target=function, args=arguments))
        threads[-1].start()

    def serve():
        with suppress(OSError):  # the end: nobody listens any more
            while True:
                client = stack.enter_context(listener.accept()[0])
                server = stack.enter_context(socket.create_connection(swift_address))
                ends.extend((client, server))
                start(forward, client, server, bytes_until_cut)
                start(forward, server, client, None)

    def forward(source, target, limit):
        sent = 0
        with suppress(OSError):
            while data := source.recv(65536):
                sent += len(data)
                if limit is not None and sent > limit and next(cuts_left, None) is not None:
                    break
                target.sendall(data)
        hang_up(source, target)

    def hang_up(*sockets):
        for end in sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((LOOPBACK, 0)))
        start(serve)
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        # swiftclient's connections stay open until Python collects them.
        hang_up(listener, *ends)
        for thread in threads:
            thread.join(SECONDS_FOR_HTTP)


# Objects larger than Swift's largest


def test_large_object_is_one_object(store, account, large_source):
    store.upload_object(CONTAINER, NAME, large_source, metadata={"usage_count": "1"})
    content = large_source.read_bytes()
    assert len(names(account, SEGMENTS)) == 3
    assert store.list_objects(CONTAINER) == [NAME]
    expected = ObjectInfo(NAME, len(content), None, {"usage_count": "1"})
    assert store.get_object_info(CONTAINER, NAME) == expected
    url = store.get_tmp_url(CONTAINER, NAME, 600, suffix=".iso")
    assert http_get(url).content == content
    first, last = MAX_FILE_SIZE - 10, 2 * MAX_FILE_SIZE + 10
    ranged = requests.get(
        url, headers={"Range": f"bytes={first}-{last}"}, timeout=SECONDS_FOR_HTTP
    )
    assert (ranged.status_code, ranged.content) == (206, content[first : last + 1])


def names(account, container):
    return [entry["name"] for entry in account.get_container(container)[1]]


def test_large_object_leaves_nothing(store, account, large_source, source):
    store.upload_object(CONTAINER, NAME, large_source)
    old = names(account, SEGMENTS)
    store.upload_object(CONTAINER, NAME, large_source)
    assert len(names(account, SEGMENTS)) == 3
    assert not set(names(account, SEGMENTS)) & set(old)
    store.upload_object(CONTAINER, NAME, source)
    assert names(account, SEGMENTS) == []
    store.upload_object(CONTAINER, NAME, large_source)
    store.delete_object(CONTAINER, NAME)
    assert names(account, SEGMENTS) == names(account, CONTAINER) == []


def test_segments_expire_after_their_object(store, account, large_source):
    store.upload_object(CONTAINER, NAME, large_source, delete_after=600)
    assert lifetimes(account) == [pytest.approx(600 + 24 * 3600, abs=60)] * 3
    store.update_object(CONTAINER, NAME, metadata={}, delete_after=None)
    assert lifetimes(account) == [None] * 3
    store.update_object(CONTAINER, NAME, metadata={}, delete_after=3600)
    assert lifetimes(account) == [pytest.approx(25 * 3600, abs=60)] * 3
    url = store.get_tmp_url(CONTAINER, NAME, 600, suffix=".iso")
    assert http_get(url).content == large_source.read_bytes()
    store.upload_object(CONTAINER, NAME, large_source)
    assert lifetimes(account) == [None] * 3


def lifetimes(account):
    """Give the seconds that each segment still has; ``None``: for ever."""
    found = [
        account.head_object(SEGMENTS, name).get("x-delete-at") for name in names(account, SEGMENTS)
    ]
    return [None if moment is None else int(moment) - time.time() for moment in found]


def test_failed_large_upload_leaves_the_old_object(store, account, source, large_source):
    store.upload_object(CONTAINER, NAME, source)
    put_object = swiftclient.Connection.put_object

    def put_no_manifest(self, container, *arguments, **options):
        if "query_string" in options:
            message = "no manifest today"
            raise swiftclient.ClientException(message, http_status=503, http_reason="Busy")
        return put_object(self, container, *arguments, **options)

    with mock.patch.object(swiftclient.Connection, "put_object", put_no_manifest):
        with pytest.raises(StoreError, match="503 Busy"):
            store.upload_object(CONTAINER, NAME, large_source)
    assert store.get_object_info(CONTAINER, NAME).size == 7
    assert lifetimes(account) == [pytest.approx(24 * 3600, abs=60)] * 3
