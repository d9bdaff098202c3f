from ironic_ilo import timeline


def test_the_rest_takes_as_long_as_the_rate_says() -> None:
    assert timeline.estimate_seconds(300 << 20, 20 << 20) == 15
    assert timeline.estimate_seconds(0, 20 << 20) == 0


def test_nobody_can_tell_before_anything_has_moved() -> None:
    assert timeline.estimate_seconds(300 << 20, 0.0) is None
