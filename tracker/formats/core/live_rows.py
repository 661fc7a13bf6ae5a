"""What live sinks write of a frame: which tracks, with which digits.

Boxes are rounded to 0.01 pixels and scores to 0.0001, so that files stay small and do not differ by the last bit of
a processor's arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tracker.formats.core.rle import Rle, masks_to_rle
from tracker.types import FrameResult, Tracks, TrackState

__all__ = ["LiveObject", "class_name", "live_objects", "recorded_rows", "rounded"]


@dataclass(frozen=True, slots=True)
class LiveObject:
    """One track in one frame as plain values."""

    track_id: int
    class_id: int
    box: tuple[float, float, float, float]
    score: float
    state: TrackState
    segmentation: Rle | None


def rounded(value: float, digits: int) -> float:
    """The value to so many digits, never -0.0."""
    return round(value, digits) + 0.0


def class_name(labels: Sequence[str], class_id: int) -> str:
    """The label's text; a number the labels do not reach becomes a name of its own."""
    return labels[class_id] if 0 <= class_id < len(labels) else f"class {class_id}"


def recorded_rows(tracks: Tracks, *, coasting: bool = False) -> np.ndarray:
    """Rows of the tracks that belong in an annotation: confirmed and seen in this frame, ordered by id.

    With `coasting` also those that are expected but not seen.
    """
    seen = (tracks.states == TrackState.CONFIRMED) & (tracks.detection_rows >= 0)
    if coasting:
        seen |= tracks.states == TrackState.COASTING
    rows: np.ndarray = np.flatnonzero(seen)
    return rows[np.argsort(tracks.ids[rows], kind="stable")]


def live_objects(result: FrameResult, *, coasting: bool = False, masks: bool = True) -> Iterator[LiveObject]:
    """The tracks of one frame as the sinks write them, ordered by id."""
    rows = recorded_rows(result.tracks, coasting=coasting)
    tracks = result.tracks[rows]
    codes = _codes(result, tracks) if masks else {}
    columns = zip(
        tracks.ids.tolist(),
        tracks.class_ids.tolist(),
        tracks.boxes.tolist(),
        tracks.scores.tolist(),
        tracks.states.tolist(),
        tracks.detection_rows.tolist(),
        strict=True,
    )
    for track_id, class_id, (x1, y1, x2, y2), score, state, detection_row in columns:
        box = (rounded(x1, 2), rounded(y1, 2), rounded(x2, 2), rounded(y2, 2))
        yield LiveObject(track_id, class_id, box, rounded(score, 4), TrackState(state), codes.get(detection_row))


def _codes(result: FrameResult, tracks: Tracks) -> dict[int, Rle]:
    """The mask of each detection that a track took, by the detection's row."""
    detections = result.detections
    if detections.masks is None:
        return {}
    rows = tracks.detection_rows[tracks.detection_rows >= 0]
    height, width = result.frame.image.shape[:2]
    codes = masks_to_rle(detections.masks[rows], detections.boxes[rows], width=width, height=height)
    return dict(zip(rows.tolist(), codes, strict=True))
