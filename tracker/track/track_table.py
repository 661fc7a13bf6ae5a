"""The tracks themselves: one column per track, in order of their ids, grown and thinned as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8
from numpy import ndarray

from tracker.track.jit import compiled
from tracker.track.kalman import FilterState

__all__ = ["TrackTable", "alive_mask", "export_columns", "states_of"]

_COUNTS = ("ids", "hits", "streak", "missed", "confirmed", "class_places")
_VALUES = ("born", "last_seen", "scores", "residual_ema")
HITS, STREAK, MISSED, LAST_SEEN, SCORES, RESIDUAL_EMA = 1, 2, 3, 1, 2, 3
"""Their rows, for compiled functions."""
MEMORY = 0.2
"""Weight of the latest detection in a track's wander."""
UNPROVEN = 0.5
"""Wander of a track seen once, as a share of its size."""


class TrackTable:
    """State of all live tracks as arrays; every array's last axis is the track."""

    filter: FilterState
    ids: Int64[ndarray, " n"]
    hits: Int64[ndarray, " n"]
    """Detections so far."""
    streak: Int64[ndarray, " n"]
    """Frames in a row up to the last detection in which the track was found again."""
    missed: Int64[ndarray, " n"]
    """Frames since the last detection."""
    confirmed: Int64[ndarray, " n"]
    """1 where confirmed."""
    class_places: Int64[ndarray, " n"]
    """Place of the winning class in the class vote."""
    born: Float64[ndarray, " n"]
    last_seen: Float64[ndarray, " n"]
    """Time of the last detection."""
    since: Float64[ndarray, "2 n"]
    """Both times, born and seen."""
    scores: Float64[ndarray, " n"]
    """Score of the last detection."""
    residual_ema: Float64[ndarray, " n"]
    """How far detections lay from where they were expected, as a share of the box's size: a running mean."""
    observed: Float64[ndarray, "4 n"]
    """Box of the last detection."""
    votes: Float64[ndarray, "c n"]
    """Scores gathered by each class."""
    centre_history: Float64[ndarray, "c 2 n"]
    """Centres of the detections in the last frames, oldest first, NaN where unseen; the first detection of a track does
    not count. After them the unit vector from the oldest to the last detection, NaN before there are three. Empty
    unless direction counts."""
    filter_when_seen: FilterState
    """The filter right after the last detection; empty unless lost tracks are re-updated."""

    def __init__(self, *, direction_span: int, keeps_filter: bool) -> None:
        self._span = direction_span
        self._keeps_filter = keeps_filter
        self.filter = np.empty((5, 4, 0))
        self.observed = np.empty((4, 0))
        self.votes = np.empty((1, 0))
        self.centre_history = np.empty((direction_span + 1 if direction_span else 0, 2, 0))
        self.filter_when_seen = np.empty((5, 4, 0))
        self._hold(np.empty((len(_COUNTS), 0), np.int64), np.empty((len(_VALUES), 0)))

    def __len__(self) -> int:
        return len(self.ids)

    def _hold(self, counts: Int64[ndarray, "6 n"], values: Float64[ndarray, "4 n"]) -> None:
        self._counts, self._values = counts, values
        self._reference: Float64[ndarray, "2 n"] | None = None
        self.ids, self.hits, self.streak, self.missed, self.confirmed, self.class_places = counts
        self.born, self.last_seen, self.scores, self.residual_ema = values
        self.since = values[:2]

    def keep(self, alive: Bool[ndarray, " n"]) -> None:
        """Drop the tracks that are not alive."""
        rows = alive.nonzero()[0]
        self._hold(self._counts.take(rows, axis=1), self._values.take(rows, axis=1))
        self.filter = self.filter.take(rows, axis=2)
        self.observed = self.observed.take(rows, axis=1)
        self.votes = self.votes.take(rows, axis=1)
        if self._span:
            self.centre_history = self.centre_history.take(rows, axis=2)
        if self._keeps_filter:
            self.filter_when_seen = self.filter_when_seen.take(rows, axis=2)

    def append(
        self,
        filter_state: FilterState,
        *,
        ids: Int64[ndarray, " b"],
        confirmed: Bool[ndarray, " b"],
        time: float,
        scores: Float64[ndarray, " b"],
        boxes: Float64[ndarray, "4 b"],
        class_places: Int64[ndarray, " b"],
    ) -> None:
        """Add new tracks, seen once, at `time`."""
        count = len(ids)
        counts = np.zeros((len(_COUNTS), count), np.int64)
        counts[0], counts[1], counts[4], counts[5] = ids, 1, confirmed, class_places
        values = np.empty((len(_VALUES), count))
        values[:2], values[2], values[3] = time, scores, UNPROVEN
        self._hold(np.concatenate([self._counts, counts], axis=1), np.concatenate([self._values, values], axis=1))
        self.filter = np.concatenate([self.filter, filter_state], axis=2)
        self.observed = np.concatenate([self.observed, boxes], axis=1)
        votes = np.zeros((len(self.votes), count))
        votes[class_places, np.arange(count)] = scores
        self.votes = np.concatenate([self.votes, votes], axis=1)
        if self._span:
            unknown = np.empty((self._span + 1, 2, count))
            unknown.fill(np.nan)
            self.centre_history = np.concatenate([self.centre_history, unknown], axis=2)
        if self._keeps_filter:
            self.filter_when_seen = np.concatenate([self.filter_when_seen, filter_state], axis=2)

    def add_classes(self, count: int) -> None:
        """Make room for votes on `count` classes in all."""
        room = np.zeros((count - len(self.votes), len(self)))
        self.votes = np.concatenate([self.votes, room])

    def reference_centres(self) -> Float64[ndarray, "2 n"]:
        """Centre of each track's oldest detection within the direction span, else of its last one."""
        if self._reference is None:
            self._reference = _reference_centres(self.centre_history, self.observed)
        return self._reference

    def push_centres(self, rows: Int64[ndarray, " k"], boxes: Float64[ndarray, "4 k"]) -> None:
        """One more frame goes by, with the detections of some tracks; call before `mark_detected`."""
        if self._span:
            self.centre_history = _centre_history_after(
                self.centre_history, self.reference_centres(), self.hits, rows, boxes
            )
            self._reference = None

    def mark_detected(
        self,
        rows: Int64[ndarray, " k"],
        boxes: Float64[ndarray, "4 k"],
        scores: Float64[ndarray, " k"],
        offsets: Float64[ndarray, " k"],
        time: float,
    ) -> None:
        """These tracks were detected at `time`, `offsets` from where they were expected."""
        _see(self._counts, self._values, self.observed, rows, boxes, scores, offsets, time)

    def state(self) -> dict[str, Any]:
        """Copies of every array."""
        arrays = {"counts": self._counts, "values": self._values}
        arrays |= {name: getattr(self, name) for name in self._loose}
        return {name: array.copy() for name, array in arrays.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the arrays that `state` gave."""
        self._hold(np.array(state["counts"], np.int64), np.array(state["values"], np.float64))
        for name in self._loose:
            setattr(self, name, np.array(state[name], np.float64))

    _loose = ("filter", "observed", "votes", "centre_history", "filter_when_seen")


@compiled
def _reference_centres(
    centre_history: Float64[ndarray, "c 2 n"], observed: Float64[ndarray, "4 n"]
) -> Float64[ndarray, "2 n"]:
    centres: ndarray = (observed[:2] + observed[2:]) / 2
    for age in range(len(centre_history) - 2, -1, -1):
        known = (centre_history[age, 0] == centre_history[age, 0]).nonzero()[0]  # NaN is what does not equal itself
        for axis in range(2):
            centres[axis][known] = centre_history[age, axis][known]
    return centres


@compiled
def _centre_history_after(
    centre_history: Float64[ndarray, "c 2 n"],
    reference: Float64[ndarray, "2 n"],
    hits: Int64[ndarray, " n"],
    rows: Int64[ndarray, " k"],
    boxes: Float64[ndarray, "4 k"],
) -> Float64[ndarray, "c 2 n"]:
    """One frame later, with detections of the tracks `rows`; a direction needs more than a track's first box."""
    centres = (boxes[:2] + boxes[2:]) / 2
    step = centres - reference[:, rows]
    length = np.sqrt(step[0] * step[0] + step[1] * step[1]) + 1e-6
    going = (hits[rows] > 1).nonzero()[0]
    latest, heading = np.full((1, 2, len(hits)), np.nan), centre_history[-1:].copy()
    for axis in range(2):
        latest[0, axis][rows] = centres[axis]
        heading[0, axis][rows[going]] = (step[axis] / length)[going]
    return np.concatenate((centre_history[1:-1], latest, heading))


@compiled
def _see(
    counts: Int64[ndarray, "6 n"],
    values: Float64[ndarray, "4 n"],
    observed: Float64[ndarray, "4 n"],
    rows: Int64[ndarray, " k"],
    boxes: Float64[ndarray, "4 k"],
    scores: Float64[ndarray, " k"],
    offsets: Float64[ndarray, " k"],
    time: float,
) -> None:
    counts[HITS][rows] += 1
    counts[STREAK][rows] += 1
    counts[MISSED][rows] = 0
    values[LAST_SEEN][rows] = time
    values[SCORES][rows] = scores
    values[RESIDUAL_EMA][rows] += MEMORY * (offsets - values[RESIDUAL_EMA][rows])
    for corner in range(4):
        observed[corner][rows] = boxes[corner]


@compiled
def alive_mask(
    last_seen: Float64[ndarray, " n"],
    confirmed: Int64[ndarray, " n"],
    state: FilterState,
    moment: float,
    max_coast_s: float,
    tentative_coast_s: float,
) -> Bool[ndarray, " n"]:
    """Which tracks were seen lately enough before `moment`, and have a place at all."""
    unseen = moment - last_seen
    alive: ndarray = (unseen <= max_coast_s) & ((unseen <= tentative_coast_s) | (confirmed == 1))
    for coordinate in range(4):
        alive &= np.isfinite(state[0, coordinate])
    return alive


@compiled
def states_of(missed: Int64[ndarray, " n"], confirmed: Int64[ndarray, " n"], all_count: bool) -> UInt8[ndarray, " n"]:
    """Values of TrackState: TENTATIVE, CONFIRMED, or COASTING where unseen."""
    states: ndarray = ((1 + (missed > 0)) * ((confirmed == 1) | all_count)).astype(np.uint8)
    return states


@compiled
def export_columns(
    boxes: Float64[ndarray, "4 n"],
    speeds: Float64[ndarray, "2 n"],
    interval: float,
    since: Float64[ndarray, "2 n"],
    now: float,
) -> tuple[Float32[ndarray, "n 4"], Float32[ndarray, "n 2"], Float32[ndarray, " n"], Float32[ndarray, " n"]]:
    """Boxes whose sizes are not below nothing, velocities per second, ages and times unseen, as they are given out."""
    corners = np.empty((boxes.shape[1], 4), np.float32)
    velocities = np.empty((boxes.shape[1], 2), np.float32)
    for axis in range(2):
        corners[:, axis] = boxes[axis]
        corners[:, axis + 2] = np.maximum(boxes[axis + 2], boxes[axis])
        velocities[:, axis] = speeds[axis] / interval
    return corners, velocities, (now - since[0]).astype(np.float32), (now - since[1]).astype(np.float32)
