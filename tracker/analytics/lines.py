"""Counting who crosses a line, in both directions, without counting a tremble.

A track is on a side once it is farther from the line than its band. It has crossed when it gets from one side to
the other and its path last met the line between the line's ends, not beyond them. Inside the band nothing changes:
an object may stop, turn or tremble there as long as it likes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tracker.analytics.rules import LineRule, Point

__all__ = ["Crossing", "LineCounter"]


@dataclass(frozen=True, slots=True)
class Crossing:
    """One track over the line."""

    time: float
    """When its path met the line, between two frames' stamps."""
    inward: bool


@dataclass(slots=True)
class _Passage:
    """What is remembered of one track."""

    side: int
    """1 left, -1 right of the line, 0 while it has only been seen inside the band."""
    distance: float
    along: float
    time: float
    met_time: float = 0.0
    met_within: bool = False
    """Where and when the path last met the infinite line."""


class LineCounter:
    """Follows tracks past one line."""

    def __init__(self, rule: LineRule) -> None:
        self.rule = rule
        self._passages: dict[int, _Passage] = {}
        x1, y1 = rule.start
        x2, y2 = rule.end
        self._length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        self._direction = (x2 - x1) / self._length, (y2 - y1) / self._length

    def see(self, track_id: int, point: Point, size: float, time: float) -> Crossing | None:
        """Take the next place of a track, whose box is about `size` pixels; tell when that completes a crossing."""
        ahead_x, ahead_y = self._direction
        from_start_x, from_start_y = point[0] - self.rule.start[0], point[1] - self.rule.start[1]
        along = from_start_x * ahead_x + from_start_y * ahead_y
        # rows grow downwards: looking from start to end, left is where this is positive
        distance = from_start_x * ahead_y - from_start_y * ahead_x
        band = self.rule.hysteresis * size
        side = 0 if abs(distance) <= band else (1 if distance > 0 else -1)
        passage = self._passages.get(track_id)
        if passage is None:
            self._passages[track_id] = _Passage(side, distance, along, time)
            return None
        if (distance > 0) != (passage.distance > 0):
            share = passage.distance / (passage.distance - distance)
            met_at = passage.along + share * (along - passage.along)
            passage.met_time = passage.time + share * (time - passage.time)
            passage.met_within = 0 <= met_at <= self._length
        passage.distance, passage.along, passage.time = distance, along, time
        before = passage.side
        if side == 0 or side == before:
            return None
        passage.side = side
        return Crossing(passage.met_time, side == 1) if before != 0 and passage.met_within else None

    def forget(self, before: float) -> None:
        """Drop tracks last seen before that time."""
        gone = [track_id for track_id, passage in self._passages.items() if passage.time < before]
        for track_id in gone:
            del self._passages[track_id]

    def state(self) -> dict[str, Any]:
        """What `restore` takes."""
        return {str(track_id): asdict(passage) for track_id, passage in self._passages.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._passages = {int(track_id): _Passage(**passage) for track_id, passage in state.items()}
