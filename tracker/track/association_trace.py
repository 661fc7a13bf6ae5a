"""Why a detection is not a confirmed track, and why a track ended, in words and numbers.

The engine leaves a trace of every frame: references to what the association compared anyway, and copies of four small
columns. Words are made only for the detection that somebody asks about, also when the engine is frames further.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from tracker.config.tracking import TrackerConfig
from tracker.track.association import Attempt, Matching, UsableDetections
from tracker.types import Detections

__all__ = ["AssociationTrace", "Candidates", "Endings", "Outcome"]

NAMELESS = 0
"""Id of a track that has no number to be called by."""
REMEMBERED = 1000
"""Ended tracks whose end is remembered."""
MEASURES = {"motion": "squared Mahalanobis distance", "appearance": "cosine distance"}
"""What a stage compares, where it is not similarity; these stages keep it negative, so that more is better."""


class Endings:
    """How the latest ended tracks ended; kept as arrays and read only when someone asks."""

    def __init__(self) -> None:
        self._ends: deque[tuple[Int64[ndarray, " k"], str]] = deque()
        self._count = 0

    def add(self, ids: Int64[ndarray, " k"], reason: str) -> None:
        """Remember why these tracks ended, and forget the oldest beyond a thousand."""
        self._ends.append((ids, reason))
        self._count += len(ids)
        while self._count > REMEMBERED:
            self._count -= len(self._ends.popleft()[0])

    def __getitem__(self, track_id: int) -> str | None:
        return next((reason for ids, reason in self._ends if (ids == track_id).any()), None)


class Candidates(NamedTuple):
    """The tracks that took part in the association, in its order, as they were before it."""

    ids: Int64[ndarray, " n"]
    confirmed: Bool[ndarray, " n"]
    missed: Int64[ndarray, " n"]
    """Frames since the last detection, this one counted: 1 where the frame before had one."""


class Outcome(NamedTuple):
    """The tracks as they were after the frame."""

    ids: Int64[ndarray, " t"]
    confirmed: Bool[ndarray, " t"]
    counts: Int64[ndarray, " t"]
    """Detections that count towards being confirmed."""
    born: Int64[ndarray, " b"]
    """Usable detections that started tracks."""
    born_ids: Int64[ndarray, " b"]


@dataclass(frozen=True, slots=True, eq=False)
class AssociationTrace:
    """What the engine made of the detections of one frame; it stays as it is when the engine goes on."""

    detections: Detections
    found: UsableDetections
    matching: Matching
    tracks: Candidates
    outcome: Outcome
    config: TrackerConfig

    def explain(self, row: int) -> str:
        """Why detection `row` is not a confirmed track, or which one it is. Raises IndexError without such a row."""
        count = len(self.detections)
        if not 0 <= row < count:
            raise IndexError(f"explain: the last frame has detections 0 to {count - 1}, found row {row}")
        cols = np.flatnonzero(self.found.rows == row)
        if len(cols) == 0:
            return self._unusable(row)
        col, config = int(cols[0]), self.config
        pair_rows, pair_cols = self.matching.pairs
        matched = np.flatnonzero(pair_cols == col)
        if len(matched):
            return self._standing(int(self.tracks.ids[pair_rows[matched[0]]]), "continues")
        score, lost = float(self.found.scores[col]), "; ".join(self._lost(col))
        started = np.flatnonzero(self.outcome.born == col)
        if len(started):
            return f"{self._standing(int(self.outcome.born_ids[started[0]]), 'starts')}; {lost}"
        if score < config.high_score:
            return f"{lost}; score {score:.2f} under {config.high_score:g} (high_score) may only continue a track"
        if score < config.new_score:
            return f"{lost}; score {score:.2f} under {config.new_score:g} (new_score) starts no track"
        return f"{lost}; it overlaps a track detected in this frame too much to start another (new_max_overlap)"

    def renamed(self, names: Mapping[int, int]) -> AssociationTrace:
        """The same with other ids; a track that has no other name is called one that is not recorded."""

        def others(ids: Int64[ndarray, " n"]) -> Int64[ndarray, " n"]:
            return np.array([names.get(track_id, NAMELESS) for track_id in ids.tolist()], np.int64)

        outcome = self.outcome._replace(ids=others(self.outcome.ids), born_ids=others(self.outcome.born_ids))
        return replace(self, tracks=self.tracks._replace(ids=others(self.tracks.ids)), outcome=outcome)

    def _unusable(self, row: int) -> str:
        score = float(self.detections.scores[row])
        if score < self.config.low_score:
            return f"score {score:.2f} under {self.config.low_score:g} (low_score)"
        x1, y1, x2, y2 = self.detections.boxes[row].tolist()
        return f"not a usable box and score: {x1:g}, {y1:g} to {x2:g}, {y2:g}, score {score:g}"

    def _standing(self, track_id: int, verb: str) -> str:
        """The track a detection belongs to, and how far it is from being confirmed."""
        name, places = _name(track_id), np.flatnonzero(self.outcome.ids == track_id)
        if len(places) == 0:
            return f"{verb} {name}, which ended in this frame"
        if self.outcome.confirmed[places[0]]:
            return f"{verb} {name}, confirmed"
        return f"{verb} {name}, tentative {int(self.outcome.counts[places[0]])} of {self.config.confirm_hits}"

    def _lost(self, col: int) -> list[str]:
        """What became of the comparisons with this detection, stage by stage."""
        reasons = [
            self._verdict(attempt, int(candidates[attempt.values[candidates].argmax()]))
            for attempt in self.matching.attempts
            if len(candidates := np.flatnonzero(attempt.cols == col))
        ]
        return reasons or [self._out_of_reach(col)]

    def _verdict(self, attempt: Attempt, best: int) -> str:
        """Why the best candidate track of one stage did not take the detection."""
        track, value, gate = int(attempt.rows[best]), float(attempt.values[best]), attempt.gate
        name = _name(int(self.tracks.ids[track]))
        measure = MEASURES.get(attempt.stage, "similarity")
        sign, beyond = (-1, ">") if attempt.stage in MEASURES else (1, "<")
        if value < gate:
            return f"gated ({attempt.stage}): {measure} to {name} {sign * value:.2f} {beyond} {sign * gate:.2f}"
        other = self._taken_by(track)
        if other is None:
            return (
                f"{attempt.stage}: {measure} to {name} {sign * value:.2f}, but taking it would cost other matches more"
            )
        rival = np.flatnonzero((attempt.rows == track) & (attempt.cols == other))
        against = f" with {sign * float(attempt.values[rival[0]]):.2f}" if len(rival) else ""
        detection = int(self.found.rows[other])
        return f"{attempt.stage}: {name} ({measure} {sign * value:.2f}) went to detection {detection}{against}"

    def _out_of_reach(self, col: int) -> str:
        """Why no stage compared the detection, though a track may have been expected where it lies."""
        rows, cols, values = self.matching.near
        near = np.flatnonzero(cols == col)
        if len(near) == 0:
            return "no track was expected near it"
        best = near[values[near].argmax()]
        track = int(rows[best])
        expected = f"{_name(int(self.tracks.ids[track]))} was expected near it (similarity {float(values[best]):.2f})"
        other = self._taken_by(track)
        if other is not None:
            return f"{expected} and took detection {int(self.found.rows[other])}"
        if float(self.found.scores[col]) >= self.config.high_score:
            missed = int(self.tracks.missed[track])
            return f"{expected}, which may not take it after {missed} frames without a detection"
        if not self.config.low_match:
            return f"{expected}, but no track takes a weak detection (low_match)"
        if not self.tracks.confirmed[track]:
            return f"{expected}, which takes no weak detection before it is confirmed"
        return f"{expected}, which takes no weak detection as the frame before had none of it"

    def _taken_by(self, track: int) -> int | None:
        """The usable detection that a track continues with; None where it has none."""
        rows, cols = self.matching.pairs
        winner = np.flatnonzero(rows == track)
        return int(cols[winner[0]]) if len(winner) else None


def _name(track_id: int) -> str:
    return "a track that is not recorded" if track_id == NAMELESS else f"track {track_id}"
