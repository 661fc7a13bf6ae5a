from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor

from tracker import geometry
from tracker.nets import suppress
from tracker.nets.suppress import nms


def objects(count: int, seed: int, *, whole: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores with ties, classes; boxes of whole numbers meet a threshold exactly."""
    random = np.random.default_rng(seed)
    corners, extent = random.random((count, 2)) * 40, random.random((count, 2)) * 40
    if whole:
        corners, extent = (corners / 4).round(), (extent / 4).round()
    boxes = torch.from_numpy(np.concatenate((corners, corners + extent), axis=1).astype(np.float32))
    return (
        boxes,
        torch.from_numpy(random.integers(0, 8, count) / 8).float(),
        torch.from_numpy(random.integers(0, 3, count)),
    )


@pytest.mark.parametrize("count", [0, 1, 60])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.45, 0.5, 0.6, 0.7, 1.0])
def test_what_is_kept_and_its_order_equal_torchvision(count: int, threshold: float) -> None:
    for seed in range(8):
        boxes, scores, classes = objects(count, seed, whole=seed % 2 == 0)
        expected = torchvision.ops.batched_nms(boxes, scores, classes, threshold)
        assert nms(boxes, scores, classes, threshold=threshold).tolist() == expected.tolist()
        agnostic = torchvision.ops.nms(boxes, scores, threshold)
        assert nms(boxes, scores, threshold=threshold).tolist() == agnostic.tolist()


def test_blocks_do_not_change_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, scores, classes = objects(200, 5, whole=True)
    expected = nms(boxes, scores, classes, threshold=0.5).tolist()
    for block in (1, 7, 64):
        monkeypatch.setattr(suppress, "BLOCK", block)
        assert nms(boxes, scores, classes, threshold=0.5).tolist() == expected


def test_a_batch_in_one_call_is_every_image_by_itself_and_equals_numpy() -> None:
    images = [objects(50, seed, whole=False) for seed in range(4)]
    boxes, scores, classes = (torch.cat(parts) for parts in zip(*images, strict=True))
    numbers = torch.arange(4).repeat_interleave(50)
    kept = nms(boxes, scores, numbers * 3 + classes, threshold=0.4)
    for number, (own_boxes, own_scores, own_classes) in enumerate(images):
        alone = geometry.nms(own_boxes.numpy(), own_scores.numpy(), own_classes.numpy(), threshold=0.4)
        assert (kept[numbers[kept] == number] - 50 * number).tolist() == alone.tolist()
