import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_ilo import deploy_secrets
from ironic_ilo.exception import InvalidInput

KEY = "k" * 32
NODE = "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"


def test_any_conductor_makes_the_same_secrets():
    nonce = deploy_secrets.make_nonce()
    assert deploy_secrets.derive(KEY, NODE, nonce) == deploy_secrets.derive(KEY, NODE, nonce)


def all_values(secrets):
    return [
        secrets.deploy_key,
        secrets.target_iqn,
        secrets.initiator_iqn,
        secrets.chap_username,
        secrets.chap_secret,
    ]


def test_each_deploy_has_its_own():
    base = all_values(deploy_secrets.derive(KEY, NODE, deploy_secrets.make_nonce()))
    others = [
        all_values(deploy_secrets.derive(KEY, NODE, deploy_secrets.make_nonce())),
        all_values(deploy_secrets.derive("j" * 32, NODE, "0" * 32)),
        all_values(deploy_secrets.derive(KEY, NODE[::-1], "0" * 32)),
    ]
    seen = [base, *others]
    for column in zip(*seen, strict=True):
        assert len(set(column)) == len(seen)


def test_secrets_are_long_and_not_shown():
    secrets = deploy_secrets.derive(KEY, NODE, "0" * 32)
    assert len(secrets.deploy_key) == 64
    assert len(secrets.chap_secret) == 32
    assert secrets.deploy_key not in repr(secrets)
    assert secrets.chap_secret not in repr(secrets)
    # The one must not tell the other: whoever sees CHAP on the wire has no key to call with.
    assert secrets.chap_secret not in secrets.deploy_key


@given(st.text())
def test_only_the_key_is_accepted(other):
    secrets = deploy_secrets.derive(KEY, NODE, "0" * 32)
    assert secrets.accepts_key(other) == (other == secrets.deploy_key)
    assert secrets.accepts_key(secrets.deploy_key)


@pytest.mark.parametrize("key", [None, "", "x" * 31])
def test_short_signing_key_is_refused(key):
    with pytest.raises(InvalidInput, match=r"signing_key.*32"):
        deploy_secrets.derive(key, NODE, "0" * 32)
