"""What can be asked for as a fault."""

import pytest

from ilo_emulator.faults import Faults, InvalidFaultsError


def test_what_is_not_named_is_off():
    assert Faults.from_json({"slow_s": 5}) == Faults(slow_s=5)
    assert Faults.from_json({}) == Faults()


def test_all_of_them():
    wanted = {
        "slow_s": 0.5,
        "silent": True,
        "refuse": True,
        "drop": True,
        "no_license": True,
        "no_privileges": True,
        "post_refusals": 3,
        "post_s": 20.0,
        "not_ready": 2,
        "etags_change": True,
        "login_delay_s": 0.5,
        "anonymous_data_off": True,
        "ribcl_disabled": True,
        "eject_fails": True,
        "stale_inserted": 2.5,
        "media_rate": 5_000_000,
    }
    assert vars(Faults.from_json(wanted)) == wanted


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        {"unknown": True},
        {"silent": 1},
        {"silent": "yes"},
        {"slow_s": -1},
        {"slow_s": True},
        {"slow_s": float("nan")},
        {"slow_s": 1e9},
        {"post_refusals": 1.5},
        {"post_refusals": "3"},
        {"media_rate": 0.5},
        {"media_rate": 1 << 41},
    ],
)
def test_nonsense_is_refused(body: object):
    with pytest.raises(InvalidFaultsError):
        Faults.from_json(body)
