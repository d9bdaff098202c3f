"""The certificate of an iLO: kept as long as it fits, its key private."""

import stat
from pathlib import Path

import pytest

from ilo_emulator.certificate import server_context

NAMES = ["node-0", "ILOCZ1"]


@pytest.fixture
def first(tmp_path: Path) -> bytes:
    server_context(tmp_path, "127.0.20.11", NAMES)
    return (tmp_path / "certificate.pem").read_bytes()


def test_is_kept_for_the_same_address(tmp_path: Path, first: bytes):
    server_context(tmp_path, "127.0.20.11", NAMES)
    assert (tmp_path / "certificate.pem").read_bytes() == first


def test_is_made_anew_for_another_address(tmp_path: Path, first: bytes):
    server_context(tmp_path, "::1", NAMES)
    assert (tmp_path / "certificate.pem").read_bytes() != first


def test_the_scope_of_an_address_is_none_of_it(tmp_path: Path):
    server_context(tmp_path, "fe80::1%eth0", NAMES)
    made = (tmp_path / "certificate.pem").read_bytes()
    server_context(tmp_path, "fe80::1%eth1", NAMES)
    assert (tmp_path / "certificate.pem").read_bytes() == made


def test_is_made_anew_without_its_key(tmp_path: Path, first: bytes):
    (tmp_path / "key.pem").unlink()
    server_context(tmp_path, "127.0.20.11", NAMES)
    assert (tmp_path / "certificate.pem").read_bytes() != first


def test_nobody_else_reads_the_key(tmp_path: Path, first: bytes):
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
