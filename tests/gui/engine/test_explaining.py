"""The window's words about a box are the engine's own."""

from __future__ import annotations

import numpy as np

from gui.engine.explaining import explain_at, explain_detection, untracked
from tests.track.scenes import detections
from tracker.pipeline import Pipeline
from tracker.track.presets import make_tracker
from tracker.types import Detections, Frame, FrameResult, Image

PERSON, WEAK, FAINT = [0, 0, 20, 40], [60, 0, 80, 40], [60, 50, 80, 90]


class Scripted:
    """One track, beside a detection too weak to start one and one that is ignored."""

    labels = ("person",)
    conf = 0.5
    engine = "script"

    def detect(self, images: object) -> list[Detections]:
        return [detections([PERSON, WEAK, FAINT], [0.9, 0.3, 0.05])]


def results(frames: int) -> list[FrameResult]:
    tracker = make_tracker("default", {"frame_rate": 30.0, "confirm_first_frames": 0})
    pipeline = Pipeline(Scripted(), tracker)
    image: Image = np.zeros((100, 100, 3), np.uint8)
    return [pipeline.process(Frame(image, index, index / 30, "test")) for index in range(frames)]


def test_a_detection_beside_a_track_is_explained_in_the_engines_words_and_one_on_it_is_not() -> None:
    result = results(4)[-1]
    found = untracked(result)
    assert [entry.box[0] for entry in found] == [60.0, 60.0]
    assert result.explain is not None
    assert [result.explain(row) in entry.words for row, entry in enumerate(found, start=1)] == [True, True]
    assert "may only continue a track" in found[0].words
    assert "low_score" in found[1].words
    assert "continues track 1, confirmed" in explain_detection(result, 0)


def test_words_stay_those_of_their_frame_when_the_engine_goes_on() -> None:
    first, second, *_ = results(4)
    assert "starts track 1, tentative 1 of 3" in explain_at(first, (5, 5))
    assert "tentative 2 of 3" in explain_at(second, (5, 5))
    assert explain_at(first, (50, 95)) == ""
