"""Greedy non-maximum suppression on whatever device the boxes are on; `geometry.nms` is the same in numpy.

Source: Zheng et al., "Enhancing Geometric Factors in Model Learning and Inference for Object Detection and Instance
Segmentation", 2021, algorithm 1 (Cluster-NMS): asking again which boxes a kept one covers, until nothing changes, gives
the greedy answer in a few products of matrices instead of one step per box. Where we differ: boxes come in blocks, so
that memory grows with the number of boxes and not with its square.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

__all__ = ["nms"]

BLOCK = 512
"""Boxes compared with each other at once."""


@torch.no_grad()
def nms(
    boxes: Float[Tensor, "n 4"], scores: Float[Tensor, " n"], class_ids: Tensor | None = None, *, threshold: float
) -> Int64[Tensor, " k"]:
    """Rows that greedy non-maximum suppression keeps, best score first, on the device of the boxes.

    A box is dropped when its overlap with a better kept box of the same class exceeds `threshold`; without `class_ids`
    every box competes with every other. A whole batch goes in one call when `class_ids` tell the image too. Equal
    scores keep their order. The answer is that of torchvision.ops.batched_nms.

    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [20, 0, 30, 10]])
    >>> nms(boxes, torch.tensor([0.9, 0.8, 0.95]), threshold=0.5).tolist()
    [2, 0]
    """
    order = scores.argsort(descending=True, stable=True)
    ranked = boxes[order].float()
    groups = torch.zeros_like(order) if class_ids is None else class_ids[order]
    alive = torch.ones_like(order, dtype=torch.bool)
    for start in range(0, len(order), BLOCK):
        rows = alive[start : start + BLOCK].nonzero()[:, 0] + start
        covers = _covers(ranked[rows], groups[rows], ranked[rows], groups[rows], threshold).triu(1)
        kept, before = torch.ones_like(rows, dtype=torch.bool), None
        while before is None or not torch.equal(kept, before):
            before, kept = kept, ~(covers & kept[:, None]).any(dim=0)
        alive[rows] = kept
        winners, later = rows[kept], slice(start + BLOCK, None)
        covered = _covers(ranked[winners], groups[winners], ranked[later], groups[later], threshold)
        alive[later] &= ~covered.any(dim=0)
    return order[alive]


def _covers(
    boxes: Float[Tensor, "n 4"], groups: Tensor, others: Float[Tensor, "m 4"], other_groups: Tensor, threshold: float
) -> Bool[Tensor, "n m"]:
    """Which of the other boxes of its own group each box overlaps more than allowed."""
    x1, y1, x2, y2 = boxes[:, None].unbind(-1)
    left, top, right, bottom = others[None].unbind(-1)
    width = torch.minimum(x2, right) - torch.maximum(x1, left)
    height = torch.minimum(y2, bottom) - torch.maximum(y1, top)
    intersection = width.clamp(min=0) * height.clamp(min=0)
    overlap = intersection / ((x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - intersection)
    return (overlap.double() > threshold) & (groups[:, None] == other_groups[None])
