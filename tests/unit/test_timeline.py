import time
from unittest import mock

import pytest
from ironic import objects

from ironic_ilo import timeline
from tests.unit.nodes import make_node


def test_the_rest_takes_as_long_as_the_rate_says() -> None:
    assert timeline.estimate_seconds(300 << 20, 20 << 20) == 15
    assert timeline.estimate_seconds(0, 20 << 20) == 0


def test_nobody_can_tell_before_anything_has_moved() -> None:
    assert timeline.estimate_seconds(300 << 20, 0.0) is None


@pytest.mark.parametrize(
    ("told", "noted"), [(1050.0, 1050.0), (900.0, 1000.0), (5000.0, 1100.0), (None, 1100.0)]
)
def test_a_wrong_clock_elsewhere_does_not_turn_stages_round(told, noted) -> None:
    node = make_node()
    node.driver_internal_info = {timeline.TIMELINE: [{"stage": "post", "at": 1000.0}]}
    with (
        mock.patch.object(time, "time", autospec=True, return_value=1100.0),
        mock.patch.object(objects.Node, "save", autospec=True),
    ):
        timeline.begin_stage(node, "ramdisk", at=told)
    assert node.driver_internal_info[timeline.TIMELINE][-1] == {"stage": "ramdisk", "at": noted}
