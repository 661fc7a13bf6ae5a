"""Objects that cross a line, stop and tremble on it, turn before it, peek over it and walk around its end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from tracker.types import Tracks, TrackState

WIDTH, HEIGHT, RATE = 640, 480, 25.0
BOX = (30.0, 60.0)
SIZE = float(np.sqrt(BOX[0] * BOX[1]))
START, END = (200.0, 100.0), (420.0, 330.0)
DIRECTION = (np.array(END) - START) / np.linalg.norm(np.array(END) - START)
LEFT = np.array([DIRECTION[1], -DIRECTION[0]])
LENGTH = float(np.linalg.norm(np.array(END) - START))
BAND = 0.2 * SIZE


@dataclass(frozen=True)
class Path:
    """Foot points, one a frame, and the true number of crossings."""

    points: np.ndarray
    inward: int
    outward: int


@st.composite
def paths(draw: st.DrawFn) -> Path:
    """An object's way, made of moves whose crossings are known."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    side = draw(st.sampled_from([-1, 1]))
    along = draw(st.floats(0.2, 0.8)) * LENGTH
    far = draw(st.floats(35, 80))
    corners = [(along, side * far)]
    inward = outward = 0
    places: list[tuple[float, float]] = []
    for _ in range(draw(st.integers(1, 5))):
        move = draw(st.sampled_from(["cross", "stop and cross", "stop and turn", "turn", "peek", "walk around"]))
        along = draw(st.floats(0.1, 0.9)) * LENGTH
        if move in ("stop and cross", "stop and turn"):
            corners += [(along, 0.0)] * draw(st.integers(2, 5))
        elif move == "turn":
            corners.append((along, side * draw(st.floats(0.0, 20.0))))
        elif move == "peek":
            corners.append((along, -side * BAND * 0.4))
        elif move == "walk around":
            beyond = draw(st.sampled_from([-40.0, LENGTH + 40.0]))
            corners += [(beyond, side * far), (beyond, -side * far)]
        if move in ("cross", "stop and cross"):
            inward, outward = inward + (side < 0), outward + (side > 0)
        if move in ("cross", "stop and cross", "walk around"):
            side = -side
        corners.append((along, side * far))
    speed = draw(st.floats(2.0, 60.0))
    for (a_along, a_off), (b_along, b_off) in itertools.pairwise(corners):
        steps = (
            max(1, int(np.ceil(np.hypot(b_along - a_along, b_off - a_off) / speed)))
            if (a_along, a_off)
            != (
                b_along,
                b_off,
            )
            else 20
        )
        shares = np.arange(steps) / steps
        places += list(zip(a_along + shares * (b_along - a_along), a_off + shares * (b_off - a_off), strict=True))
    places.append(corners[-1])
    ways = np.array(places) + rng.uniform(-0.5 * BAND, 0.5 * BAND, (len(places), 2))
    points = np.array(START) + ways[:, :1] * DIRECTION + ways[:, 1:] * LEFT
    return Path(points, inward, outward)


def tracks_at(ways: list[Path], frame: int, *, hidden: set[tuple[int, int]] = frozenset()) -> Tracks:  # type: ignore[assignment]
    """The tracks of one frame; those hidden are there as coasting tracks at a wrong place."""
    ids, boxes, states, rows = [], [], [], []
    for number, way in enumerate(ways, start=1):
        if frame >= len(way.points):
            continue
        x, y = way.points[frame]
        unseen = (number, frame) in hidden
        shift = 150 if unseen else 0
        ids.append(number)
        boxes.append((x - BOX[0] / 2 + shift, y - BOX[1], x + BOX[0] / 2 + shift, y))
        states.append(TrackState.COASTING if unseen else TrackState.CONFIRMED)
        rows.append(-1 if unseen else len(rows))
    return make_tracks(ids, boxes, states=states, rows=rows)


def make_tracks(
    ids: list[int],
    boxes: list[tuple[float, float, float, float]],
    *,
    states: list[TrackState] | None = None,
    rows: list[int] | None = None,
    class_ids: list[int] | None = None,
) -> Tracks:
    """Tracks of class 0, confirmed and seen unless told otherwise."""
    count = len(ids)
    return Tracks(
        ids=np.array(ids, np.int64),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        velocities=np.zeros((count, 2), np.float32),
        scores=np.ones(count, np.float32),
        class_ids=np.array(class_ids or [0] * count, np.int32),
        states=np.array(states or [TrackState.CONFIRMED] * count, np.uint8),
        ages=np.ones(count, np.float32),
        unseen=np.zeros(count, np.float32),
        detection_rows=np.array(rows if rows is not None else range(count), np.int32),
    )
