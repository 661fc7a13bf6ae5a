"""Why a box is a track or is not, in the words of the engine that followed it; pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from gui.canvas.hit_testing import Box, Point, box_at
from tracker.geometry import iou
from tracker.types import Detections, FrameResult, Tracks, TrackState

__all__ = ["Untracked", "explain_at", "explain_detection", "explain_track", "untracked"]

SAME = 0.5
"""Overlap from which a detection and a recorded box are taken for the same object."""


@dataclass(frozen=True, slots=True)
class Untracked:
    """A detection that is part of no track, and why."""

    box: Box
    words: str


def explain_at(result: FrameResult, point: Point) -> str:
    """Words about the track, else the detection, below a point of the frame; empty where there is none."""
    row = box_at(result.tracks.boxes, point)
    if row is not None:
        return explain_track(result, row)
    free = free_rows(result.detections, result.tracks)
    place = box_at(result.detections.boxes[free], point)
    return "" if place is None else explain_detection(result, int(free[place]))


def explain_track(result: FrameResult, row: int) -> str:
    """How a track stands, and what the engine says of its detection."""
    tracks = result.tracks
    name = f"{_name(result, int(tracks.class_ids[row]))} {int(tracks.ids[row])}"
    age, unseen, score = float(tracks.ages[row]), float(tracks.unseen[row]), float(tracks.scores[row])
    state, detection = TrackState(int(tracks.states[row])), int(tracks.detection_rows[row])
    if detection < 0:
        return f"{name}: not detected for {unseen:.1f} s; drawn where it is expected."
    if state is TrackState.TENTATIVE:
        return f"{name}: not a track yet. Detected for {age:.1f} s, score {score:.2f}{_reason(result, detection)}."
    return f"{name}: a confirmed track, followed for {age:.1f} s, detected now with score {score:.2f}."


def explain_detection(result: FrameResult, row: int) -> str:
    """What became of a detection."""
    score = float(result.detections.scores[row])
    return f"{_name(result, int(result.detections.class_ids[row]))} with score {score:.2f}{_reason(result, row)}."


def untracked(result: FrameResult) -> list[Untracked]:
    """All detections that no track took."""
    found = []
    for row in free_rows(result.detections, result.tracks).tolist():
        x1, y1, x2, y2 = result.detections.boxes[row].tolist()
        found.append(Untracked((x1, y1, x2, y2), explain_detection(result, row)))
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


def _reason(result: FrameResult, row: int) -> str:
    return f": {result.explain(row)}" if result.explain is not None else ""


def _name(result: FrameResult, class_id: int) -> str:
    return result.labels[class_id] if 0 <= class_id < len(result.labels) else f"class {class_id}"
