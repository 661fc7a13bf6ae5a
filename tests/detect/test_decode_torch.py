from __future__ import annotations

import numpy as np
import pytest
import torch

from tracker.detect import decode as postprocess
from tracker.detect import decode_torch as on_device
from tracker.detect.decode import AnchorLayout, decode_anchors, suppress
from tracker.detect.decode_torch import find_objects
from tracker.nets.yolo import RawMaps

STRIDES = (8, 16, 32)
ANCHORS = (((12.0, 11.0), (8.0, 26.0)), ((23.0, 28.0), (46.0, 70.0)), ((89.0, 174.0), (237.0, 317.0)))
LAYOUT = AnchorLayout(STRIDES, ANCHORS, classes=6, coefficients=4)
HEIGHT, WIDTH = 96, 160


def maps(images: int, seed: int) -> RawMaps:
    random = torch.Generator().manual_seed(seed)
    shapes = [(images, 2, 5 + 6 + 4, HEIGHT // stride, WIDTH // stride) for stride in STRIDES]
    plane = torch.zeros(images, 4, HEIGHT // 4, WIDTH // 4)
    return RawMaps(tuple(torch.randn(shape, generator=random) for shape in shapes), plane, plane)


@pytest.mark.parametrize("classes", [None, np.array([1, 4], np.int32)])
@pytest.mark.parametrize(
    ("conf", "iou", "most", "further", "voting"),
    [
        (0.05, 0.45, 300, 1.0, 0.0),
        (0.05, 0.45, 300, 0.05, 0.0),
        (0.3, 0.9, 10, 0.3, 0.0),
        (0.999, 0.5, 300, 1.0, 0.1),
        (0.05, 0.3, 300, 1.0, 0.1),
        (0.05, 0.3, 20, 0.05, 0.1),
        (0.05, 1.0, 300, 1.0, 0.1),
    ],
)
def test_objects_of_a_batch_are_those_found_image_by_image_in_numpy(
    conf: float,
    iou: float,
    most: int,
    further: float,
    voting: float,
    classes: np.ndarray | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = maps(3, 7)
    raw.levels[1][1, 0, 2, 2, 3] = float("inf")  # a box that is not finite
    raw.levels[1][1, 0, 4:11, 2, 3] = 9.0
    for module in (on_device, postprocess):
        monkeypatch.setattr(module, "MAX_CANDIDATES", 120)
    options = {"iou": iou, "max_det": most, "further": further, "voting": voting}
    found = find_objects(raw, LAYOUT, conf=conf, classes=classes, **options)
    assert len(found) == 3
    for image, own in enumerate(found):
        levels = [level[image].numpy() for level in raw.levels]
        decoded = decode_anchors(levels, LAYOUT, conf=conf, classes=classes, further=further)
        expected = suppress(decoded, **options)
        assert len(own.boxes) == len(expected.boxes)
        np.testing.assert_allclose(own.boxes, expected.boxes, rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(own.scores, expected.scores, rtol=1e-5)
        np.testing.assert_array_equal(own.class_ids, expected.class_ids)
        np.testing.assert_array_equal(own.coefficients, expected.coefficients)
        assert own.boxes.dtype == np.float32
        assert own.class_ids.dtype == np.int32
    assert np.isfinite(found[0].boxes).all()
    assert not np.isfinite(found[1].boxes).all()
