"""Power: commands are sent only when needed, and believed only when the state shows."""

import dataclasses

import pytest

from ironic_ilo.bmc import Access, PowerState, connect
from ironic_ilo.exception import BmcBusy, BmcError, BmcStateMismatch, BmcUnreachable
from tests.unit.bmc.scripted_ilo import ScriptedIlo, answer, drop

ON = answer('<GET_HOST_POWER HOST_POWER="ON" />')
OFF = answer('<GET_HOST_POWER HOST_POWER="OFF" />')
IN_POST = answer(status=0x003D, message="The server is in POST.")


@pytest.mark.parametrize(("now", "state"), [(ON, PowerState.ON), (OFF, PowerState.OFF)])
def test_the_power_state_is_read(ilo: ScriptedIlo, access: Access, now, state):
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


def test_power_off_holds_the_button(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", ON, OFF)
    ilo.on("HOLD_PWR_BTN", answer())
    connect(access).power_off()
    assert ilo.commands == ["GET_HOST_POWER_STATUS", "HOLD_PWR_BTN", "GET_HOST_POWER_STATUS"]


@pytest.mark.parametrize(("method", "now"), [("power_on", ON), ("power_off", OFF)])
def test_a_state_that_is_there_already_is_left_alone(ilo, access, method, now):
    ilo.on("GET_HOST_POWER_STATUS", now)
    getattr(connect(access), method)()
    assert ilo.commands == ["GET_HOST_POWER_STATUS"]


def test_reset_of_a_running_server(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", ON)
    ilo.on("RESET_SERVER", answer(message="Server being reset."))
    connect(access).reset()
    assert ilo.commands == ["GET_HOST_POWER_STATUS", "RESET_SERVER", "GET_HOST_POWER_STATUS"]


def test_reset_powers_on_what_is_off(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", OFF, OFF, ON)
    ilo.on("SET_HOST_POWER", answer())
    connect(access).reset()
    assert "RESET_SERVER" not in ilo.commands
    assert "SET_HOST_POWER" in ilo.commands


def test_a_power_change_that_never_shows_is_a_mismatch(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", OFF)
    ilo.on("SET_HOST_POWER", answer(message="Host power is already ON."))
    with pytest.raises(BmcStateMismatch, match=r"power on .* after 0\.3 s it still shows off"):
        connect(dataclasses.replace(access, power_timeout=0.3)).power_on()


def test_an_ilo_that_does_not_answer_while_it_is_waited_for_is_asked_again(ilo, access):
    ilo.on("GET_HOST_POWER_STATUS", ON, drop, IN_POST, OFF)
    ilo.on("HOLD_PWR_BTN", answer())
    connect(access).power_off()
    assert ilo.commands.count("GET_HOST_POWER_STATUS") == 4


def test_an_ilo_that_never_answers_again_is_unreachable(ilo, access):
    ilo.on("GET_HOST_POWER_STATUS", ON, drop)
    ilo.on("HOLD_PWR_BTN", answer())
    with pytest.raises(BmcUnreachable):
        connect(dataclasses.replace(access, power_timeout=0.3)).power_off()


def test_a_busy_ilo_is_asked_again(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", OFF, ON)
    ilo.on("SET_HOST_POWER", IN_POST, answer())
    connect(access).power_on()
    assert ilo.commands.count("SET_HOST_POWER") == 2


def test_an_ilo_that_stays_busy_is_given_up_at_the_deadline(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", OFF)
    ilo.on("SET_HOST_POWER", IN_POST)
    with pytest.raises(BmcBusy) as caught:
        connect(dataclasses.replace(access, busy_timeout=0.7)).power_on()
    assert ilo.commands.count("SET_HOST_POWER") >= 3
    assert str(caught.value) == (
        f"iLO 127.0.0.1:{ilo.port}: could not power on: it says 'The server is in POST.' "
        "(0x003D), and did so for 0.7 s. Let the server finish its POST, then try again. Where it "
        "takes longer than that, raise `busy_timeout` in [ilo]."
    )


def test_other_refusals_are_final(ilo: ScriptedIlo, access: Access):
    ilo.on("GET_HOST_POWER_STATUS", OFF)
    ilo.on("SET_HOST_POWER", answer(status=0x0023, message="User does NOT have the privilege."))
    with pytest.raises(BmcError, match="privilege") as caught:
        connect(access).power_on()
    assert type(caught.value) is BmcError
    assert "ilo_username" in caught.value.hint
    assert ilo.commands.count("SET_HOST_POWER") == 1
