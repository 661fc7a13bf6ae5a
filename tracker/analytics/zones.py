"""Who is inside an area, since when, and who stays too long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from tracker.analytics.rules import Point, ZoneRule
from tracker.types import EventKind

__all__ = ["Change", "ZoneWatch"]


@dataclass(frozen=True, slots=True)
class Change:
    """A track entered, left or stayed too long."""

    kind: EventKind
    track_id: int
    class_id: int
    time: float
    dwell_s: float


@dataclass(slots=True)
class _Stay:
    """What is remembered of one track."""

    class_id: int
    last_seen: float
    inside: bool = False
    entered: float = 0.0
    reported: bool = False


class ZoneWatch:
    """Follows tracks into and out of one zone."""

    def __init__(self, rule: ZoneRule, limits: Mapping[int, float]) -> None:
        self.rule = rule
        self._limits = limits
        self._stays: dict[int, _Stay] = {}
        self._outline = np.array(rule.polygon, np.float32).reshape(-1, 1, 2)

    def see(self, track_id: int, class_id: int, point: Point, size: float, time: float) -> list[Change]:
        """Take the next place of a track, whose box is about `size` pixels; tell what that changes."""
        depth = cv2.pointPolygonTest(self._outline, point, True)  # pixels to the border, positive inside
        band = self.rule.hysteresis * size
        stay = self._stays.setdefault(track_id, _Stay(class_id, time))
        stay.class_id, stay.last_seen = class_id, time
        changes = []
        if not stay.inside and depth > band:
            stay.inside, stay.entered, stay.reported = True, time, False
            changes.append(Change(EventKind.ZONE_ENTER, track_id, class_id, time, 0.0))
        elif stay.inside and depth < -band:
            stay.inside = False
            changes.append(Change(EventKind.ZONE_LEAVE, track_id, class_id, time, time - stay.entered))
        limit = self._limits.get(class_id, self.rule.max_dwell_s)
        if stay.inside and not stay.reported and limit is not None and time - stay.entered >= limit:
            stay.reported = True
            changes.append(Change(EventKind.ZONE_DWELL, track_id, class_id, time, time - stay.entered))
        return changes

    def pass_time(self, time: float) -> list[Change]:
        """Let those go that have not been seen for too long; they left when they were last seen."""
        return self._release(time - self.rule.lost_s)

    def finish(self) -> list[Change]:
        """Let everybody go at the end of a recording."""
        return self._release(float("inf"))

    def _release(self, last_seen_before: float) -> list[Change]:
        changes = []
        gone = [track_id for track_id, stay in self._stays.items() if stay.last_seen < last_seen_before]
        for track_id in sorted(gone):
            stay = self._stays.pop(track_id)
            if stay.inside:
                dwell_s = stay.last_seen - stay.entered
                changes.append(Change(EventKind.ZONE_LEAVE, track_id, stay.class_id, stay.last_seen, dwell_s))
        return changes

    def occupancy(self) -> dict[int, int]:
        """How many are inside now, by class."""
        counts: dict[int, int] = {}
        for stay in self._stays.values():
            if stay.inside:
                counts[stay.class_id] = counts.get(stay.class_id, 0) + 1
        return counts

    def state(self) -> dict[str, Any]:
        """What `restore` takes."""
        return {str(track_id): asdict(stay) for track_id, stay in self._stays.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._stays = {int(track_id): _Stay(**stay) for track_id, stay in state.items()}
