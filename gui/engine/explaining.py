"""Why a box is a track or is not, in words, from a result and the tracker's settings; pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from gui.canvas.hit_testing import Box, Point, box_at
from tracker.config import TrackerConfig
from tracker.geometry import iou
from tracker.types import Detections, FrameResult, Tracks, TrackState

__all__ = ["Unfollowed", "explain_at", "explain_detection", "explain_track", "unfollowed"]

SAME = 0.5
"""Overlap from which a detection and a recorded box are taken for the same object."""


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """A detection that is part of no track, and why."""

    box: Box
    words: str


def explain_at(result: FrameResult, config: TrackerConfig, point: Point) -> str:
    """Words about the track, else the detection, below a point of the frame; empty where there is none."""
    row = box_at(result.tracks.boxes, point)
    if row is not None:
        return explain_track(result, row, config)
    free = free_rows(result.detections, result.tracks)
    place = box_at(result.detections.boxes[free], point)
    return "" if place is None else explain_detection(result, int(free[place]), config)


def explain_track(result: FrameResult, row: int, config: TrackerConfig) -> str:
    """Why the tracker sees a track as it does."""
    tracks = result.tracks
    name = f"{_name(result, int(tracks.class_ids[row]))} {int(tracks.ids[row])}"
    age, unseen, score = float(tracks.ages[row]), float(tracks.unseen[row]), float(tracks.scores[row])
    state = TrackState(int(tracks.states[row]))
    if state is TrackState.TENTATIVE:
        return (
            f"{name}: not a track yet. Seen for {age:.1f} s, score {score:.2f}; "
            f"{config.confirm_hits} detections confirm it (tracker.confirm_hits)."
        )
    if tracks.detection_rows[row] < 0:
        return (
            f"{name}: not seen for {unseen:.1f} s; drawn where it is expected. "
            f"Given up after {config.max_coast_s:g} s (tracker.max_coast_s)."
        )
    return f"{name}: a confirmed track, followed for {age:.1f} s, seen now with score {score:.2f}."


def explain_detection(result: FrameResult, row: int, config: TrackerConfig) -> str:
    """Why a detection belongs to no track."""
    score = float(result.detections.scores[row])
    head = f"{_name(result, int(result.detections.class_ids[row]))} with score {score:.2f}: not a track. "
    if score < config.low_score:
        return f"{head}Below {config.low_score:g} a detection is ignored (tracker.low_score)."
    if score < config.high_score:
        return (
            f"{head}Below {config.high_score:g} it can only continue a track (tracker.high_score), "
            "and none was expected here."
        )
    if score < config.new_score:
        return f"{head}A new track takes {config.new_score:g} (tracker.new_score)."
    return (
        f"{head}It is sure enough to start one, which {config.confirm_hits} detections in time must confirm "
        "(tracker.confirm_hits)."
    )


def unfollowed(result: FrameResult, config: TrackerConfig) -> list[Unfollowed]:
    """All detections that no track took."""
    found = []
    for row in free_rows(result.detections, result.tracks).tolist():
        x1, y1, x2, y2 = result.detections.boxes[row].tolist()
        found.append(Unfollowed((x1, y1, x2, y2), explain_detection(result, row, config)))
    return found


def free_rows(detections: Detections, tracks: Tracks) -> Int64[ndarray, " n"]:
    """Rows of detections that neither are a track's own nor lie on one."""
    free = np.ones(len(detections), bool)
    own = tracks.detection_rows[(tracks.detection_rows >= 0) & (tracks.detection_rows < len(detections))]
    free[own] = False
    if len(detections) and len(tracks):
        finite = np.isfinite(tracks.boxes).all(axis=1)
        free &= ~(iou(detections.boxes, tracks.boxes[finite]) >= SAME).any(axis=1)
    rows: ndarray = np.flatnonzero(free).astype(np.int64)
    return rows


def _name(result: FrameResult, class_id: int) -> str:
    return result.labels[class_id] if 0 <= class_id < len(result.labels) else f"class {class_id}"
