"""Power: commands are sent only when needed, and believed only when the state shows."""

import dataclasses

import pytest

from ironic_ilo.bmc import Access, PowerState, connect
from ironic_ilo.exception import BmcBusy, BmcError, BmcStateMismatch
from tests.unit.bmc.scripted_ilo import ScriptedIlo, answer, drop, slow

ON = answer('<GET_HOST_POWER HOST_POWER="ON" />')
OFF = answer('<GET_HOST_POWER HOST_POWER="OFF" />')
IN_POST = answer(status=0x0001, message="Server is in POST.")


@pytest.mark.parametrize(("now", "state"), [(ON, PowerState.ON), (OFF, PowerState.OFF)])
def test_reads_the_power_state(ilo: ScriptedIlo, access: Access, now, state):
    ilo.on("GET_HOST_POWER_STATUS", now)
    assert connect(access).get_power_state() is state


def test_power_on_waits_until_it_shows(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", OFF, OFF, ON)
    ilo.on("SET_HOST_POWER", answer())
    connect(access).power_on()
    assert ilo.commands == [
        "GET_HOST_POWER_STATUS",
        "SET_HOST_POWER",
        "GET_HOST_POWER_STATUS",
        "GET_HOST_POWER_STATUS",
    ]
    assert 'HOST_POWER="Yes"' in ilo.requests[1]
