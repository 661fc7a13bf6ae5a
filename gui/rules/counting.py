"""Counts of a live source whose lines and zones may change while it runs, and shapes as the core's rules."""

from __future__ import annotations

import copy
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gui.canvas.hit_testing import Shape
from tracker.analytics import Analytics, LineRule, Rules, ZoneRule, rules_to_toml
from tracker.analytics.heat import HeatMap
from tracker.overlay import Figure
from tracker.types import Event, EventKind, Tracks

__all__ = [
    "CountRow",
    "LiveCounts",
    "change_shapes",
    "fit_shapes",
    "rules_from_shapes",
    "rules_text",
    "shapes_from_mapping",
    "shapes_from_rules",
    "shapes_to_mapping",
    "size_from_mapping",
]


@dataclass(frozen=True, slots=True)
class CountRow:
    """What one rule has counted so far."""

    kind: str
    name: str
    inward: int
    """Into the zone, or over the line to its left."""
    outward: int
    mean_dwell_s: float = 0.0
    inside: int = 0
    """Objects in the zone now; in a recording, at the time shown."""


def rules_from_shapes(shapes: Sequence[Shape], size: tuple[int, int]) -> Rules:
    """The core's rules for what is drawn; hidden regions count nothing."""
    return Rules(size=size, line=_lines(shapes), zone=_zones(shapes))


def rules_text(shapes: Sequence[Shape]) -> str:
    """Lines and zones as the TOML text that recordings keep; empty where there are none or they make no sense."""
    try:
        rules = Rules(line=_lines(shapes), zone=_zones(shapes))
    except ValueError:  # such as a line without a length, from a settings file of another hand
        return ""
    return rules_to_toml(rules) if rules.line or rules.zone else ""


def _lines(shapes: Sequence[Shape]) -> tuple[LineRule, ...]:
    return tuple(LineRule(shape.name, shape.points[0], shape.points[1]) for shape in shapes if shape.kind == "line")


def _zones(shapes: Sequence[Shape]) -> tuple[ZoneRule, ...]:
    return tuple(ZoneRule(shape.name, shape.points) for shape in shapes if shape.kind == "zone")


def change_shapes(rules: Rules, shapes: Sequence[Shape], size: tuple[int, int]) -> Rules:
    """The rules with the lines and zones as they are drawn now; what else a known one says stays."""
    drawn, before = rules_from_shapes(shapes, size), rules.scaled(*size)
    lines = {line.name: line for line in before.line}
    zones = {zone.name: zone for zone in before.zone}
    return replace(
        before,
        line=tuple(
            replace(lines[new.name], start=new.start, end=new.end) if new.name in lines else new for new in drawn.line
        ),
        zone=tuple(replace(zones[new.name], polygon=new.polygon) if new.name in zones else new for new in drawn.zone),
    )


def shapes_from_rules(rules: Rules) -> list[Shape]:
    """Lines and zones as shapes."""
    lines = [Shape("line", rule.name, (rule.start, rule.end)) for rule in rules.line]
    return lines + [Shape("zone", rule.name, rule.polygon) for rule in rules.zone]


def shapes_to_mapping(shapes: Sequence[Shape], size: tuple[int, int] | None = None) -> dict[str, Any]:
    """Shapes as plain values for the settings store, with the width and height of the frames they are drawn on."""
    rows = [[shape.kind, shape.name, [list(point) for point in shape.points]] for shape in shapes]
    return {"shapes": rows} if size is None else {"shapes": rows, "size": list(size)}


def size_from_mapping(tree: Mapping[str, Any]) -> tuple[int, int] | None:
    """The width and height of the frames that shapes were drawn on; None where that is not known."""
    size = tree.get("size")
    if not isinstance(size, list | tuple) or len(size) != 2 or not all(isinstance(side, int) for side in size):
        return None
    width, height = size
    return (width, height) if width > 0 and height > 0 else None


def fit_shapes(shapes: Sequence[Shape], before: tuple[int, int], now: tuple[int, int]) -> list[Shape]:
    """The shapes at the same shares of frames of another width and height."""
    across, down = now[0] / before[0], now[1] / before[1]
    return [replace(shape, points=tuple((x * across, y * down) for x, y in shape.points)) for shape in shapes]


def shapes_from_mapping(tree: Mapping[str, Any]) -> list[Shape]:
    """The opposite of `shapes_to_mapping`; what cannot be read is left out."""
    shapes = []
    for entry in tree.get("shapes", []):
        try:
            kind, name, points = entry
            if kind in ("line", "zone", "blur", "area"):
                shapes.append(Shape(kind, str(name), tuple((float(x), float(y)) for x, y in points)))
        except (TypeError, ValueError):
            continue
    return shapes


class LiveCounts:
    """The Analyse stage of a live source: rules are exchanged between two frames, unchanged ones keep their counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._analytics: Analytics | None = None
        self._labels: tuple[str, ...] = ()
        self._size = (0, 0)
        self._shapes: list[Shape] = []
        self._rules = Rules()
        """What is known of lines and zones beside where they are drawn: classes, limits, speed."""
        self._entered: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        self._dwell_s: Counter[str] = Counter()

    def begin(self, labels: Sequence[str], width: int, height: int) -> None:
        """Count from nothing on frames of this size."""
        with self._lock:
            self._labels, self._size = tuple(labels), (width, height)
            self._analytics = None
            if self._rules.size is None and width and height:
                self._rules = replace(self._rules, size=(width, height))
            for counts in (self._entered, self._left, self._dwell_s):
                counts.clear()
            self._rebuild()

    def use_rules(self, rules: Rules) -> None:
        """Take classes, limits and the speed from these rules, for lines and zones of their names."""
        with self._lock:
            self._rules = rules
            self._rebuild()

    def use_shapes(self, shapes: Sequence[Shape]) -> None:
        """Count at these lines and zones from the next frame on."""
        with self._lock:
            self._shapes = list(shapes)
            self._rebuild()

    def __call__(self, tracks: Tracks, time: float) -> tuple[Event, ...]:
        with self._lock:
            if self._analytics is None:
                return ()
            events = self._analytics(tracks, time)
            for event in events:
                self._entered[event.name] += event.kind == EventKind.ZONE_ENTER
                if event.kind == EventKind.ZONE_LEAVE:
                    self._left[event.name] += 1
                    self._dwell_s[event.name] += event.value  # type: ignore[assignment]
            return events

    def rows(self) -> list[CountRow]:
        """What was counted so far."""
        with self._lock:
            analytics = self._analytics
            if analytics is None:
                return []
            names = [line.rule.name for line in analytics.lines]
            rows = [
                CountRow("line", name, analytics.count(name, inward=True), analytics.count(name, inward=False))
                for name in names
            ]
            for zone in analytics.zones:
                name, left = zone.rule.name, self._left[zone.rule.name]
                dwell = self._dwell_s[name] / left if left else 0.0
                entered = self._entered[name]
                rows.append(CountRow("zone", name, entered, left, dwell, entered - left))
            return rows

    def figures(self) -> list[Figure]:
        """Lines and zones with what they have counted so far, to be drawn; on any thread."""
        with self._lock:
            return [] if self._analytics is None else list(self._analytics.figures())

    def heat(self) -> HeatMap | None:
        """Where objects have spent their time so far; None before anything was seen."""
        with self._lock:
            if self._analytics is None or not self._analytics.heat.seconds.any():
                return None
            return copy.deepcopy(self._analytics.heat)

    def _rebuild(self) -> None:
        if not all(self._size):
            return
        before = self._analytics
        width, height = self._size
        rules = change_shapes(self._rules, self._shapes, self._size)
        analytics = Analytics(rules, self._labels, width=width, height=height)
        self._analytics = analytics
        if before is None:
            return
        analytics.heat = before.heat
        known_lines = {line.rule: line for line in before.lines}
        analytics.lines = [known_lines.get(line.rule, line) for line in analytics.lines]
        kept = {line.rule.name for line in analytics.lines if line.rule in known_lines}
        analytics.counts = Counter({key: number for key, number in before.counts.items() if key[0] in kept})
        known_zones = {zone.rule: zone for zone in before.zones}
        analytics.zones = [known_zones.get(zone.rule, zone) for zone in analytics.zones]
        zones = {zone.rule.name for zone in analytics.zones if zone.rule in known_zones}
        for counts in (self._entered, self._left, self._dwell_s):
            for name in set(counts) - zones:
                del counts[name]
