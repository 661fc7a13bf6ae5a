"""(Tracks, time) -> events, by the rules of a scene; live and from a recording with the same numbers.

Only tracks that are confirmed and seen in the frame count, since a recording holds no others; boxes are taken to
0.01 pixels, as recordings hold them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracker.analytics.figures import RuleFigure, line_figure, zone_figure
from tracker.analytics.ground import SpeedMeter
from tracker.analytics.heat import HeatMap
from tracker.analytics.lines import LineCounter
from tracker.analytics.rules import Point, Rules
from tracker.analytics.zones import Change, ZoneWatch
from tracker.config import nearest
from tracker.errors import ConfigError
from tracker.types import Event, EventKind, Tracks, TrackState

__all__ = ["Analytics"]

_FORGET_S = 600.0
"""Seconds after which a track that is no longer seen is forgotten: no tracker brings one back later."""


KMH = 3.6
"""Kilometres per hour in a metre per second."""


class Analytics:
    """The Analyse stage: one instance for one source, fed with its frames in order.

    Events are `line` (value 1 in, -1 out; its time is when the path met the line), `zone-enter`, `zone-leave` (value:
    seconds inside), `zone-dwell` (value: seconds inside so far) and `speed` (value: km/h, once for each track).

    Raises ConfigError for a rule about a class that the network does not know.
    """

    def __init__(self, rules: Rules, labels: Sequence[str], *, width: int, height: int) -> None:
        self.rules = rules = rules.scaled(width, height)
        self.labels = tuple(labels)
        self.lines = [LineCounter(rule) for rule in rules.line]
        self.zones = [
            ZoneWatch(
                rule,
                {class_id: limit.seconds for limit in rule.limit for class_id in self._class_ids(limit.classes)},
            )
            for rule in rules.zone
        ]
        self.heat = HeatMap(width, height, rules.heat_cell)
        self.counts: Counter[tuple[str, int, bool]] = Counter()
        """Crossings by line, class and whether they went in."""
        self.speeds: dict[int, float] = {}
        """km/h by track, of those seen in the last frame."""
        self._meter = None if rules.speed is None else SpeedMeter(rules.speed)
        self._too_fast: dict[int, float] = {}
        self._line_classes = [self._class_ids(rule.classes) for rule in rules.line]
        self._zone_classes = [self._class_ids(rule.classes) for rule in rules.zone]
        self._speed_classes = self._class_ids(rules.speed.classes if rules.speed else ())

    def __call__(self, tracks: Tracks, time: float) -> tuple[Event, ...]:
        """What happened in this frame."""
        seen = tracks[(tracks.states == TrackState.CONFIRMED) & (tracks.detection_rows >= 0)]
        boxes = np.round(seen.boxes.astype(np.float64), 2).tolist()
        events: list[Event] = []
        points: list[Point] = []
        self.speeds = {}
        for track_id, class_id, (x1, y1, x2, y2) in zip(seen.ids.tolist(), seen.class_ids.tolist(), boxes, strict=True):
            foot = ((x1 + x2) / 2, y2)
            point = foot if self.rules.anchor == "foot" else ((x1 + x2) / 2, (y1 + y2) / 2)
            size = float(np.sqrt(max(x2 - x1, 0.0) * max(y2 - y1, 0.0)))
            points.append(point)
            events += self._cross_lines(track_id, class_id, point, size, time)
            for zone, classes in zip(self.zones, self._zone_classes, strict=True):
                if not classes or class_id in classes:
                    changes = zone.see(track_id, class_id, point, size, time)
                    events += [_zone_event(zone.rule.name, change) for change in changes]
            events += self._measure(track_id, class_id, foot, time)
        for zone in self.zones:
            events += [_zone_event(zone.rule.name, change) for change in zone.pass_time(time)]
        self.heat.see(points, time)
        self._forget(time)
        return tuple(events)

    def finish(self) -> tuple[Event, ...]:
        """Let everybody leave the zones at the end of a recording, so that every stay has its length."""
        return tuple(_zone_event(zone.rule.name, change) for zone in self.zones for change in zone.finish())

    def count(self, line: str, *, inward: bool, class_id: int | None = None) -> int:
        """Crossings of a line in one direction, of one class or of all."""
        return sum(
            number
            for (name, counted_class, direction), number in self.counts.items()
            if name == line and direction == inward and class_id in (None, counted_class)
        )

    def figures(self) -> list[RuleFigure]:
        """Lines and zones with their numbers for the overlay."""
        lines = [
            line_figure(rule, *(self.count(rule.name, inward=direction) for direction in (True, False)))
            for rule in self.rules.line
        ]
        return lines + [zone_figure(zone.rule, sum(zone.occupancy().values())) for zone in self.zones]

    def state(self) -> dict[str, Any]:
        """All that is needed to go on later, as plain values for JSON."""
        return {
            "lines": [line.state() for line in self.lines],
            "zones": [zone.state() for zone in self.zones],
            "heat": self.heat.state(),
            "counts": [[*key, number] for key, number in self.counts.items()],
            "speed": None if self._meter is None else self._meter.state(),
            "too_fast": [[track_id, time] for track_id, time in self._too_fast.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of the same rules."""
        for line, saved in zip(self.lines, state["lines"], strict=True):
            line.restore(saved)
        for zone, saved in zip(self.zones, state["zones"], strict=True):
            zone.restore(saved)
        self.heat.restore(state["heat"])
        self.counts = Counter({(name, class_id, inward): number for name, class_id, inward, number in state["counts"]})
        if self._meter is not None:
            self._meter.restore(state["speed"])
        self._too_fast = {int(track_id): time for track_id, time in state["too_fast"]}

    def _class_ids(self, names: Sequence[str]) -> frozenset[int]:
        """The numbers of the classes; empty for all."""
        for name in names:
            if name not in self.labels:
                raise ConfigError(f"rules: unknown class {name!r}; {nearest(name, self.labels)}")
        return frozenset(number for number, name in enumerate(self.labels) if name in names)

    def _cross_lines(self, track_id: int, class_id: int, point: Point, size: float, time: float) -> list[Event]:
        events = []
        for line, classes in zip(self.lines, self._line_classes, strict=True):
            if classes and class_id not in classes:
                continue
            crossing = line.see(track_id, point, size, time)
            if crossing is not None:
                self.counts[line.rule.name, class_id, crossing.inward] += 1
                value = 1.0 if crossing.inward else -1.0
                events.append(Event(EventKind.LINE, line.rule.name, crossing.time, track_id, class_id, value))
        return events

    def _measure(self, track_id: int, class_id: int, foot: Point, time: float) -> list[Event]:
        if self._meter is None or (self._speed_classes and class_id not in self._speed_classes):
            return []
        speed = self._meter.see(track_id, foot, time)
        if speed is None:
            return []
        self.speeds[track_id] = speed * KMH
        limit = self._meter.rule.limit_kmh
        if limit is None or self.speeds[track_id] <= limit or track_id in self._too_fast:
            return []
        self._too_fast[track_id] = time
        return [Event(EventKind.SPEED, "speed", time, track_id, class_id, self.speeds[track_id])]

    def _forget(self, time: float) -> None:
        before = time - _FORGET_S
        for line in self.lines:
            line.forget(before)
        if self._meter is not None:
            self._meter.forget(time - self._meter.rule.window_s)
        self._too_fast = {track_id: when for track_id, when in self._too_fast.items() if when >= before}


def _zone_event(name: str, change: Change) -> Event:
    return Event(change.kind, name, change.time, change.track_id, change.class_id, change.dwell_s)
