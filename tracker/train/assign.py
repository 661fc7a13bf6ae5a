"""Which anchors answer for which object.

SimOTA (Ge et al., YOLOX, 2021): each object takes the cheapest anchors near its centre, as many as the IoU of its
best ones adds up to. Where we differ: anchors come in sizes, so an object considers only those within a factor of
its width and height (YOLOv5's rule, where any fits) and, among equals, prefers the one closest in shape; regions
may be ignored; classes may be unknown.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from tracker.nets.anchors import AnchorGrid, ratio_matches

__all__ = ["Assignment", "assign", "pair_iou"]

FAR = 1e5


class Assignment(NamedTuple):
    """The answer for one image."""

    anchors: Int64[Tensor, " p"]
    """Rows of the anchors that must answer."""
    objects: Int64[Tensor, " p"]
    """The object each of them answers for."""
    ious: Float32[Tensor, " p"]
    """How well each predicted box fits now."""
    negative: Bool[Tensor, " n"]
    """Anchors that must stay silent: neither answering nor inside an ignored region."""


def pair_iou(a: Float32[Tensor, "n 4"], b: Float32[Tensor, "m 4"]) -> tuple[Tensor, Tensor]:
    """(IoU, share of the second box that is covered), n x m."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    width, height = (high - low).clamp_(min=0).unbind(-1)
    shared = width * height
    area_a, area_b = ((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a.unbind(-1), b.unbind(-1)))
    return shared / (area_a[:, None] + area_b - shared).clamp(min=1e-6), shared / area_b.clamp(min=1e-6)


@torch.no_grad()
def assign(
    boxes: Float32[Tensor, "n 4"],
    objectness: Float32[Tensor, " n"],
    classes: Float32[Tensor, "n c"],
    grid: AnchorGrid,
    truth_boxes: Float32[Tensor, "g 4"],
    truth_classes: Float32[Tensor, "g c"],
    class_weights: Float32[Tensor, "g c"],
    ignored: Float32[Tensor, "r 4"],
    *,
    radius: float = 2.0,
    ratio: float = 6.0,
    most: int = 20,
    shape_preference: float = 0.3,
) -> Assignment:
    """Match predictions (`objectness` and `classes` are raw) with the objects of one image.

    `radius` is in cells around the object's centre, `most` the number of best IoUs that are added up.
    """
    none = torch.zeros(0, dtype=torch.int64, device=boxes.device)
    negative = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    if len(ignored):
        negative &= ~(pair_iou(ignored, boxes)[1] > 0.5).any(dim=0)
    if not len(truth_boxes):
        return Assignment(none, none, boxes.new_zeros(0), negative)
    centre_x, centre_y = (grid.columns + 0.5) * grid.strides, (grid.rows + 0.5) * grid.strides
    x1, y1, x2, y2 = (edge[:, None] for edge in truth_boxes.unbind(-1))
    inside = (centre_x > x1) & (centre_x < x2) & (centre_y > y1) & (centre_y < y2)
    reach = radius * grid.strides
    near = ((centre_x - (x1 + x2) / 2).abs() < reach) & ((centre_y - (y1 + y2) / 2).abs() < reach)
    fits, apart = ratio_matches(truth_boxes[:, 2:] - truth_boxes[:, :2], grid, limit=ratio)
    fits |= ~fits.any(dim=1, keepdim=True)
    possible = (inside | near) & fits
    rows = possible.any(dim=0).nonzero()[:, 0]
    possible, best = possible[:, rows], (inside & near)[:, rows]
    iou, _ = pair_iou(truth_boxes, boxes[rows])
    probability = (objectness[rows, None].sigmoid() * classes[rows].sigmoid()).sqrt().clamp(1e-6, 1 - 1e-6)
    wanted, unwanted = truth_classes * class_weights, (1 - truth_classes) * class_weights
    cost = -(wanted @ probability.log().T) - unwanted @ (1 - probability).log().T
    cost += 3.0 * -(iou + 1e-8).log() + shape_preference * apart[:, rows] + FAR * ~best + 10 * FAR * ~possible
    take = min(most, len(rows))
    counts = (iou * possible).topk(take, dim=1).values.sum(dim=1).long().clamp(min=1)
    cheapest = cost.topk(take, dim=1, largest=False)
    chosen = torch.arange(take, device=boxes.device) < counts[:, None]
    chosen &= cheapest.values < 10 * FAR
    matched = torch.full_like(cost, torch.inf)
    objects, ranks = chosen.nonzero(as_tuple=True)
    columns = cheapest.indices[objects, ranks]
    matched[objects, columns] = cost[objects, columns]
    lowest, owner = matched.min(dim=0)
    positive = lowest.isfinite().nonzero()[:, 0]
    anchors, objects = rows[positive], owner[positive]
    negative[anchors] = False
    return Assignment(anchors, objects, iou[objects, positive], negative)
