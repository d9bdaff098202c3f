import time

import pytest

from ironic_ilo.exception import ProcessError
from ironic_ilo.execute import execute
from ironic_ilo.stall import Stalled, StallGuard

SOON = 60.0


def guarded(*argv: str, timeout: float = SOON, stall_timeout: float = SOON) -> None:
    execute(argv, timeout=timeout, on_tick=StallGuard(argv[0], stall_timeout))


def test_a_program_that_ends_in_time_is_left_alone() -> None:
    guarded("true")


def test_a_program_that_stands_still_is_killed() -> None:
    began = time.monotonic()

    with pytest.raises(Stalled, match="sleep moved no data for 1 s"):
        guarded("sleep", "600", stall_timeout=1)

    assert time.monotonic() - began < SOON / 2


def test_a_program_that_moves_data_is_not_killed_for_its_silence() -> None:
    copy = "for i in 1 2 3 4 5 6; do head -c 100000 /dev/zero | cat >/dev/null; sleep 0.5; done"
    # The bytes of children count once they are reaped, as the kernel has it.
    guarded("sh", "-c", copy, stall_timeout=2)


def test_the_deadline_holds_for_a_program_that_moves_data() -> None:
    with pytest.raises(ProcessError, match="did not end within 1 s") as caught:
        guarded("cat", "/dev/zero", timeout=1)

    assert not isinstance(caught.value, Stalled)
