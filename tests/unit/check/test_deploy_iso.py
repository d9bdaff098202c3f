"""The deploy ISO's check, with files and web servers."""

import pytest

from ironic_ilo.check import deploy_iso
from ironic_ilo.check.findings import Status, run_checks
from ironic_ilo.check.subject import GivenNode
from tests.isos import BIOS, UEFI, make_iso
from tests.unit.check.serving import send, send_range, serving

# Several times what anything takes here.
SECONDS = 60


def check(href):
    node = GivenNode("127.0.0.1", {} if href is None else {"deploy_iso": href})
    (finding,) = run_checks(deploy_iso.make_group(node, SECONDS), SECONDS)
    return finding


@pytest.fixture
def iso(tmp_path, configure):
    configure("file_url_allowed_paths", [str(tmp_path)], "conductor")
    return make_iso(tmp_path / "deploy.iso", BIOS, UEFI)


def test_a_file(iso):
    found = check(iso.as_uri())
    assert found.status is Status.OK
    assert str(iso) in found.detail
    assert "BIOS and UEFI" in found.detail


def test_a_file_that_there_is_not(iso):
    found = check(f"{iso.as_uri()}.old")
    assert found.status is Status.FAILURE
    assert "deploy.iso.old" in found.detail
    assert "file_url_allowed_paths" in found.hint


def test_a_file_elsewhere(iso, configure):
    configure("file_url_allowed_paths", ["/var/lib/nowhere"], "conductor")
    found = check(iso.as_uri())
    assert found.status is Status.FAILURE
    assert "not allowed" in found.detail


def test_a_file_that_cannot_be_read(iso, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    found = check(iso.as_uri())
    assert found.status is Status.FAILURE
    assert "Permission denied" in found.detail
    assert "user that the conductor runs as" in found.hint


def test_a_web_server(iso):
    content = iso.read_bytes()
    with serving(lambda handler: send_range(handler, content)) as url:
        found = check(f"{url}/deploy.iso?token=hunter2")
    assert found.status is Status.OK
    assert f"{url}/deploy.iso," in found.detail
    assert "hunter2" not in f"{found}"


def test_a_web_server_with_half_of_it(iso):
    content = iso.read_bytes()[: 40 * 2048]
    with serving(lambda handler: send_range(handler, content)) as url:
        found = check(f"{url}/deploy.iso")
    assert found.status is Status.FAILURE
    assert "cut off" in found.detail


def test_a_web_server_without_ranges(iso):
    content = iso.read_bytes()
    with serving(lambda handler: send(handler, 200, content)) as url:
        found = check(f"{url}/deploy.iso")
    assert found.status is Status.FAILURE
    assert "no HTTP ranges" in found.detail


@pytest.mark.parametrize(
    ("href", "words"), [(None, "lacks deploy_iso"), ("deploy.iso", "deploy_iso must be")]
)
def test_an_href_that_is_none(href, words):
    found = check(href)
    assert found.status is Status.FAILURE
    assert words in found.detail
