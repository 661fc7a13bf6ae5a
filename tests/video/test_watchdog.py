"""The states of a live source, by a simulated clock."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tracker.types import LinkState, LinkStatus
from tracker.video.watchdog import Watchdog


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def watched(clock: Clock) -> tuple[Watchdog, list[LinkStatus]]:
    reports: list[LinkStatus] = []
    return Watchdog(clock=clock, listen=reports.append), reports


def run(watchdog: Watchdog, clock: Clock, *, seconds: float, every_s: float) -> None:
    """A source that lives for that long."""
    end = clock.now + seconds
    while clock.now < end:
        watchdog.sign_of_life()
        watchdog.frame_arrived()
        clock.now += every_s


def test_a_source_goes_through_its_states_and_each_is_reported_once() -> None:
    clock = Clock()
    watchdog, reports = watched(clock)
    assert watchdog.status.state is LinkState.CONNECTING
    for _ in range(3):
        watchdog.refused("Connection refused")
    run(watchdog, clock, seconds=5, every_s=0.04)
    watchdog.cut("the stream ended")
    clock.now += 7
    watchdog.refused("Connection refused")
    watchdog.refused("Connection refused")
    watchdog.frame_arrived()
    assert [status.state.value for status in reports] == ["refused", "live", "lost", "lost", "live"]
    assert [status.reason for status in reports if status.state is LinkState.LOST] == [
        "the stream ended",
        "Connection refused",
    ]
    assert watchdog.status.returns == 1
    assert watchdog.away_s == pytest.approx(7)


def test_the_first_frame_after_a_refusal_is_no_return() -> None:
    watchdog, _ = watched(Clock())
    watchdog.refused("Connection refused")
    watchdog.frame_arrived()
    assert watchdog.status.returns == 0
    assert watchdog.away_s == 0


@pytest.mark.parametrize(("every_s", "noticed_after_s"), [(0.04, 2.5), (0.5, 2.5), (1.0, 2.5), (4.0, 10.0)])
def test_silence_is_a_stall_after_more_than_the_usual_pause(every_s: float, noticed_after_s: float) -> None:
    clock = Clock()
    watchdog, reports = watched(clock)
    run(watchdog, clock, seconds=max(3.0, 5 * every_s), every_s=every_s)
    clock.now -= every_s  # to the last sign of life
    silence = 0.0
    while not watchdog.is_stalled():
        silence += 0.1
        clock.now += 0.1
    assert silence == pytest.approx(noticed_after_s, abs=0.11)
    assert reports[-1].state is LinkState.STALLED
    watchdog.cut("given up")
    assert watchdog.away_s == pytest.approx(silence, abs=0.01)  # since the last sign, not since it was noticed


def test_segments_that_come_in_bursts_are_no_stall() -> None:
    clock = Clock()
    watchdog, _ = watched(clock)
    for _ in range(6):
        for _ in range(100):
            watchdog.sign_of_life()
            watchdog.frame_arrived()
            clock.now += 0.001
        for _ in range(39):
            assert not watchdog.is_stalled()
            clock.now += 0.1


def test_a_stall_that_ends_by_itself_is_a_return() -> None:
    clock = Clock()
    watchdog, _ = watched(clock)
    run(watchdog, clock, seconds=4, every_s=0.1)
    clock.now += 3
    assert watchdog.is_stalled()
    watchdog.sign_of_life()
    watchdog.frame_arrived()
    assert (watchdog.status.state, watchdog.status.returns) == (LinkState.LIVE, 1)
    assert not watchdog.is_stalled()
