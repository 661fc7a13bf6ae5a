"""The rules of a scene, as they stand in a small TOML and as the window draws them.

    size = [1920, 1080]                      # of the image the points were taken from; scaled to the video's
    [[line]]
    name = "gate"
    start = [100, 500]                       # looking from start to end, right to left counts as "in"
    end = [900, 520]
    classes = ["person"]
    [[zone]]
    name = "bench"
    polygon = [[10, 10], [300, 10], [300, 200]]
    max_dwell_s = 60
    limit = [{ classes = ["car"], seconds = 10 }]
    [speed]
    image = [[400, 300], [900, 300], [1200, 700], [100, 700]]
    ground_m = [[0, 20], [8, 20], [8, 0], [0, 0]]
    limit_kmh = 30

Points are pixels of the original frame.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from tracker.config import build, check_points, check_polygon, read_settings
from tracker.errors import ConfigError
from tracker.types import EventKind

__all__ = ["DwellLimit", "LineRule", "Point", "Rules", "SpeedRule", "ZoneRule", "load_rules", "rules_to_toml"]

Point: TypeAlias = tuple[float, float]
"""x, y in pixels."""


@dataclass(frozen=True, slots=True)
class LineRule:
    """A line that is counted in both directions."""

    name: str
    """What its counts are called."""
    start: Point
    """One end."""
    end: Point
    """The other end; crossing from the right to the left, looking from start to end, counts as in."""
    classes: tuple[str, ...] = ()
    """Classes that are counted; empty counts all."""
    hysteresis: float = 0.2
    """How far beyond the line an object must get, in sizes of its box, so that trembling on the line is no crossing."""

    def __post_init__(self) -> None:
        _check_name("line", self.name)
        check_points(f"line {self.name!r}", (self.start, self.end))
        if np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]) < 1:
            raise ValueError(f"line {self.name!r}: start and end must be at least a pixel apart")
        if not 0 <= self.hysteresis <= 5:
            raise ValueError(f"line {self.name!r}: hysteresis must be from 0 to 5, found {self.hysteresis}")


@dataclass(frozen=True, slots=True)
class DwellLimit:
    """How long some classes may stay."""

    classes: tuple[str, ...]
    """The classes it is for."""
    seconds: float
    """The longest stay."""

    def __post_init__(self) -> None:
        if not self.classes or not 0 < self.seconds < float("inf"):
            raise ValueError("a dwell limit needs classes and more than 0 seconds")


@dataclass(frozen=True, slots=True)
class ZoneRule:
    """An area that objects enter and leave."""

    name: str
    """What its events are called."""
    polygon: tuple[Point, ...]
    """Its corners."""
    classes: tuple[str, ...] = ()
    """Classes that are watched; empty watches all."""
    max_dwell_s: float | None = None
    """Seconds after which a stay is reported; without it none is."""
    limit: tuple[DwellLimit, ...] = ()
    """Limits of their own for some classes."""
    hysteresis: float = 0.1
    """How far across the border an object must get, in sizes of its box, to have entered or left."""
    lost_s: float = 1.0
    """Seconds after which an object that is no longer seen has left."""

    def __post_init__(self) -> None:
        _check_name("zone", self.name)
        check_polygon(f"zone {self.name!r}", self.polygon)
        if self.max_dwell_s is not None and not self.max_dwell_s > 0:
            raise ValueError(f"zone {self.name!r}: max_dwell_s must be more than 0, found {self.max_dwell_s}")
        if not 0 <= self.hysteresis <= 5 or not 0 < self.lost_s < 3600:
            raise ValueError(f"zone {self.name!r}: hysteresis must be from 0 to 5 and lost_s from 0 to 3600")


@dataclass(frozen=True, slots=True)
class SpeedRule:
    """Where four points of the image lie on the ground, so that speeds are in metres and not in pixels."""

    image: tuple[Point, Point, Point, Point]
    """Four points of the image."""
    ground_m: tuple[Point, Point, Point, Point]
    """The same points on the ground, in metres."""
    window_s: float = 1.0
    """Seconds over which a speed is measured."""
    limit_kmh: float | None = None
    """Speed that is reported, once for each track; without it none is."""
    classes: tuple[str, ...] = ()
    """Classes that are measured; empty measures all."""

    def __post_init__(self) -> None:
        turns = []
        for name, points in (("image", self.image), ("ground_m", self.ground_m)):
            check_points(f"speed: {name}", points)
            corners = [points[:3], points[1:], (*points[2:], points[0]), (points[3], *points[:2])]
            areas = [_polygon_area(corner) for corner in corners]
            if not min(map(abs, areas)) >= 1e-6:
                raise ValueError(f"speed: three of the four {name} points lie on one line")
            turns.append([area > 0 for area in areas])
        in_image, on_ground = turns
        if len({one == other for one, other in zip(in_image, on_ground, strict=True)}) > 1:
            raise ValueError("speed: the points of image and ground_m are not in the same order around the area")
        if not 0.1 <= self.window_s <= 60:
            raise ValueError(f"speed: window_s must be from 0.1 to 60, found {self.window_s}")
        if self.limit_kmh is not None and not self.limit_kmh > 0:
            raise ValueError(f"speed: limit_kmh must be more than 0, found {self.limit_kmh}")


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that is counted in a scene."""

    size: tuple[int, int] | None = None
    """Width and height of the image the points were taken from; without it they are the video's own pixels."""
    anchor: Literal["foot", "centre"] = "foot"
    """The point of a box that stands for the object: the middle of its lower edge, or its centre."""
    line: tuple[LineRule, ...] = ()
    """Lines to count at."""
    zone: tuple[ZoneRule, ...] = ()
    """Zones to watch."""
    speed: SpeedRule | None = None
    """How pixels become metres."""
    heat_cell: int = 16
    """Pixels along each side of a cell of the heat map."""

    def __post_init__(self) -> None:
        for kind, names in (("line", [rule.name for rule in self.line]), ("zone", [rule.name for rule in self.zone])):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"two {kind}s are called {twice.pop()!r}")
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size must be at least 1 x 1, found {self.size}")
        if not 1 <= self.heat_cell <= 1024:
            raise ValueError(f"heat_cell must be from 1 to 1024, found {self.heat_cell}")

    def noticed_kinds(self) -> frozenset[EventKind]:
        """The kinds of events that these rules can give."""
        kinds: set[EventKind] = set()
        if self.line:
            kinds.add(EventKind.LINE)
        if self.zone:
            kinds |= {EventKind.ZONE_ENTER, EventKind.ZONE_LEAVE}
        if any(zone.limit or zone.max_dwell_s is not None for zone in self.zone):
            kinds.add(EventKind.ZONE_DWELL)
        if self.speed is not None and self.speed.limit_kmh is not None:
            kinds.add(EventKind.SPEED)
        return frozenset(kinds)

    def class_names(self) -> set[str]:
        """Every class that a rule names."""
        named = [rule.classes for rule in self.line] + [rule.classes for rule in self.zone]
        named += [limit.classes for zone in self.zone for limit in zone.limit]
        return set().union(*named, self.speed.classes if self.speed is not None else ())

    def scaled(self, width: int, height: int) -> Rules:
        """The same rules for an image of that size."""
        if self.size is None or self.size == (width, height):
            return replace(self, size=(width, height))
        across, down = width / self.size[0], height / self.size[1]

        def move(points: Sequence[Point]) -> Any:
            return tuple((x * across, y * down) for x, y in points)

        lines = []
        for rule in self.line:
            start, end = move((rule.start, rule.end))
            lines.append(replace(rule, start=start, end=end))
        zones = tuple(replace(rule, polygon=move(rule.polygon)) for rule in self.zone)
        speed = None if self.speed is None else replace(self.speed, image=move(self.speed.image))
        return replace(self, size=(width, height), line=tuple(lines), zone=zones, speed=speed)


def load_rules(path: Path | str) -> Rules:
    """The rules of a TOML file. Raises ConfigError for anything that is unknown or makes no sense."""
    try:
        return build(Rules, read_settings(Path(path)), str(path))
    except TypeError as error:  # a table without its name or points
        missing = str(error).rpartition(": ")[2]
        raise ConfigError(f"{path}: a rule lacks {missing}") from error


def rules_to_toml(rules: Rules) -> str:
    """The text of a file that `load_rules` reads back equal."""
    lines = [] if rules.size is None else [f"size = {_toml(rules.size)}"]
    lines += [f"anchor = {_toml(rules.anchor)}", f"heat_cell = {rules.heat_cell}"]
    for line in rules.line:
        lines += ["", "[[line]]", *_fields(line, "name", "start", "end", "classes", "hysteresis")]
    for zone in rules.zone:
        lines += ["", "[[zone]]", *_fields(zone, "name", "polygon", "classes", "max_dwell_s", "hysteresis", "lost_s")]
        limits = [f"{{ classes = {_toml(one.classes)}, seconds = {_toml(one.seconds)} }}" for one in zone.limit]
        lines.append(f"limit = [{', '.join(limits)}]")
    if rules.speed is not None:
        lines += ["", "[speed]", *_fields(rules.speed, "image", "ground_m", "window_s", "limit_kmh", "classes")]
    return "\n".join(lines) + "\n"


def _fields(rule: Any, *names: str) -> list[str]:
    return [f"{name} = {_toml(getattr(rule, name))}" for name in names if getattr(rule, name) is not None]


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    # JSON's escapes are TOML's, but for the delete character
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else repr(value)


def _check_name(kind: str, name: str) -> None:
    if not name.strip():
        raise ValueError(f"a {kind} needs a name")


def _polygon_area(points: Sequence[Point]) -> float:
    """Signed area by the shoelace formula."""
    xs, ys = np.array(points, float).T
    return float((xs * np.roll(ys, -1) - np.roll(xs, -1) * ys).sum() / 2)
