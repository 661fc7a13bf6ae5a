from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.evaluate.ground_truth import Sample
from tracker.geometry import iou
from tracker.train.teacher import FusionConfig, Teacher, fuse_views, mirror_detections, observe
from tracker.types import Detections, Image


def detections(
    boxes: Sequence[Sequence[float]], scores: Sequence[float], *, cls: int = 0, masks: bool = False
) -> Detections:
    count = len(boxes)
    own = np.full((count, 64, 64), 255, np.uint8) if masks else None
    table = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(table, np.array(scores, np.float32), np.full(count, cls, np.int32), own)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_views_that_agree_change_nothing(seed: int, views: int) -> None:
    rng = np.random.default_rng(seed)
    low = np.arange(5)[:, None] * 100 + rng.uniform(0, 20, (5, 2))
    boxes = np.concatenate((low, low + rng.uniform(10, 60, (5, 2))), axis=1)
    scores = np.sort(rng.uniform(0.1, 1, 5))[::-1]
    one = detections(boxes.tolist(), scores.tolist(), masks=True)
    fused = fuse_views([one] * views, overlap=0.55)
    np.testing.assert_allclose(fused.boxes, one.boxes, rtol=1e-5)
    np.testing.assert_allclose(fused.scores, one.scores, rtol=1e-5)
    assert fused.masks is not None
    assert (fused.masks > 200).all()


def test_what_one_view_of_two_sees_counts_half_and_boxes_are_weighed_by_score() -> None:
    box, moved = [0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 12.0, 10.0]
    fused = fuse_views([detections([box], [0.8]), detections([], [])], overlap=0.55)
    assert fused.scores.tolist() == [pytest.approx(0.4)]
    fused = fuse_views([detections([box], [0.6]), detections([moved], [0.2])], overlap=0.55)
    assert fused.boxes[0].tolist() == pytest.approx([0, 0, 10.5, 10])
    other_class = fuse_views([detections([box], [0.6]), detections([box], [0.6], cls=1)], overlap=0.55)
    assert sorted(other_class.class_ids.tolist()) == [0, 1]
    nobody = fuse_views([detections([], [])], overlap=0.55)
    assert len(nobody) == 0


def test_two_who_stand_close_stay_two_by_default() -> None:
    close = [[0.0, 0, 10, 20], [2.4, 0, 12.4, 20]]  # they overlap by 0.61
    view = detections(close, [0.8, 0.6])
    fused = fuse_views([view, view], overlap=FusionConfig().overlap)
    np.testing.assert_allclose(fused.boxes, close, rtol=1e-5)
    assert len(fuse_views([view, view], overlap=0.55)) == 1


def test_the_mirror_of_a_mirror_is_the_image_itself() -> None:
    one = detections([[5, 6, 20, 30]], [0.5], masks=True)
    assert one.masks is not None
    one.masks[0, :, :10] = 0
    turned = mirror_detections(one, 100)
    assert turned.boxes[0].tolist() == [80, 6, 95, 30]
    assert turned.masks is not None
    assert not turned.masks[0, :, -10:].any()
    back = mirror_detections(turned, 100)
    np.testing.assert_array_equal(back.boxes, one.boxes)


class BrightSpot:
    """Finds the bright square of an image, whichever way it is turned."""

    labels = ("nothing", "spot")

    def __init__(self) -> None:
        self.asked = 0

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        self.asked += len(images)
        found = []
        for image in images:
            rows, columns = np.nonzero(image[..., 0] > 200)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            found.append(detections([box], [0.9], cls=1, masks=True))
        return found


def spots(folder: Path, count: int) -> list[Sample]:
    samples = []
    for number in range(count):
        image = np.zeros((40, 60, 3), np.uint8)
        image[10:20, 5 + number : 25 + number] = 255
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), image)
        none = np.zeros((0, 4), np.float32)
        samples.append(Sample(path, 60, 40, none, np.zeros(0, np.int64), (), (), none))
    return samples


def test_each_image_is_asked_once_whatever_the_split_and_the_mirror_sees_the_same(tmp_path: Path) -> None:
    samples = spots(tmp_path, 5)
    model = BrightSpot()
    teachers, config = [Teacher("spot", model)], FusionConfig(mirror=True)
    folder = tmp_path / "cache"
    first = observe(teachers, samples[:3], ("spot",), folder, config)
    assert model.asked == 6
    for number, found in enumerate(first.values()):
        assert found.boxes[0].tolist() == pytest.approx([5 + number, 10, 25 + number, 20])
        assert found.class_ids.tolist() == [0]
        assert found.scores[0] == pytest.approx(0.9)
        assert found.masks is not None
        assert found.masks.all()
    again = observe(teachers, samples, ("other", "spot"), folder, config)
    assert model.asked == 10
    assert again[samples[0].path].class_ids.tolist() == [1]
    assert iou(again[samples[0].path].boxes, first[samples[0].path].boxes)[0, 0] == pytest.approx(1)
    unknown = observe(teachers, samples, ("other",), folder, config)
    assert all(len(found) == 0 for found in unknown.values())
    strict = observe(teachers, samples, ("spot",), folder, config, least=0.95)
    assert all(len(found) == 0 for found in strict.values())
