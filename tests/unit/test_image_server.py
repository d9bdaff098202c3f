import http.client
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_ilo.exception import InvalidInput, StoreError
from ironic_ilo.image_server import RangeNotSatisfiableError, Selection, run_server, select_bytes
from ironic_ilo.web_store import WebStore
from tests.image_server_process import HOST, SIGNING_KEY, running_image_server

CONTAINER = "ironic_ilo_container"
NAME = "image-1be26c0b-03f2-4d2e-ae87-c02d7f33c781"
TIMEOUT = 60
CONTENT = random.Random(1).randbytes(300_007)
# More than the sockets' buffers can hold.
LARGE = random.Random(2).randbytes(1_000_003) * 24


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_image_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def session():
    with requests.Session() as session:
        yield session


def publish(server, directory, content, name=NAME, **kwargs):
    """Store an object and return a URL of it."""
    source = directory / "source"
    source.write_bytes(content)
    store = WebStore(server.root, server.url, SIGNING_KEY)
    store.upload_object(CONTAINER, name, source, **kwargs)
    return store.get_tmp_url(CONTAINER, name, 600, suffix=".iso")


@pytest.fixture(scope="module")
def url(server, tmp_path_factory):
    return publish(server, tmp_path_factory.mktemp("source"), CONTENT)


@pytest.fixture
def get(session, url):
    def get(**headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return session.get(url, headers=named, timeout=TIMEOUT)

    return get


def wait_for(condition, what):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)


def signature_of(url):
    return urlsplit(url).path.split("/")[3].split("-", 1)[1]


# Ranges


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, (0, 10, False)),
        ("bytes=0-0", 10, (0, 1, True)),
        ("bytes=2-5", 10, (2, 4, True)),
        ("Bytes=2-5", 10, (2, 4, True)),
        ("bytes=2-", 10, (2, 8, True)),
        ("bytes=9-9", 10, (9, 1, True)),
        ("bytes=2-99", 10, (2, 8, True)),
        ("bytes=-3", 10, (7, 3, True)),
        ("bytes=-99", 10, (0, 10, True)),
        ("bytes=5-2", 10, (0, 10, False)),
        ("bytes=-", 10, (0, 10, False)),
        ("bytes=", 10, (0, 10, False)),
        ("bytes=a-b", 10, (0, 10, False)),
        ("bytes=0-1,3-4", 10, (0, 10, False)),
        ("sectors=0-1", 10, (0, 10, False)),
        ("bytes=\u0661-\u0662", 10, (0, 10, False)),
        (f"bytes={'9' * 5000}-", 10, (0, 10, False)),
        (None, 0, (0, 0, False)),
    ],
)
def test_select_bytes(header, size, expected):
    assert select_bytes(header, size) == Selection(*expected)


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)],
)
def test_select_bytes_that_do_not_exist(header, size):
    with pytest.raises(RangeNotSatisfiableError):
        select_bytes(header, size)


@settings(deadline=None, max_examples=60)
@given(start=st.integers(0, len(CONTENT) - 1), count=st.integers(1, len(CONTENT)))
def test_any_range_holds_its_bytes(session, url, start, count):
    headers = {"Range": f"bytes={start}-{start + count - 1}"}
    response = session.get(url, headers=headers, timeout=TIMEOUT)
    expected = CONTENT[start : start + count]
    last = start + len(expected) - 1
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {start}-{last}/{len(CONTENT)}"
    assert response.content == expected


def test_open_and_suffix_ranges(get):
    assert get(Range="bytes=300000-").content == CONTENT[300_000:]
    assert get(Range="bytes=-7").content == CONTENT[-7:]


def test_range_behind_the_end(get):
    response = get(Range=f"bytes={len(CONTENT)}-")
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
    assert response.content == b""


def test_whole_object(get):
    response = get()
    assert (response.status_code, response.content) == (200, CONTENT)
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert "Content-Range" not in response.headers


def test_if_range(get):
    headers = get(Range="bytes=0-0").headers
    for known in (headers["ETag"], headers["Last-Modified"]):
        assert get(Range="bytes=5-9", If_Range=known).content == CONTENT[5:10]
    for unknown in ('"another"', "Thu, 01 Jan 1970 00:00:00 GMT"):
        response = get(Range="bytes=5-9", If_Range=unknown)
        assert (response.status_code, response.content) == (200, CONTENT)
    assert parsedate_to_datetime(headers["Last-Modified"]) <= datetime.now(UTC)


def test_head(session, url):
    for headers in ({}, {"Range": "bytes=0-9"}):  # a range is for GET alone (RFC 9110, 14.2)
        response = session.head(url, headers=headers, timeout=TIMEOUT)
        assert response.status_code == 200
        assert int(response.headers["Content-Length"]) == len(CONTENT)
        assert response.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods(session, url, method):
    assert session.request(method, url, timeout=TIMEOUT).status_code == 405


# Who gets what


def raw_get(server, path):
    """GET a path as it stands: requests would tidy it up."""
    connection = http.client.HTTPConnection(*server.address, timeout=TIMEOUT)
    try:
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", "images")
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_changed_byte_is_refused(server, url, data):
    path = urlsplit(url).path
    position = data.draw(st.integers(1, len(path) - 1))
    byte = data.draw(st.sampled_from("azAZ09-_.~/%").filter(lambda char: char != path[position]))
    status, body = raw_get(server, path[:position] + byte + path[position + 1 :])
    assert (status, body) == (404, b"There is no such image.\n")


def test_every_refusal_looks_the_same(server, session, url, tmp_path):
    gone = publish(server, tmp_path, b"content", name="gone")
    WebStore(server.root, server.url, SIGNING_KEY).delete_object(CONTAINER, "gone")
    store = WebStore(server.root, server.url, SIGNING_KEY, clock=lambda: time.time() - 100)
    expired = store.get_tmp_url(CONTAINER, NAME, 50, suffix=".iso")
    other_key = WebStore(server.root, server.url, "k" * 32)
    urls = [
        gone,
        expired,
        other_key.get_tmp_url(CONTAINER, NAME, 60, suffix=".iso"),
        f"{url}?a=b",
        f"{server.url}/",
        f"{server.url}/{CONTAINER}/",
        f"{server.url}/{CONTAINER}/{NAME}",
        f"{server.url}/{CONTAINER}/contents",
    ]
    for refused in urls:
        response = session.get(refused, timeout=TIMEOUT)
        assert (response.status_code, response.text) == (404, "There is no such image.\n"), refused
    for path in (f"{urlsplit(url).path}?", "/../../etc/passwd", f"/{CONTAINER}/../root", "//"):
        assert raw_get(server, path) == (404, b"There is no such image.\n"), path


def test_a_read_that_cannot_be_noted_is_served(server, session, tmp_path):
    url = publish(server, tmp_path, b"content", name="unmarked")
    marks = server.root / CONTAINER / "fetched"
    marks.rename(aside := marks.with_name("aside"))
    marks.write_text("no directory")
    try:
        assert session.get(url, timeout=TIMEOUT).content == b"content"
    finally:
        marks.unlink()
        aside.rename(marks)
    assert f"Noting a read of {CONTAINER}/unmarked failed" in server.log


def test_an_expired_object_is_not_served(server, session, tmp_path):
    url = publish(server, tmp_path, b"content", name="brief", delete_after=1)
    assert session.get(url, timeout=TIMEOUT).ok
    wait_for(lambda: not session.get(url, timeout=TIMEOUT).ok, "the expiry")


# Logs


def test_logs_name_the_object_but_never_the_signature(server, session, url):
    for headers in ({}, {"Range": "bytes=10-19"}, {"Range": "bytes=999999999-"}):
        session.get(url, headers=headers, timeout=TIMEOUT)
    changed = url.replace(".iso", ".img")
    session.get(changed, timeout=TIMEOUT)
    session.get(f"{url}x", timeout=TIMEOUT)
    with socket.create_connection(server.address, TIMEOUT) as client:
        # aiohttp shows malformed requests in its errors.
        client.sendall(f"GET {urlsplit(url).path} HTTP/nine\r\n\r\n".encode())
        assert b" 400 " in client.recv(4096)
    wait_for(lambda: "Error handling request" in server.log, "the log of a bad request")
    assert f"GET {CONTAINER}/{NAME} range 'bytes=10-19': status 206, 10 of 10 bytes" in server.log
    assert f"GET {CONTAINER}/{NAME} range 'bytes=999999999-': status 416" in server.log
    assert f"Refused {CONTAINER}/{NAME} to" in server.log
    assert signature_of(url) not in server.log
    assert SIGNING_KEY not in server.log


# Slow, stuck and interrupted clients


@contextmanager
def slow_client(server, url, *, take=1000):
    """Ask for an object, read its header and a little more, then hold the connection."""
    with socket.create_connection(server.address, TIMEOUT) as client:
        client.sendall(f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: images\r\n\r\n".encode())
        reader = client.makefile("rb")
        while reader.readline().strip():
            pass
        assert reader.read(take) == LARGE[:take]
        yield reader


@pytest.fixture
def large_url(server, tmp_path):
    return publish(server, tmp_path, LARGE, name="large")


def test_many_slow_clients_do_not_hold_up_others(server, session, large_url, url):
    with ExitStack() as slow:
        for _ in range(60):
            slow.enter_context(slow_client(server, large_url))
        with ThreadPoolExecutor(8) as pool:
            bodies = pool.map(lambda _: requests.get(url, timeout=TIMEOUT).content, range(16))
            assert all(body == CONTENT for body in bodies)
        assert session.get(f"{server.url}/healthz", timeout=TIMEOUT).text == "ok\n"


def test_a_running_transfer_outlives_its_object(server, large_url):
    with slow_client(server, large_url) as reader:
        WebStore(server.root, server.url, SIGNING_KEY).delete_object(CONTAINER, "large")
        assert reader.read(len(LARGE) - 1000) == LARGE[1000:]


def test_an_interrupted_transfer_is_logged_with_what_was_sent(server, tmp_path):
    url = publish(server, tmp_path, LARGE, name="interrupted")
    with slow_client(server, url):
        pass
    wait_for(lambda: f"{CONTAINER}/interrupted range" in server.log, "the log of it")
    line = next(line for line in server.log.splitlines() if "interrupted range" in line)
    sent, _, total = line.rpartition(", ")[2].removesuffix(" bytes").partition(" of ")
    assert 1000 <= int(sent) < int(total) == len(LARGE)


def test_a_client_that_takes_nothing_is_cut_off(tmp_path):
    with running_image_server(tmp_path, stalled_seconds=1.0) as server:
        url = publish(server, tmp_path, LARGE, name="stuck")
        with slow_client(server, url) as reader:
            wait_for(lambda: f"{CONTAINER}/stuck range" in server.log, "the cut")
            with pytest.raises(ConnectionResetError):
                while reader.read(65536):
                    pass


# The service


def test_sweeps_by_itself(tmp_path):
    with running_image_server(tmp_path, sweep_seconds=0.1) as server:
        publish(server, tmp_path, b"secrets", delete_after=1)
        contents = server.root / CONTAINER / "contents"
        wait_for(lambda: not list(contents.iterdir()), "the sweep")
        wait_for(lambda: f"Removed {CONTAINER}/{NAME}" in server.log, "its log")


def test_a_failing_sweep_does_not_end_the_service(tmp_path, session):
    with running_image_server(tmp_path, sweep_seconds=0.1) as server:
        url = publish(server, tmp_path, b"content")
        lock = server.root / CONTAINER / "lock"
        lock.unlink()
        lock.mkdir()
        wait_for(lambda: "Sweeping" in server.log, "the failure")
        assert session.get(url, timeout=TIMEOUT).ok


def test_health(tmp_path, session):
    with running_image_server(tmp_path) as server:
        assert session.get(f"{server.url}/healthz", timeout=TIMEOUT).status_code == 200
        server.root.rmdir()
        server.root.touch()
        assert session.get(f"{server.url}/healthz", timeout=TIMEOUT).status_code == 503


def test_sigterm_lets_a_transfer_finish(tmp_path):
    with running_image_server(tmp_path) as server:
        url = publish(server, tmp_path, LARGE, name="large")
        with slow_client(server, url) as reader:
            server.process.terminate()
            wait_for(lambda: not listens(server), "the end of listening")
            assert reader.read(len(LARGE) - 1000) == LARGE[1000:]
        assert server.process.wait(TIMEOUT) == 0
        assert not (tmp_path / "ready").exists()


def listens(server):
    try:
        socket.create_connection(server.address, TIMEOUT).close()
    except ConnectionRefusedError:
        return False
    return True


def test_urls_outlive_a_restart(tmp_path):
    with running_image_server(tmp_path) as server:
        url = publish(server, tmp_path, CONTENT)
        assert server.stop() == 0
    with running_image_server(tmp_path, port=server.address[1]):
        assert requests.get(url, timeout=TIMEOUT).content == CONTENT


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate with its key in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        made.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_https(tmp_path, certificate):
    with running_image_server(tmp_path, certificate=str(certificate)) as server:
        assert server.url.startswith("https://")
        url = publish(server, tmp_path, CONTENT)
        verified = {"verify": str(certificate), "timeout": TIMEOUT}
        assert requests.get(url, **verified).content == CONTENT
        response = requests.get(url, headers={"Range": "bytes=1000-299999"}, **verified)
        assert (response.status_code, response.content) == (206, CONTENT[1000:300_000])
        wait_for(lambda: "status 206, 299000 of 299000 bytes" in server.log, "the log")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bad_certificate_is_refused(tmp_path, content):
    path = tmp_path / "certificate.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInput, match=str(path)):
        run_server(tmp_path / "root", SIGNING_KEY, HOST, 0, certificate=path)


def test_a_short_signing_key_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="signing_key"):
        run_server(tmp_path / "root", "k" * 31, HOST, 0)
    assert list(tmp_path.iterdir()) == []


def test_an_address_in_use_is_refused(tmp_path, server):
    with pytest.raises(StoreError, match=f"{HOST} port {server.address[1]}"):
        run_server(tmp_path / "root", SIGNING_KEY, *server.address)


def test_an_unwritable_ready_file_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="ready file"):
        run_server(
            tmp_path / "root", SIGNING_KEY, HOST, 0, ready_file=tmp_path / "missing" / "ready"
        )
