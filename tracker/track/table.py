"""The tracks themselves: one column per track, in order of their ids, grown and thinned as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from tracker.track.kalman import FilterState

__all__ = ["TrackTable"]

_COUNTS = ("ids", "hits", "streak", "missed", "confirmed", "class_places")
_VALUES = ("born", "seen", "scores", "wander")
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
    seen: Float64[ndarray, " n"]
    """Time of the last detection."""
    since: Float64[ndarray, "2 n"]
    """Both times, born and seen."""
    scores: Float64[ndarray, " n"]
    """Score of the last detection."""
    wander: Float64[ndarray, " n"]
    """How far detections lay from where they were expected, as a share of the box's size: a running mean."""
    observed: Float64[ndarray, "4 n"]
    """Box of the last detection."""
    votes: Float64[ndarray, "c n"]
    """Scores gathered by each class."""
    past: Float64[ndarray, "s 2 n"]
    """Centres of the detections in the last frames, oldest first, NaN where unseen; the first detection of a track does
    not count. Empty unless direction does."""
    headings: Float64[ndarray, "2 n"]
    """Unit vector from the oldest of those to the last detection, NaN before there are three."""
    filter_when_seen: FilterState
    """The filter right after the last detection; empty unless lost tracks are re-updated."""

    def __init__(self, *, direction_span: int, keeps_filter: bool) -> None:
        self._span = direction_span
        self._reference: Float64[ndarray, "2 n"] | None = None
        self._keeps_filter = keeps_filter
        self.filter = np.empty((5, 4, 0))
        self.observed = np.empty((4, 0))
        self.votes = np.empty((1, 0))
        self.past = np.empty((direction_span, 2, 0))
        self.headings = np.empty((2, 0))
        self.filter_when_seen = np.empty((5, 4, 0))
        self._hold(np.empty((len(_COUNTS), 0), np.int64), np.empty((len(_VALUES), 0)))

    def __len__(self) -> int:
        return len(self.ids)

    def _hold(self, counts: Int64[ndarray, "6 n"], values: Float64[ndarray, "4 n"]) -> None:
        self._counts, self._values = counts, values
        self._reference = None
        self.ids, self.hits, self.streak, self.missed, self.confirmed, self.class_places = counts
        self.born, self.seen, self.scores, self.wander = values
        self.since = values[:2]

    def keep(self, alive: Bool[ndarray, " n"]) -> None:
        """Drop the tracks that are not alive."""
        rows = alive.nonzero()[0]
        self._hold(self._counts.take(rows, axis=1), self._values.take(rows, axis=1))
        self.filter = self.filter.take(rows, axis=2)
        self.observed = self.observed.take(rows, axis=1)
        self.votes = self.votes.take(rows, axis=1)
        if self._span:
            self.past = self.past.take(rows, axis=2)
            self.headings = self.headings.take(rows, axis=1)
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
            past = np.full((self._span, 2, count), np.nan)
            self.past = np.concatenate([self.past, past], axis=2)
            self.headings = np.concatenate([self.headings, np.full((2, count), np.nan)], axis=1)
        if self._keeps_filter:
            self.filter_when_seen = np.concatenate([self.filter_when_seen, filter_state], axis=2)

    def add_classes(self, count: int) -> None:
        """Make room for votes on `count` classes in all."""
        room = np.zeros((count - len(self.votes), len(self)))
        self.votes = np.concatenate([self.votes, room])

    def reference_centres(self) -> Float64[ndarray, "2 n"]:
        """Centre of each track's oldest detection within the direction span, else of its last one."""
        if self._reference is None:
            centres: ndarray = (self.observed[:2] + self.observed[2:]) / 2
            for earlier in self.past[::-1]:
                np.copyto(centres, earlier, where=earlier == earlier)  # NaN is what does not equal itself
            self._reference = centres
        return self._reference

    def pass_frame(self, rows: Int64[ndarray, " k"], centres: Float64[ndarray, "2 k"]) -> None:
        """One more frame goes by: the direction span moves on, with the detections of the tracks that have one."""
        if self._span:
            self.past[:-1] = self.past[1:]
            self.past[-1] = np.nan
            self.past[-1][:, rows] = centres
            self._reference = None

    def head_for(self, rows: Int64[ndarray, " k"], centres: Float64[ndarray, "2 k"]) -> None:
        """Take note which way tracks went; call before `observed` and `hits` change. Needs more than the first box."""
        going = self.hits[rows] > 1
        rows, centres = rows[going], centres[:, going]
        step = centres - self.reference_centres()[:, rows]
        self.headings[:, rows] = step / (np.sqrt((step * step).sum(axis=0)) + 1e-6)

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

    _loose = ("filter", "observed", "votes", "past", "headings", "filter_when_seen")
