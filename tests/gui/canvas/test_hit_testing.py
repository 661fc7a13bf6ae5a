"""Hit-testing, dragging and the timeline's layout as the pure functions they are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.canvas.hit_testing import Shape, View, box_at, drag_box, drag_shape, handle_at, shape_at, tidy_box
from gui.recording.timeline_layout import Bar, Span, bar_at, clock, pack_lanes, ticks

numbers = st.floats(0, 1000, allow_nan=False)
points = st.tuples(numbers, numbers)
views = st.builds(
    View, st.floats(50, 2000), st.floats(50, 2000), st.floats(16, 4000), st.floats(16, 4000), st.floats(1, 40),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)  # fmt: skip


@given(views, points)
def test_a_point_goes_to_the_view_and_back(view: View, point: tuple[float, float]) -> None:
    assert view.to_frame(view.to_view(point)) == pytest.approx(point, abs=1e-6 * max(view.frame_width, 1000))


@given(views, st.floats(0.2, 5), points)
def test_zooming_shows_no_more_emptiness_than_it_must(view: View, factor: float, at: tuple[float, float]) -> None:
    left, top, width, height = view.zoomed(factor, at).target
    for start, size, room in ((left, width, view.width), (top, height, view.height)):
        if size >= room:
            assert start <= 1e-6 * size
            assert start + size >= room - 1e-6 * size
        else:
            assert start == pytest.approx((room - size) / 2, abs=1e-6 * room)


@given(points, st.floats(5, 300), st.floats(5, 300), st.integers(0, 8), points)
def test_a_dragged_box_is_whole_again_when_tidied(
    corner: tuple[float, float], width: float, height: float, handle: int, delta: tuple[float, float]
) -> None:
    x, y = corner
    moved = drag_box((x, y, x + width, y + height), handle, (delta[0] - 500, delta[1] - 500))
    tidy = tidy_box(moved, (1300.0, 1300.0))
    if tidy is not None:
        x1, y1, x2, y2 = tidy
        assert 0 <= x1 < x2 <= 1300
        assert 0 <= y1 < y2 <= 1300


@given(points, st.floats(20, 300), st.floats(20, 300), st.integers(0, 7))
def test_the_handle_below_the_pointer_is_found(
    corner: tuple[float, float], width: float, height: float, handle: int
) -> None:
    from gui.canvas.hit_testing import HANDLES

    x, y = corner
    box = (x, y, x + width, y + height)
    column, row = HANDLES[handle]
    place = ((x, x + width / 2, x + width)[column], (y, y + height / 2, y + height)[row])
    assert handle_at(box, place, reach=1.0) == handle


def test_a_shape_keeps_inside_the_frame_wherever_it_is_dragged() -> None:
    zone = Shape("zone", "z", ((10, 10), (50, 10), (50, 60)))
    hit = shape_at([zone], (40, 20), reach=3)
    assert hit is not None
    moved = drag_shape(zone, hit, (1000, -1000), (200, 100))
    assert moved.points == ((160, 0), (200, 0), (200, 50))


def test_the_smallest_box_around_the_pointer_is_meant() -> None:
    boxes = np.array([[0, 0, 100, 100], [40, 40, 60, 60], [200, 0, 300, 90]], np.float32)
    assert box_at(boxes, (50, 50)) == 1
    assert box_at(boxes, (20, 20)) == 0
    assert box_at(boxes, (150, 50)) is None


spans = st.builds(
    lambda start, length, width: Span.whole(start, start + length, width),
    st.floats(-10, 100), st.floats(1, 7200), st.floats(50, 3000),
)  # fmt: skip


@given(spans, st.floats(0.3, 30), st.floats(0, 1), st.floats(0, 1))
def test_a_time_goes_to_its_pixel_and_back_at_any_zoom(span: Span, factor: float, at: float, share: float) -> None:
    near = span.zoomed(factor, at * span.width)
    seconds = near.left_s + share * near.shown_s
    assert near.time(near.x(seconds)) == pytest.approx(seconds, abs=1e-6 * (1 + abs(span.end_s)))
    assert near.left_s >= span.start_s - 1e-6
    assert near.right_s <= span.end_s + 1e-6


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 20) | st.just(0.0)), max_size=60))
def test_bars_of_one_lane_never_overlap_and_no_lane_is_wasted(times: list[tuple[float, float]]) -> None:
    bars = pack_lanes([Bar(number, 0, start, start + length) for number, (start, length) in enumerate(times)])
    assert sorted(bar.track_id for bar in bars) == list(range(len(times)))
    lanes = {bar.lane for bar in bars}
    assert lanes == set(range(len(lanes)))
    for lane in lanes:
        row = sorted((bar for bar in bars if bar.lane == lane), key=lambda bar: (bar.start_s, bar.end_s))
        assert all(first.end_s < second.start_s for first, second in pairwise(row))
    most = max((sum(b.start_s <= a.start_s <= b.end_s for b in bars) for a in bars), default=0)
    assert len(lanes) <= most


def test_tracks_of_one_frame_lie_below_one_another() -> None:
    bars = pack_lanes([Bar(number, 0, 0.5, 0.5) for number in range(6)])
    assert [bar.lane for bar in bars] == [0, 1, 2, 3, 4, 5]


def test_a_bar_is_found_below_the_pointer() -> None:
    bars = pack_lanes([Bar(7, 0, 2.0, 4.0), Bar(8, 0, 3.0, 9.0)])
    span = Span.whole(0, 10, 1000)
    assert bar_at(bars, span, 350, 0) == bars[0]
    assert bar_at(bars, span, 350, 1) == bars[1]
    assert bar_at(bars, span, 950, 0) is None


@given(spans)
def test_ticks_are_round_apart_and_inside(span: Span) -> None:
    times = ticks(span)
    assert all(span.left_s <= time <= span.right_s for time in times)
    assert all(span.x(second) - span.x(first) >= 69 for first, second in pairwise(times))


def test_clocks_are_written_as_people_read_them() -> None:
    assert clock(59.996, parts=2) == "1:00.00"
    assert clock(3725) == "1:02:05"
    assert clock(7.04, parts=1) == "0:07.0"
