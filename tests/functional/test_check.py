"""``ironic-ilo check`` against an emulated iLO, a real Ironic and its image server."""

import dataclasses
import shutil
import socket
import time

import pytest

from ironic_ilo.bmc import Access, Device, connect
from ironic_ilo.check import ilo
from ironic_ilo.check.findings import Status, run_checks
from ironic_ilo.exception import InvalidInput
from lab.config_file import write_config_file
from tests.functional.checking import count_refused_logins, known_node, read_json, run_check
from tests.isos import BIOS, UEFI, make_iso

pytestmark = pytest.mark.functional

# Several times what anything takes here.
SECONDS = 60
AFTER_LOGIN = {
    "product",
    "privileges",
    "licence",
    "virtual-media",
    "power",
    "boot-mode",
    "secure-boot",
}


@pytest.fixture
def server(cloud):
    """One of the lab's servers; it behaves again afterwards."""
    server = cloud.services.servers["node-1"]
    yield server
    cloud.control.clear_faults(server.name)


@pytest.fixture
def access(server):
    return Access(
        server.address,
        server.username,
        server.read_password(),
        server.port,
        verify_ca=server.certificate,
        timeout=SECONDS,
    )


@pytest.fixture(scope="module")
def iso(artifacts):
    """Make a small deploy ISO, where Ironic may read files."""
    path = make_iso(artifacts.directory / "check.iso", BIOS, UEFI)
    yield path
    path.unlink()
    shutil.rmtree(path.with_suffix(".tree"))


def check_ilo(access, *, seconds=SECONDS, **changes):
    """Check an iLO; tell the findings by name."""
    changed = dataclasses.replace(access, **changes)
    group = ilo.make_group(lambda: changed, seconds)
    found = {finding.check: finding for finding in run_checks(group, 2 * seconds)}
    assert access.password not in f"{found}"
    return found


def with_status(found, status):
    return {name for name, finding in found.items() if finding.status is status}


# The iLO


def test_an_ilo_in_order(access):
    found = check_ilo(access)
    assert with_status(found, Status.OK) == set(found)
    assert access.verify_ca in found["certificate"].detail
    assert found["virtual-media"].detail == "FLOPPY: empty; CDROM: empty"
    assert found["power"].detail == "off"
    assert "TLSv1.3" in found["tls"].detail


def test_what_is_in_the_drives_and_no_secret(access):
    url = "http://127.0.22.1:8088/v1/signature/deploy.iso"
    with connect(access) as server:
        server.insert_media(Device.CDROM, url)
        detail = check_ilo(access)["virtual-media"].detail
        server.eject_media(Device.CDROM)
    assert detail == "FLOPPY: empty; CDROM: an image from 127.0.22.1, not connected"


def test_wrong_password(access, cloud, server):
    before = count_refused_logins(cloud, server.name)
    found = check_ilo(access, password="wrong-Pa$$w0rd")
    assert with_status(found, Status.FAILURE) == {"login"}
    assert "ilo_password" in found["login"].hint
    assert with_status(found, Status.SKIPPED) == AFTER_LOGIN | {"answer-time"}
    # Once, so that the account is not locked.
    assert count_refused_logins(cloud, server.name) - before == 1
    assert "wrong-Pa$$w0rd" not in f"{found}"


def test_wrong_ca(access, cloud, server):
    before = len(cloud.control.requests(server.name))
    other = cloud.services.servers["node-0"].certificate
    found = check_ilo(access, verify_ca=other)
    assert with_status(found, Status.FAILURE) == {"certificate"}
    assert server.address in found["certificate"].detail
    assert "SHA-256" in found["certificate"].detail
    assert "ilo_verify_ca" in found["certificate"].hint
    # Whoever it is gets no password.
    assert len(cloud.control.requests(server.name)) == before
    assert found["login"].status is Status.SKIPPED


def test_no_verification(access):
    found = check_ilo(access, verify_ca=False)
    assert with_status(found, Status.WARNING) == {"certificate"}
    assert "anyone on the network" in found["certificate"].hint


def test_a_ca_file_that_is_none(access, tmp_path):
    found = check_ilo(access, verify_ca=str(tmp_path / "missing.pem"))
    assert with_status(found, Status.FAILURE) == {"certificate"}
    assert "missing.pem" in found["certificate"].detail


def test_no_licence(access, cloud, server):
    cloud.control.set_faults(server.name, no_license=True)
    found = check_ilo(access)
    assert with_status(found, Status.FAILURE) == {"licence"}
    assert "Standard" in found["licence"].detail
    assert "Advanced" in found["licence"].hint


def test_a_silent_ilo(access, cloud, server):
    cloud.control.set_faults(server.name, silent=True)
    started = time.monotonic()
    found = check_ilo(access, seconds=1)
    assert time.monotonic() - started < SECONDS
    assert with_status(found, Status.FAILURE) == {"login"}
    assert "within 1 s" in found["login"].detail


def test_an_ilo_that_closes_connections(access, cloud, server):
    cloud.control.set_faults(server.name, refuse=True)
    assert "login" in with_status(check_ilo(access), Status.FAILURE)


def test_nothing_listens(access):
    with socket.socket() as probe:
        probe.bind((access.address, 0))
        found = check_ilo(access, port=probe.getsockname()[1])
    assert with_status(found, Status.FAILURE) == {"reachable"}
    assert "Connection refused" in found["reachable"].detail
    assert "client_port" in found["reachable"].hint


def test_a_port_that_speaks_no_tls(access, cloud):
    port = int(cloud.services.api_url.rpartition(":")[2])
    found = check_ilo(access, address="127.0.0.1", port=port)
    assert with_status(found, Status.FAILURE) == {"tls"}
    assert "HTTPS port" in found["tls"].hint


def test_a_name_that_there_is_not(access):
    found = check_ilo(access, address="no-such-ilo.invalid")
    assert with_status(found, Status.FAILURE) == {"reachable"}
    assert "looked up" in found["reachable"].detail


def test_driver_info_that_is_no_good(access):
    def refuse():
        raise InvalidInput("Node x lacks ilo_address in its driver_info.")

    found = list(run_checks(ilo.make_group(refuse, SECONDS), SECONDS))
    assert [finding.check for finding in found if finding.status is Status.FAILURE] == ["access"]


# The command


def test_a_node_in_order(cloud, iso, server):
    with known_node(cloud, server, "in-order", deploy_iso=iso.as_uri()):
        done = run_check("in-order", "--config-file", cloud.services.config, "--json")
    found = read_json(done)
    assert {name: each["status"] for name, each in found.items() if each["status"] != "ok"} == {}
    assert done.returncode == 0
    assert list(found) == [
        "configuration",
        "node",
        "access",
        "reachable",
        "tls",
        "certificate",
        "login",
        "product",
        "privileges",
        "licence",
        "virtual-media",
        "power",
        "boot-mode",
        "secure-boot",
        "answer-time",
        "store",
        "store-publish",
        "store-ranges",
        "store-remove",
        "deploy-iso",
        "url-lifetimes",
    ]
    assert "BIOS and UEFI" in found["deploy-iso"]["detail"]
    assert cloud.stored("check-") == []
    assert server.read_password() not in done.stdout


def test_a_node_with_everything_wrong(cloud, artifacts, server, tmp_path):
    """Each of them is shown; none hides another."""
    missing = artifacts.directory / "missing.iso"
    wrong = {"ilo_password": "wrong-Pa$$w0rd", "deploy_iso": missing.as_uri()}
    more = write_config_file(
        tmp_path / "more.conf",
        {
            "ilo": {
                "deploy_helper_images_ttl": 10,
                "web_store_url": "http://127.0.0.1:1",
            },
            "conductor": {"deploy_callback_timeout": 1800},
        },
    )
    files = ["--config-file", cloud.services.config, "--config-file", more]
    with known_node(cloud, server, "wrong", **wrong) as uuid:
        done = run_check(uuid, *files)
    assert done.returncode == 1
    assert done.stderr == ""
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    found = {name: (status, detail) for status, name, detail in lines if status in list(Status)}
    assert {name for name, (status, _) in found.items() if status == "failure"} == {
        "login",
        "store-ranges",
        "deploy-iso",
    }
    assert found["url-lifetimes"][0] == "warning"
    assert "missing.iso" in found["deploy-iso"][1]
    assert "wrong-Pa$$w0rd" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("failure: 3, warning: 1, ")


@pytest.mark.parametrize("name", ["no-such-node", "00000000-0000-0000-0000-000000000000"])
def test_a_node_that_there_is_not(cloud, name):
    done = run_check(name, "--config-file", cloud.services.config, "--json")
    found = read_json(done)
    assert done.returncode == 1
    assert found["node"]["status"] == "failure"
    assert name in found["node"]["detail"]


def test_a_database_that_does_not_answer(cloud, tmp_path):
    connection = f"sqlite:///{tmp_path}/hunter2/ironic.sqlite"
    more = write_config_file(tmp_path / "more.conf", {"database": {"connection": connection}})
    files = ["--config-file", cloud.services.config, "--config-file", more]
    done = run_check("in-order", *files, "--json")
    found = read_json(done)
    assert done.returncode == 1
    assert "database cannot be read" in found["node"]["detail"]
    assert "hunter2" not in done.stdout


def test_an_address_alone(server, tmp_path):
    password_file = tmp_path / "password"
    password_file.write_text(f"{server.read_password()}\n")
    access = ["--address", server.address, "--port", server.port, "--username", server.username]
    ca = ["--verify-ca", server.certificate]
    done = run_check(*access, *ca, "--password-file", password_file, "--json")
    found = read_json(done)
    assert done.returncode == 0
    skipped = {name for name, each in found.items() if each["status"] == "skipped"}
    assert skipped == {"store", "deploy-iso", "url-lifetimes"}
    assert found["login"]["status"] == "ok"


def test_a_configuration_that_cannot_be_read(server, tmp_path):
    access = ["--address", server.address, "--port", server.port, "--username", server.username]
    missing = ["--config-file", tmp_path / "missing.conf"]
    variables = {"IRONIC_ILO_PASSWORD": server.read_password()}
    ca = ["--verify-ca", server.certificate]
    done = run_check(*access, *ca, *missing, "--json", **variables)
    found = read_json(done)
    assert done.returncode == 1
    assert found["configuration"]["status"] == "failure"
    assert "missing.conf" in found["configuration"]["detail"]
    # The iLO can be looked at all the same.
    assert found["login"]["status"] == "ok"
    assert found["store"]["status"] == "skipped"
