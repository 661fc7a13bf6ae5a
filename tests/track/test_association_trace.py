from __future__ import annotations

import numpy as np
import pytest

from tests.track.scenes import NOTHING, detections
from tracker.track.engine import TrackingEngine
from tracker.track.presets import make_tracker

BOX = [100.0, 100, 140, 200]


def engine(preset: str = "default", **settings: object) -> TrackingEngine:
    plain = {"frame_rate": 30.0, "confirm_hits": 3, "high_score": 0.5, "new_score": 0.6, "high_min_similarity": 0.2}
    return make_tracker(preset, {**plain, "similarity": "iou", **settings})


def track_for(tracker: TrackingEngine, frames: int, boxes: object = (BOX,), start: int = 0) -> None:
    for index in range(frames):
        tracker.update(detections(boxes), (start + index) / 30)


def test_a_track_says_how_far_it_is_from_being_confirmed() -> None:
    tracker = engine(confirm_first_frames=0)
    explanations = []
    for index in range(3):
        track_for(tracker, 1, start=index)
        explanations.append(tracker.explain(0))
    assert explanations[0].startswith("starts track 1, tentative 1 of 3")
    assert explanations[1:] == ["continues track 1, tentative 2 of 3", "continues track 1, confirmed"]


def test_scores_under_each_threshold_are_reported() -> None:
    tracker = engine(low_score=0.1, high_score=0.5, new_score=0.6)
    tracker.update(detections([BOX] * 3, [0.05, 0.3, 0.55]), 0)
    assert tracker.explain(0) == "score 0.05 under 0.1 (low_score)"
    assert "score 0.30 under 0.5 (high_score)" in tracker.explain(1)
    assert "score 0.55 under 0.6 (new_score)" in tracker.explain(2)


def test_an_unusable_box_is_reported() -> None:
    tracker = engine()
    tracker.update(detections([[5, 5, 5, 9], [np.nan, 0, 1, 1]]), 0)
    assert tracker.explain(0).startswith("not a usable box")
    assert "nan" in tracker.explain(1)


def test_a_detection_too_far_off_was_gated_by_a_track() -> None:
    tracker = engine(buffer=0, buffer_per_s2=0)
    track_for(tracker, 5)
    tracker.update(detections([[130, 100, 170, 200]], [0.55]), 5 / 30)
    assert "gated (high): similarity to track 1 0." in tracker.explain(0)
    assert "< 0.20" in tracker.explain(0)


def test_a_detection_that_lost_its_track_to_another_is_reported_which() -> None:
    tracker = engine()
    track_for(tracker, 5)
    tracker.update(detections([BOX, [110, 100, 150, 200]], [0.9, 0.59]), 5 / 30)
    assert "high: track 1 (similarity 0." in tracker.explain(1)
    assert "went to detection 0 with 0.9" in tracker.explain(1)


def test_a_weak_detection_beside_a_track_that_took_another_box_is_reported_so() -> None:
    tracker = engine(low_match=True)
    track_for(tracker, 5)
    tracker.update(detections([BOX, [108, 100, 148, 200]], [0.9, 0.3]), 5 / 30)
    words = tracker.explain(1)
    assert words.startswith("track 1 was expected near it (similarity 0.6")
    assert "and took detection 0; score 0.30 under 0.5 (high_score)" in words


def test_a_weak_detection_is_reported_why_the_track_beside_it_took_none() -> None:
    tracker = engine(confirm_first_frames=0, low_match=True)
    track_for(tracker, 1)
    tracker.update(detections([BOX], [0.3]), 1 / 30)
    assert "takes no weak detection before it is confirmed" in tracker.explain(0)
    track_for(tracker, 5, start=2)
    tracker.update(NOTHING, 7 / 30)
    tracker.update(detections([BOX], [0.3]), 8 / 30)
    assert "takes no weak detection as the frame before had none" in tracker.explain(0)
    deaf = engine(low_match=False)
    track_for(deaf, 5)
    deaf.update(detections([BOX], [0.3]), 5 / 30)
    assert "no track takes a weak detection (low_match)" in deaf.explain(0)


def test_what_was_explained_stays_so_when_the_engine_goes_on() -> None:
    tracker = engine(confirm_first_frames=0)
    track_for(tracker, 1)
    first = tracker.explanation
    track_for(tracker, 3, start=1)
    tracker.update(NOTHING, 4 / 30)
    assert first is not None
    assert first(0).startswith("starts track 1, tentative 1 of 3")


@pytest.mark.parametrize(
    ("box", "embedding", "explanation"),
    [
        ([122, 122, 162, 222], [1, 0], "gated (motion): squared Mahalanobis distance to track 1"),
        ([102, 102, 142, 202], [0, 1], "gated (appearance): cosine distance to track 1 1.00 > 0.20"),
        ([2000, 2000, 2040, 2100], [1, 0], "no track was expected near it"),
    ],
)
def test_motion_and_appearance_gates_are_reported_in_their_own_measures(
    box: list[float], embedding: list[float], explanation: str
) -> None:
    tracker = engine("deepsort", new_score=0.6, high_min_similarity=0.95)
    for index in range(5):
        tracker.update(detections([BOX], embeddings=[[1, 0]]), index / 30)
    tracker.update(detections([box], [0.5], embeddings=[embedding]), 5 / 30)
    assert tracker.explain(0).startswith(explanation)


def test_an_ended_track_says_why() -> None:
    tracker = engine(max_coast_s=0.5, tentative_coast_s=0.0)
    track_for(tracker, 5, [BOX])
    track_for(tracker, 1, [BOX, [500, 500, 540, 600]], 5)
    for index in range(6, 40):
        tracker.update(NOTHING, index / 30)
    assert tracker.explain_end(1) == "unseen beyond 0.5 s"
    assert tracker.explain_end(2) == "unseen beyond 0 s before 3 detections confirmed it"
    assert tracker.explain_end(3) is None


def test_a_row_that_does_not_exist_is_refused() -> None:
    tracker = engine()
    with pytest.raises(IndexError, match="no frame has come yet, found row 0"):
        tracker.explain(0)
    track_for(tracker, 1)
    with pytest.raises(IndexError, match="detections 0 to 0, found row 3"):
        tracker.explain(3)
