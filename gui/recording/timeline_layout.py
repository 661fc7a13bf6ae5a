"""Where things lie on a timeline, as pure functions: time to pixels and back, zoom, lanes for bars, ticks."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["SHORTEST_S", "Bar", "Span", "bar_at", "clock", "pack_lanes", "ticks"]

SHORTEST_S = 0.04
"""What a single frame takes on the timeline."""
MARGIN = 0.1
"""Fraction of what is shown that lies before a time that was out of sight, so that its beginning is seen coming."""
TICK_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600)


@dataclass(frozen=True, slots=True)
class Span:
    """The stretch of time that a timeline shows."""

    start_s: float
    end_s: float
    """Of the recording."""
    left_s: float
    right_s: float
    """Of what is shown."""
    width: float
    """Pixels."""
    least_s: float = 0.2

    @classmethod
    def whole(cls, start_s: float, end_s: float, width: float) -> Span:
        """All of the recording."""
        end_s = max(end_s, start_s + SHORTEST_S)
        return cls(start_s, end_s, start_s, end_s, width)

    @property
    def shown_s(self) -> float:
        """Seconds shown."""
        return self.right_s - self.left_s

    def x(self, seconds: float) -> float:
        """Pixel of a time."""
        return (seconds - self.left_s) / self.shown_s * self.width

    def time(self, x: float) -> float:
        """Time of a pixel, inside the recording."""
        seconds = self.left_s + x / max(self.width, 1.0) * self.shown_s
        return min(max(seconds, self.start_s), self.end_s)

    def zoomed(self, factor: float, x: float) -> Span:
        """Nearer or farther, the time below `x` staying where it is."""
        shown = min(max(self.shown_s / factor, self.least_s), self.end_s - self.start_s)
        share = x / max(self.width, 1.0)
        left = self.left_s + share * (self.shown_s - shown)
        return replace(self, left_s=left, right_s=left + shown).held()

    def panned(self, seconds: float) -> Span:
        """Moved towards the end by so much."""
        return replace(self, left_s=self.left_s + seconds, right_s=self.right_s + seconds).held()

    def showing(self, seconds: float) -> Span:
        """Moved, where needed, so that this time is in it."""
        if self.left_s <= seconds <= self.right_s:
            return self
        left = seconds - self.shown_s * MARGIN
        return replace(self, left_s=left, right_s=left + self.shown_s).held()

    def resized(self, width: float) -> Span:
        """The same times in another width."""
        return replace(self, width=width)

    def held(self) -> Span:
        """The nearest span inside the recording."""
        shown = min(self.shown_s, self.end_s - self.start_s)
        left = min(max(self.left_s, self.start_s), self.end_s - shown)
        return replace(self, left_s=left, right_s=left + shown)


@dataclass(frozen=True, slots=True)
class Bar:
    """A track on the timeline."""

    track_id: int
    class_id: int
    start_s: float
    end_s: float
    lane: int = 0


def pack_lanes(bars: Sequence[Bar], *, gap_s: float = 0.0) -> list[Bar]:
    """The bars in as few lanes as their overlaps allow, each in the topmost that is free when it begins.

    A track is seen in the frame of its end as well: what begins in that frame goes into another lane.
    """
    packed: list[Bar] = []
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    lanes = 0
    for bar in sorted(bars, key=lambda one: (one.start_s, one.track_id)):
        while busy and busy[0][0] < bar.start_s:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, lanes = lanes, lanes + 1
        heapq.heappush(busy, (bar.end_s + gap_s, lane))
        packed.append(replace(bar, lane=lane))
    return packed


def bar_at(bars: Sequence[Bar], span: Span, x: float, lane: int, *, reach: float = 3.0) -> Bar | None:
    """The bar of that lane below the pixel."""
    for bar in bars:
        if bar.lane == lane and span.x(bar.start_s) - reach <= x <= span.x(bar.end_s) + reach:
            return bar
    return None


def ticks(span: Span, *, apart: float = 70.0) -> list[float]:
    """Round times to write along the timeline, at least `apart` pixels from each other."""
    wanted = span.shown_s * apart / max(span.width, 1.0)
    step = next((step for step in TICK_STEPS_S if step >= wanted), TICK_STEPS_S[-1])
    first = int(span.left_s // step)
    count = int(span.shown_s / step) + 2
    return [number * step for number in range(first, first + count) if span.left_s <= number * step <= span.right_s]


def clock(seconds: float, *, parts: int = 0) -> str:
    """Minutes and seconds, hours where there are any, with `parts` decimals."""
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    scaled = round(seconds * 10**parts)
    whole, rest = divmod(scaled, 10**parts)
    minutes, secs = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    decimals = f".{rest:0{parts}d}" if parts else ""
    return f"{sign}{hours}:{minutes:02}:{secs:02}{decimals}" if hours else f"{sign}{minutes}:{secs:02}{decimals}"
