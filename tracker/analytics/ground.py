"""Speeds on the ground from four points whose place there is known.

The four points fix a homography (Hartley and Zisserman, "Multiple View Geometry", 2nd ed., section 4.1); an object's
speed is the slope of a straight line fitted to its foot points on the ground over the last moments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from tracker.analytics.rules import Point, SpeedRule

__all__ = ["SpeedMeter"]

NEAREST_HORIZON = 0.25
"""Beyond the horizon, or four times as far away as the farthest of the four points, nothing can be measured."""


class SpeedMeter:
    """Follows tracks over the ground."""

    def __init__(self, rule: SpeedRule) -> None:
        self.rule = rule
        image, ground = np.array(rule.image, np.float32), np.array(rule.ground_m, np.float32)
        to_ground = np.asarray(cv2.getPerspectiveTransform(image, ground), np.float64)
        scales = (to_ground @ np.column_stack([image, np.ones(4)]).T)[2]
        self._to_ground = to_ground / scales[np.abs(scales).argmin()]
        self._paths: dict[int, deque[tuple[float, float, float]]] = {}

    def see(self, track_id: int, point: Point, time: float) -> float | None:
        """Take the next foot point of a track; its speed in m/s once half the window has been seen."""
        x, y, scale = self._to_ground @ np.array([point[0], point[1], 1.0])
        if scale < NEAREST_HORIZON:
            return None
        path = self._paths.setdefault(track_id, deque())
        path.append((time, float(x / scale), float(y / scale)))
        while time - path[0][0] > self.rule.window_s:
            path.popleft()
        return self._slope(path)

    def _slope(self, path: deque[tuple[float, float, float]]) -> float | None:
        times, xs, ys = np.array(path).T
        if len(times) < 3 or times[-1] - times[0] < 0.5 * self.rule.window_s:
            return None
        offsets = times - times.mean()
        spread = (offsets**2).sum()
        return float(np.hypot((offsets * xs).sum(), (offsets * ys).sum()) / spread)

    def forget(self, before: float) -> None:
        """Drop tracks last seen before that time."""
        gone = [track_id for track_id, path in self._paths.items() if path[-1][0] < before]
        for track_id in gone:
            del self._paths[track_id]

    def state(self) -> dict[str, Any]:
        """What `restore` takes."""
        return {str(track_id): [list(place) for place in path] for track_id, path in self._paths.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._paths = {int(track_id): deque((t, x, y) for t, x, y in path) for track_id, path in state.items()}
