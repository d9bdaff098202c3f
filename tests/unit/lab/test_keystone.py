"""Whom Keystone will know, and where their passwords are."""

import json
import stat
from dataclasses import asdict
from pathlib import Path

import pytest

from lab.openstack.keystone import ADMIN, OWNER, KeystoneAccess, plan_access


@pytest.fixture
def access(tmp_path) -> KeystoneAccess:
    return plan_access(tmp_path / "keystone", "http://127.0.0.1:5000")


def test_everybody_has_a_password_of_his_own_in_a_private_file(access):
    passwords = {user.read_password() for user in access.users.values()}
    assert len(passwords) == len(access.users)
    assert min(map(len, passwords)) >= 32
    modes = {Path(user.password_file).stat().st_mode for user in access.users.values()}
    assert {stat.S_IMODE(mode) for mode in modes} == {0o600}


def test_access_can_be_shown_and_stored_without_secrets(access):
    stored = json.dumps(asdict(access))
    for user in access.users.values():
        assert user.read_password() not in stored + repr(access)
    assert KeystoneAccess.from_dict(json.loads(stored)) == access


def test_administrator_works_on_the_whole_cloud_and_the_owner_in_a_project(access):
    admin, owner = access.environment(ADMIN), access.environment(OWNER)
    assert admin["OS_SYSTEM_SCOPE"] == "all"
    assert "OS_PROJECT_NAME" not in admin
    assert owner["OS_PROJECT_NAME"] == "tenant"
    assert "OS_SYSTEM_SCOPE" not in owner
