"""Objects of images as the losses take them."""

from __future__ import annotations

import torch

from tracker.train.truth_batch import TruthTensors


def truth_of(
    boxes: torch.Tensor, classes: int = 2, *, weight: float = 1.0, ignored: torch.Tensor | None = None
) -> TruthTensors:
    """Whole boxes of the first class, all of one weight."""
    count = len(boxes)
    return TruthTensors(
        boxes,
        boxes,
        torch.eye(classes)[torch.zeros(count, dtype=torch.long)],
        torch.ones(count, classes),
        torch.full((count,), weight),
        torch.full((count, 64, 64), 255, dtype=torch.uint8),
        torch.ones(count, dtype=torch.bool),
        torch.zeros(0, 4) if ignored is None else ignored,
        torch.zeros(classes),
    )
