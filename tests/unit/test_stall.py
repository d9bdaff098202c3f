import time

import pytest

from ironic_ilo import stall
from ironic_ilo.exception import ProcessError

SOON = 60.0


def test_a_program_that_ends_in_time_is_left_alone() -> None:
    seen: list[str] = []

    result = stall.run(
        ["sh", "-c", "echo one; echo two >&2; exit 3"],
        timeout=SOON, stall_timeout=SOON, ok_codes=(3,), on_output=seen.append,
    )  # fmt: skip

    assert (result.stdout, result.stderr, result.exit_code) == ("one\n", "two\n", 3)
    assert "".join(seen) == "one\n"


def test_a_program_that_prints_nothing_prints_nothing() -> None:
    assert stall.run(["true"], timeout=SOON, stall_timeout=SOON).stdout == ""


def test_arguments_are_no_shell_text() -> None:
    words = ["$(id)", "a b", "; exit 9", "'"]

    result = stall.run(["printf", "%s\\n", *words], timeout=SOON, stall_timeout=SOON)

    assert result.stdout.splitlines() == words


def test_a_program_that_stands_still_is_killed() -> None:
    began = time.monotonic()

    with pytest.raises(stall.Stalled, match="sleep moved no data for 1 s"):
        stall.run(["sleep", "600"], timeout=SOON, stall_timeout=1)

    assert time.monotonic() - began < SOON / 2


def test_a_program_that_moves_data_is_not_killed_for_its_silence() -> None:
    copy = "for i in 1 2 3 4 5 6; do head -c 100000 /dev/zero | cat >/dev/null; sleep 0.5; done"
    # The bytes of children count once they are reaped, as the kernel has it.
    stall.run(["sh", "-c", copy], timeout=SOON, stall_timeout=2)


def test_the_deadline_holds_for_a_program_that_moves_data() -> None:
    with pytest.raises(ProcessError, match="did not end within 1 s") as caught:
        stall.run(["cat", "/dev/zero"], timeout=1, stall_timeout=SOON)

    assert not isinstance(caught.value, stall.Stalled)


def test_what_the_callback_raises_ends_the_program() -> None:
    def refuse(_text: str) -> None:
        raise KeyError("no")

    began = time.monotonic()
    with pytest.raises(KeyError):
        stall.run(["sh", "-c", "echo x; sleep 600"], timeout=SOON, stall_timeout=SOON,
                  on_output=refuse)  # fmt: skip
    assert time.monotonic() - began < SOON / 2
