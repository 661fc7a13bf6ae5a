"""Times made from arrivals: the span of the wall clock, even steps in spite of jitter, bursts and pauses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.video.arrival_clock import ArrivalClock, NominalClockWatch


def times(arrivals: np.ndarray) -> np.ndarray:
    clock = ArrivalClock(float(arrivals[0]))
    return np.array([clock.time(arrival) for arrival in arrivals.tolist()])


@pytest.mark.parametrize("rate", [1, 2, 5, 12.5, 25, 30])
def test_jitter_leaves_span_and_steps(rate: float) -> None:
    random = np.random.default_rng(7)
    taken = np.arange(round(30 * rate)) / rate
    found = times(50 + taken + random.uniform(0, 0.04, len(taken)))
    steps = np.diff(found)
    assert found[0] == 0
    assert abs(found[-1] - taken[-1]) < 0.005 * taken[-1] + 0.02
    assert (steps > 0).all()
    assert steps.max() < 1 / rate + 0.05
    assert np.median(steps) == pytest.approx(1 / rate, rel=0.05)


@pytest.mark.parametrize("rate", [1, 5, 12.5, 30])
def test_no_frame_is_off_by_more_than_the_jitter(rate: float) -> None:
    """An interval that was estimated too small left the clock 0.1 s behind where no frame is later than 0.04 s."""
    taken = np.arange(max(60, round(12 * rate))) / rate
    for seed in range(60):
        arrivals = np.maximum.accumulate(taken + np.random.default_rng(seed).uniform(0, 0.04, len(taken)))
        found = times(arrivals) + arrivals[0]
        assert np.abs(found - taken).max() < 0.042


def test_a_burst_after_a_delay_keeps_its_steps() -> None:
    taken = np.arange(100) / 10
    arrivals = taken.copy()
    arrivals[50:58] = taken[57]  # the network holds eight frames back and delivers them at once
    steps = np.diff(times(arrivals))
    assert steps.min() > 0.04
    assert steps.max() < 0.2


def test_a_pause_of_the_camera_is_time() -> None:
    arrivals = np.concatenate([np.arange(50) / 10, 20 + np.arange(50) / 10])
    found = times(arrivals)
    assert found[50] == pytest.approx(20, abs=0.01)
    assert found[-1] == pytest.approx(arrivals[-1], abs=0.1)


def test_a_new_rate_is_learned() -> None:
    arrivals = np.concatenate([np.arange(50) / 5, 10 + np.arange(1, 500) / 25])
    found = times(arrivals)
    assert found[-1] == pytest.approx(arrivals[-1], abs=0.05)
    assert np.median(np.diff(found[-100:])) == pytest.approx(0.04, rel=0.05)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_time_only_goes_forward(intervals: list[float]) -> None:
    found = times(np.cumsum(intervals))
    assert (np.diff(found) > 0).all()


def watch(stamps: np.ndarray, arrivals: np.ndarray) -> bool:
    clock = NominalClockWatch()
    found = [clock.deceives(stamp, arrival) for stamp, arrival in zip(stamps.tolist(), arrivals.tolist(), strict=True)]
    return any(found)


def test_a_clock_that_only_counts_frames_is_seen_through() -> None:
    random = np.random.default_rng(1)
    count = np.arange(200)
    assert watch(count / 25, count / 5 + random.uniform(0, 0.02, 200))
    assert watch(count / 25, count / 15)


def test_true_clocks_are_believed() -> None:
    random = np.random.default_rng(1)
    count = np.arange(600)
    assert not watch(count / 25, count / 25 + random.uniform(0, 0.03, 600))
    assert not watch(count / 25, count // 100 * 4.0)  # segments of four seconds
    uneven = np.cumsum(random.uniform(0.02, 0.4, 600))
    assert not watch(uneven, count / 5)
