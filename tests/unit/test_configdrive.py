"""Config drives: the three forms that Ironic gives, and what is none."""

import base64
import copy
import gzip
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ironic.common import exception
from ironic.conf import CONF

from ironic_ilo import configdrive, execute
from ironic_ilo.ironic_errors import IloOperationError
from tests.unit.nodes import make_node
from tests.web_server import web_server

CANARY = "c4nary-0f8e2d"
# A volume descriptor that says as much as blkid asks for (ECMA-119, section 8.4).
ISO = (bytes(32768) + b"\x01CD001\x01\0" + b" " * 32 + b"config-2".ljust(32)).ljust(40960, b"\0")


def pack(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def make(given: object, **instance_info: object):
    node = make_node(configdrive=given, **instance_info)
    node.name = None
    return node


@pytest.fixture(autouse=True)
def allowed_files(request, tmp_path):
    CONF.set_override("file_url_allowed_paths", [str(tmp_path)], group="conductor")
    request.addfinalizer(lambda: CONF.clear_override("file_url_allowed_paths", group="conductor"))


@pytest.fixture
def url(tmp_path) -> Iterator[str]:
    """Serve a directory with the config drive in both forms."""
    directory = tmp_path / "served"
    directory.mkdir()
    (directory / "text").write_text(pack(ISO))
    (directory / "gzipped").write_bytes(gzip.compress(ISO))
    (directory / "noise").write_text(CANARY)
    with web_server(directory) as served:
        yield served


def read(node) -> bytes:
    with configdrive.opened(node) as path:
        content = path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
    return content


@pytest.mark.parametrize("given", [..., None, ""])
def test_there_is_none(given):
    node = make(given)
    assert not configdrive.is_wanted(node)
    configdrive.check(node)
    with configdrive.opened(node) as path:
        assert path is None


def test_no_other_file_holds_it(monkeypatch, tmp_path):
    """A conductor that is killed leaves the one behind, and no copies."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []
    run = execute.execute

    def look(*arguments: object, **options: object) -> object:
        seen.append([path.name for path in tmp_path.glob("*") if path.is_file()])
        return run(*arguments, **options)

    monkeypatch.setattr(execute, "execute", look)
    configdrive.check(make(pack(ISO)))
    assert seen
    assert all(name.startswith("ilo-configdrive-") for names in seen for name in names)


def test_text():
    text = pack(ISO)
    lines = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    for given in (text, lines, f" {text}\n"):
        assert configdrive.is_wanted(make(given))
        assert read(make(given)) == ISO


@pytest.mark.parametrize("name", ["text", "gzipped"])
def test_urls(url, tmp_path, name):
    assert read(make(f"{url}/{name}?sig={CANARY}")) == ISO
    assert read(make((tmp_path / "served" / name).as_uri())) == ISO


def test_object():
    given = {"user_data": CANARY, "meta_data": {"hostname": "here"}}
    node = make(copy.deepcopy(given))
    content = read(node)
    assert CANARY.encode() in content
    assert node.uuid.encode() in content
    # Ironic's defaults stay out of the node's record.
    assert node.instance_info["configdrive"] == given


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (f"{CANARY}!", "is not base64"),
        (base64.b64encode(CANARY.encode()).decode(), "is not gzipped"),
        (pack(ISO)[:-16], "is not gzipped, or damaged"),
        (pack(b""), "no file system labelled config-2"),
        (pack(CANARY.encode()), "no file system labelled config-2"),
        (pack(ISO.replace(b"config-2", b"config-1")), "no file system labelled config-2"),
        (pack(bytes((64 << 20) + 1)), "larger than 64 MiB"),
        (f"ftp://127.0.0.1/drive?sig={CANARY}", "neither http, https nor file"),
        (f"http://[{CANARY}", "Its URL is none"),
        (f"http://{CANARY}@\u2100.example/", "Its URL is none"),
        ([CANARY], "neither text nor an object"),
        ({"meta_data": [CANARY]}, "not of the right kind"),
        ({"user_data": 5}, "not of the right kind"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused(given, reason):
    node = make(given)
    with pytest.raises(exception.InvalidParameterValue, match=f"{node.uuid}.*{reason}") as caught:
        configdrive.check(node)
    assert CANARY not in everything_said(caught.value)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("nowhere", r"cannot be read from http://127.0.0.1:\d+/nowhere: .*404"),
     ("noise", "is not base64")],
)  # fmt: skip
def test_a_url_without_one_is_refused(url, path, reason):
    node = make(f"{url}/{path}?sig={CANARY}")
    with pytest.raises(exception.IronicException, match=reason) as caught:
        configdrive.check(node)
    assert CANARY not in everything_said(caught.value)


def test_a_url_of_something_large_is_not_read_to_its_end(url, tmp_path, monkeypatch):
    monkeypatch.setattr(configdrive, "_MAX_ENCODED_BYTES", 100)
    for given in (f"{url}/text", (tmp_path / "served/text").as_uri()):
        with pytest.raises(exception.InvalidParameterValue, match="larger than 100 bytes"):
            configdrive.check(make(given))


def test_files_elsewhere_are_not_read():
    with pytest.raises(IloOperationError, match=r"cannot be read from file:///etc/hostname"):
        configdrive.check(make("file:///etc/hostname"))


def test_nothing_is_left_of_one_that_is_refused(request, tmp_path):
    CONF.set_override("tempdir", str(tmp_path))
    request.addfinalizer(lambda: CONF.clear_override("tempdir"))
    with pytest.raises(exception.InvalidParameterValue):
        configdrive.check(make(pack(b"none")))
    assert list(Path(tmp_path).iterdir()) == []


def everything_said(error: BaseException | None) -> str:
    """Return the text of an error and of all that caused it and would be logged."""
    said = ""
    while error is not None:
        said += f"{error!r} {error} "
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return said
