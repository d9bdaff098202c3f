"""``ironic-ilo check`` with the store in Swift, and the deploy ISO in Glance."""

import pytest

from tests.functional.checking import known_node, read_json, run_check
from tests.isos import BIOS, make_iso

pytestmark = pytest.mark.functional


@pytest.fixture
def server(openstack_cloud):
    return openstack_cloud.services.servers["node-1"]


def check(cloud, server, deploy_iso):
    with known_node(cloud, server, "checked", deploy_iso=deploy_iso):
        done = run_check("checked", "--config-file", cloud.services.config, "--json")
    return done.returncode, read_json(done)


def test_a_node_in_order(openstack_cloud, server, tmp_path):
    image = openstack_cloud.upload_image("small", make_iso(tmp_path / "small.iso", BIOS))
    code, found = check(openstack_cloud, server, image)
    wrong = {name: each["status"] for name, each in found.items() if each["status"] != "ok"}
    assert (code, wrong) == (0, {"deploy-iso": "warning"})
    assert "UEFI" in found["deploy-iso"]["hint"]
    assert "Swift" in found["store"]["detail"]
    assert openstack_cloud.stored("check-") == []
    assert "temp_url_sig" not in str(found)


def test_an_image_that_there_is_not(openstack_cloud, server):
    image = "00000000-0000-0000-0000-000000000000"
    code, found = check(openstack_cloud, server, image)
    assert code == 1
    assert found["deploy-iso"]["status"] == "failure"
    assert image in found["deploy-iso"]["detail"]


def test_credentials_that_are_wrong(openstack_cloud, server, tmp_path):
    """Keystone's refusal is told, and nothing else hidden."""
    wrong = tmp_path / "wrong.conf"
    wrong.write_text("[swift]\npassword = wrong-Pa$$w0rd\n")
    files = ["--config-file", openstack_cloud.services.config, "--config-file", wrong]
    with known_node(openstack_cloud, server, "checked", deploy_iso="http://127.0.0.1:1/x.iso"):
        done = run_check("checked", *files, "--json")
    found = read_json(done)
    assert done.returncode == 1
    assert "credentials for Swift were refused" in found["store-publish"]["detail"]
    assert found["store-ranges"]["status"] == "skipped"
    assert found["power"]["status"] == "ok"
    assert found["deploy-iso"]["status"] == "failure"
    assert "wrong-Pa$$w0rd" not in done.stdout
