from __future__ import annotations

import numpy as np

from gui.engine.stages import SharedLabeller
from tests.world import FakeSource, NoTracker, ScriptedDetector, World
from tracker.pipeline import Pipeline
from tracker.types import Image


class Halves:
    """The upper half is sky, the lower one road."""

    labels = ("road", "sky")

    def __call__(self, image: Image) -> np.ndarray:
        labels = np.zeros(image.shape[:2], np.uint8)
        labels[: image.shape[0] // 2] = 1
        return labels


def test_a_network_named_while_the_camera_runs_labels_the_next_frame() -> None:
    world = World(seconds=0.12)
    shared = SharedLabeller()
    pipeline = Pipeline(ScriptedDetector(world), NoTracker(), label_pixels=shared)
    frames = iter(FakeSource(world))
    before = pipeline.process(next(frames))
    shared.exchange(Halves())
    after = pipeline.process(next(frames))
    shared.exchange(None)
    again = pipeline.process(next(frames))
    assert before.semantic is again.semantic is None
    assert before.semantic_labels == again.semantic_labels == ()
    assert after.semantic is not None
    assert after.semantic_labels == ("road", "sky")
    assert after.semantic[0].all()
    assert not after.semantic[-1].any()
