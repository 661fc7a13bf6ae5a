"""Why a detection is not a confirmed track, and why a track ended, in words and numbers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from tracker.config.tracking import TrackerConfig
from tracker.track.association import Attempt, Matching, UsableDetections
from tracker.track.track_table import TrackTable
from tracker.types import Detections

__all__ = ["Endings", "LastFrame", "why_not"]

REMEMBERED = 1000
"""Ended tracks whose end is remembered."""
MEASURES = {"motion": "squared Mahalanobis distance", "appearance": "cosine distance"}
"""What a stage compares, where it is not similarity; these stages keep it negative, so that more is better."""


@dataclass(slots=True, eq=False)
class LastFrame:
    """What the engine was given last and what it made of it."""

    detections: Detections
    found: UsableDetections
    matching: Matching
    ids: Int64[ndarray, " n"]
    """Ids of the tracks that took part in the matching, in its order."""


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


def why_not(row: int, last: LastFrame | None, table: TrackTable, config: TrackerConfig) -> str:
    """Why detection `row` of the last frame is not a confirmed track, or which one it is.

    Raises IndexError where there is no such detection.
    """
    count = len(last.detections) if last is not None else 0
    if last is None or not 0 <= row < count:
        raise IndexError(f"explain: the last frame has detections 0 to {count - 1}, found row {row}")
    places = np.flatnonzero(last.found.rows == row)
    if len(places) == 0:
        return _unusable(row, last.detections, config)
    col = int(places[0])
    pair_rows, pair_cols = last.matching.pairs
    matched = np.flatnonzero(pair_cols == col)
    if len(matched):
        return _standing(int(last.ids[pair_rows[matched[0]]]), table, config, "continues")
    score = float(last.found.scores[col])
    lost = "; ".join(_lost(col, last))
    if last.matching.free_detections[col] and score >= config.new_score:
        started = np.flatnonzero((table.hits == 1) & (table.observed == last.found.boxes[:, [col]]).all(axis=0))
        if len(started):
            return f"{_standing(int(table.ids[started[-1]]), table, config, 'starts')}; {lost}"
    if score < config.high_score:
        return f"{lost}; score {score:.2f} under {config.high_score:g} (high_score) may only continue a track"
    if score < config.new_score:
        return f"{lost}; score {score:.2f} under {config.new_score:g} (new_score) starts no track"
    return f"{lost}; it overlaps a track already seen in this frame too much to start another (new_max_overlap)"


def _unusable(row: int, detections: Detections, config: TrackerConfig) -> str:
    score = float(detections.scores[row])
    if score < config.low_score:
        return f"score {score:.2f} under {config.low_score:g} (low_score)"
    x1, y1, x2, y2 = detections.boxes[row].tolist()
    return f"not a usable box and score: {x1:g}, {y1:g} to {x2:g}, {y2:g}, score {score:g}"


def _standing(track_id: int, table: TrackTable, config: TrackerConfig, verb: str) -> str:
    """The track a detection belongs to, and how far it is from being confirmed."""
    places = np.flatnonzero(table.ids == track_id)
    if len(places) == 0:
        return f"{verb} track {track_id}, which ended in this frame"
    place = places[0]
    if table.confirmed[place]:
        return f"{verb} track {track_id}, confirmed"
    count = int(table.streak[place] if config.confirm_in_a_row else table.hits[place])
    return f"{verb} track {track_id}, tentative {count} of {config.confirm_hits}"


def _lost(col: int, last: LastFrame) -> list[str]:
    """What became of the comparisons with this detection, stage by stage."""
    reasons = [
        _verdict(attempt, int(candidates[attempt.values[candidates].argmax()]), last)
        for attempt in last.matching.attempts
        if len(candidates := np.flatnonzero(attempt.cols == col))
    ]
    return reasons or ["no track was expected near it"]


def _verdict(attempt: Attempt, best: int, last: LastFrame) -> str:
    """Why the best candidate track of one stage did not take the detection."""
    track, value, gate = int(attempt.rows[best]), float(attempt.values[best]), attempt.gate
    name = f"track {int(last.ids[track])}"
    measure = MEASURES.get(attempt.stage, "similarity")
    sign, beyond = (-1, ">") if attempt.stage in MEASURES else (1, "<")
    if value < gate:
        return f"gated ({attempt.stage}): {measure} to {name} {sign * value:.2f} {beyond} {sign * gate:.2f}"
    rows, cols = last.matching.pairs
    winner = np.flatnonzero(rows == track)
    if len(winner) == 0:
        return f"{attempt.stage}: {measure} to {name} {sign * value:.2f}, but taking it would cost other matches more"
    other = int(cols[winner[0]])
    rival = np.flatnonzero((attempt.rows == track) & (attempt.cols == other))
    against = f" with {sign * float(attempt.values[rival[0]]):.2f}" if len(rival) else ""
    detection = int(last.found.rows[other])
    return f"{attempt.stage}: {name} ({measure} {sign * value:.2f}) went to detection {detection}{against}"
