"""When frames that came in one piece are due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.video.pacing import MOST_AHEAD_S, Pacing


@given(st.lists(st.tuples(st.floats(-2, 40), st.floats(0, 3)), min_size=1, max_size=20))
def test_no_frame_is_due_before_it_came_or_very_much_later(steps: list[tuple[float, float]]) -> None:
    pacing, stamp, now = Pacing(), 5.0, 100.0
    for step, waited in steps:
        stamp, now = stamp + step, now + waited
        assert now <= pacing.due(stamp, now) <= now + MOST_AHEAD_S


@pytest.mark.parametrize("jump", [-3600.0, 2 * MOST_AHEAD_S])
def test_a_jump_of_the_clock_begins_anew(jump: float) -> None:
    pacing = Pacing()
    pacing.due(10.0, now=100.0)
    assert pacing.due(10.0 + jump, now=100.2) == 100.2
    assert pacing.due(10.5 + jump, now=100.2) == pytest.approx(100.7)
