"""What is said of what was seen."""

import datetime

import pytest

from ironic_ilo.bmc import Privilege, Product
from ironic_ilo.check import ilo
from ironic_ilo.check.certificate import Certificate
from ironic_ilo.check.findings import Status
from ironic_ilo.check.lifetimes import judge_lifetimes

NOW = datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)


def certificate(days):
    return Certificate("CN=Issuer", ("ilo.example",), NOW + datetime.timedelta(days), "AB:CD")


def product(processor, firmware):
    return Product("ProLiant", processor, firmware, "iLO Advanced")


@pytest.mark.parametrize(
    ("processor", "firmware", "status"),
    [
        ("iLO 4", "2.55", Status.OK),
        ("iLO 4", "2.53", Status.OK),
        ("iLO 4", "2.82", Status.OK),
        ("iLO 4", "2.50", Status.WARNING),
        ("iLO 4", "1.51", Status.WARNING),
        ("iLO 5", "1.20", Status.OK),
        ("iLO 5", "iLO 5 v3.00", Status.OK),
        ("iLO 6", "1.10", Status.OK),
        ("iLO 3", "1.82", Status.FAILURE),
        ("Something", "1.0", Status.WARNING),
        ("iLO 4", "", Status.OK),
    ],
)
def test_product(processor, firmware, status):
    verdict = ilo.judge_product(product(processor, firmware))
    assert verdict.status is status
    assert bool(verdict.hint) is (status is not Status.OK)
    assert firmware in verdict.detail


@pytest.mark.parametrize(
    ("days", "verify_ca", "status", "words"),
    [
        (400, True, Status.OK, "the system's CAs"),
        (400, "/etc/ca.pem", Status.OK, "/etc/ca.pem"),
        (10, True, Status.WARNING, "2026-12-09"),
        (400, False, Status.WARNING, "ilo.example, from CN=Issuer"),
    ],
)
def test_certificate(days, verify_ca, status, words):
    verdict = ilo.judge_certificate(certificate(days), verify_ca, NOW)
    assert verdict.status is status
    assert words in verdict.detail


@pytest.mark.parametrize(
    ("look_up", "connect", "status", "hint"),
    [
        (0.01, 0.01, Status.OK, ""),
        (5.0, 0.01, Status.WARNING, "name servers"),
        (0.01, 3.0, Status.WARNING, "network"),
    ],
)
def test_reach(look_up, connect, status, hint):
    verdict = ilo.judge_reach("192.0.2.1", look_up, connect)
    assert verdict.status is status
    assert hint in verdict.hint


@pytest.mark.parametrize(
    ("lacking", "status", "words"),
    [
        ([], Status.OK, "virtual media, virtual power and reset, configure iLO settings"),
        ([Privilege.POWER], Status.FAILURE, "lacking: virtual power and reset"),
        ([Privilege.HOST_BIOS], Status.WARNING, "lacking: host BIOS"),
        (
            [Privilege.HOST_BIOS, Privilege.VIRTUAL_MEDIA],
            Status.FAILURE,
            "lacking: virtual media, host BIOS",
        ),
    ],
)
def test_privileges(lacking, status, words):
    verdict = ilo.judge_privileges({each: each not in lacking for each in Privilege})
    assert verdict.status is status
    assert words in verdict.detail


def test_privileges_that_are_not_told():
    verdict = ilo.judge_privileges({})
    assert verdict.status is Status.SKIPPED
    assert "virtual media, virtual power and reset, configure iLO settings" in verdict.hint


@pytest.mark.parametrize(("seconds", "status"), [(1.2, Status.OK), (8.0, Status.WARNING)])
def test_answer_time(seconds, status):
    assert ilo.judge_answer_time(seconds).status is status


@pytest.mark.parametrize(
    ("minutes", "timeout", "status", "wanted"),
    [
        (30, 1800, Status.OK, ""),
        (10, 1800, Status.WARNING, "ttl to 30"),
        (30, 1801, Status.WARNING, "ttl to 31"),
        (10, 0, Status.WARNING, "ttl to 30"),
        (60, 0, Status.OK, ""),
    ],
)
def test_lifetimes(minutes, timeout, status, wanted):
    verdict = judge_lifetimes(minutes, timeout)
    assert verdict.status is status
    assert wanted in verdict.hint
