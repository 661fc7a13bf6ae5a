from __future__ import annotations

import numpy as np

from tracker.track.untracked import Untracked
from tracker.types import Detections, TrackState


def test_every_detection_is_an_object_of_its_own_also_after_a_restore() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 20, 20]], np.float32)
    detections = Detections(boxes, np.array([0.9, 0.8], np.float32), np.array([1, 0], np.int32))
    tracker = Untracked()
    seen = [tracker.update(detections, time / 30) for time in range(2)]
    again = Untracked()
    again.restore(tracker.state())
    seen.append(again.update(detections, 1.0))
    assert [tracks.ids.tolist() for tracks in seen] == [[1, 2], [3, 4], [5, 6]]
    for tracks in seen:
        assert (tracks.states == TrackState.CONFIRMED).all()
        assert (tracks.boxes == boxes).all()
        assert tracks.detection_rows.tolist() == [0, 1]
