"""How a login is written: as an iLO reads it, which is not how XML is escaped."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_ilo.bmc import Access, connect
from ironic_ilo.bmc.session import quote
from ironic_ilo.exception import InvalidInput
from tests.unit.bmc.scripted_ilo import ScriptedIlo, answer


@pytest.mark.parametrize(
    ("password", "written"),
    [
        ("plain", '"plain"'),
        ("a&b<c>d", '"a&b<c>d"'),
        ("don't", '"don\'t"'),
        ('say "x"', "'say \"x\"'"),
        ("&amp;", '"&amp;"'),
        ("\\1\\g<0>", '"\\1\\g<0>"'),
        ("käse", '"käse"'),
        (" two  words ", '" two  words "'),
    ],
)
def test_a_password_is_written_as_it_is(ilo: ScriptedIlo, access: Access, password, written):
    ilo.on("GET_HOST_POWER_STATUS", answer('<GET_HOST_POWER HOST_POWER="ON" />'))
    connect(dataclasses.replace(access, password=password)).get_power_state()
    assert f'<LOGIN USER_LOGIN="admin" PASSWORD={written}>' in ilo.requests[0]


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_what_is_quoted_ends_at_its_own_quote(value):
    try:
        quoted = quote(value, "ilo_password")
    except InvalidInput:
        assert "'" in value and '"' in value
    else:
        assert re.fullmatch(r"""(["'])(?:(?!\1).)*\1""", quoted)
        assert quoted[1:-1] == value


@pytest.mark.parametrize("key", ["username", "password"])
@pytest.mark.parametrize("value", ["both ' and \"", "new\nline", "nul\0"])
def test_what_ribcl_cannot_say_is_refused_at_once(access: Access, key, value):
    with pytest.raises(InvalidInput, match=f"ilo_{key} holds") as caught:
        connect(dataclasses.replace(access, **{key: value}))
    assert value not in str(caught.value)
