"""The window names the kind of tracks by a classifier that may come, change and go while a camera runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gui.engine.stages import LiveClasses, SharedClassifier
from tests.world import FakeSource, ScriptedDetector, World
from tracker.config import DetectorConfig, TrackerConfig
from tracker.pipeline import Pipeline
from tracker.track.engine import TrackingEngine
from tracker.types import FrameResult, Image


class Says:
    """A classifier that always gives its last label."""

    def __init__(self, *labels: str) -> None:
        self.labels = labels

    def __call__(self, images: Sequence[Image]) -> np.ndarray:
        return np.eye(len(self.labels), dtype=np.float32)[[-1] * len(images)]


def names(result: FrameResult) -> set[str]:
    return {result.labels[class_id] for class_id in result.tracks.class_ids.tolist()}


def test_a_classifier_chosen_while_the_camera_runs_names_the_next_tracks() -> None:
    world = World(seconds=2)
    detector, shared = ScriptedDetector(world), SharedClassifier()
    pipeline = Pipeline(
        detector,
        TrackingEngine(TrackerConfig()),
        name_tracks=LiveClasses(shared, detector),
        more_labels=lambda: shared.labels,
    )
    frames = iter(FakeSource(world))
    results = [pipeline.process(next(frames)) for _ in range(12)]
    own = names(results[-1])
    assert own
    assert own <= set(detector.labels)
    for classifier, expected in ((Says("van", "taxi"), {"taxi"}), (Says("bus"), {"bus"}), (None, own)):
        shared.exchange(classifier, DetectorConfig(classify_tracks="a.onnx"))  # type: ignore[arg-type]
        result = pipeline.process(next(frames))
        assert names(result) == expected
        assert result.labels == (*detector.labels, *(() if classifier is None else classifier.labels))
