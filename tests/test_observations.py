"""The one row type: chosen, joined, and made of what a tracker gave."""

from __future__ import annotations

import numpy as np

from tracker.observations import Observations, Origin
from tracker.types import Detections, Tracks, TrackState


def some(frame: int, *, masks: tuple[str | None, ...] | None = None) -> Observations:
    boxes = np.array([[0, 0, 10.126, 20], [5, 5, 15, 25]])
    return Observations.rounded(
        frame, tracks=np.array([1, 2]), class_ids=np.zeros(2), scores=np.array([0.91237, 0.5]), boxes=boxes, masks=masks
    )


def tracks(ids: list[int], rows: list[int]) -> Tracks:
    count = len(ids)
    return Tracks(
        ids=np.array(ids, np.int64),
        boxes=np.full((count, 4), 7, np.float32),
        velocities=np.zeros((count, 2), np.float32),
        scores=np.full(count, 0.5, np.float32),
        class_ids=np.arange(count, dtype=np.int32),
        states=np.full(count, TrackState.CONFIRMED, np.uint8),
        ages=np.zeros(count, np.float32),
        unseen=np.zeros(count, np.float32),
        detection_rows=np.array(rows, np.int32),
    )


def test_values_have_the_digits_that_are_recorded() -> None:
    rows = some(3)
    assert rows.frames.tolist() == [3, 3]
    assert rows.scores.tolist() == [0.9124, 0.5]
    assert rows.boxes[0].tolist() == [0, 0, 10.13, 20]
    assert rows.origins.tolist() == [Origin.DETECTED] * 2


def test_every_column_is_chosen_and_joined_alike() -> None:
    joined = Observations.joined([some(0), some(1, masks=("a", None)), Observations.empty()])
    assert joined.frames.tolist() == [0, 0, 1, 1]
    assert joined.masks == (None, None, "a", None)
    chosen = joined[joined.tracks == 1]
    assert (chosen.frames.tolist(), chosen.tracks.tolist(), chosen.masks) == ([0, 1], [1, 1], (None, "a"))
    assert len(Observations.joined([])) == 0


def test_of_tracks_those_rows_are_taken_that_were_detected_with_their_detections_boxes() -> None:
    boxes = np.array([[0, 0, 1, 1], [2, 2, 3, 3]], np.float32)
    seen = Detections(
        boxes=boxes,
        scores=np.array([0.9, 0.8], np.float32),
        class_ids=np.zeros(2, np.int32),
        embeddings=np.eye(2, dtype=np.float32),
    )
    nothing = Detections.empty()
    given = [tracks([4, 5, 6], [1, -1, 0]), tracks([5], [-1])]
    rows = Observations.from_tracks(given, [seen, nothing])
    assert rows.frames.tolist() == [0, 0]
    assert rows.tracks.tolist() == [4, 6]
    assert rows.boxes.tolist() == boxes[[1, 0]].tolist()
    assert rows.embeddings is not None
    assert rows.embeddings.tolist() == [[0, 1], [1, 0]]
    assert Observations.from_tracks(given).boxes.tolist() == [[7] * 4] * 2
