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
from torch.nn import functional

from tracker.nets.anchors import AnchorGrid, ratio_matches
from tracker.train.truth_batch import TruthBatch, covered_by, paired_iou

__all__ = ["Assignment", "assign"]

FAR = 1e5
"""Price of an anchor outside the object or off its centre, YOLOX's: taken only where nothing else is left."""
IOU_PRICE = 3.0
"""Weight of -log IoU beside the class's cross-entropy, YOLOX's."""
LEAST_CHANCE = 1e-6
"""Chances are held this far from 0 and 1, where their logarithm ends."""


class Assignment(NamedTuple):
    """The answer for a batch of b images with n anchors each."""

    images: Int64[Tensor, " p"]
    anchors: Int64[Tensor, " p"]
    """Of that image, the anchors that must answer."""
    objects: Int64[Tensor, " p"]
    """The object of that image each of them answers for."""
    ious: Float32[Tensor, " p"]
    """How well each predicted box fits now."""
    negative: Bool[Tensor, "b n"]
    """Anchors that must stay silent: neither answering nor inside an ignored region."""


@torch.no_grad()
def assign(
    boxes: Float32[Tensor, "b n 4"],
    objectness: Float32[Tensor, "b n"],
    classes: Float32[Tensor, "b n c"],
    grid: AnchorGrid,
    truth: TruthBatch,
    *,
    radius: float = 2.0,
    ratio: float = 6.0,
    most: int = 20,
    shape_preference: float = 0.3,
) -> Assignment:
    """Match predictions (`objectness` and `classes` are raw) with the objects of their images.

    `radius` is in cells around the object's centre, `most` the number of best IoUs that are added up.

    Four anchors, each predicting its own cell of 16 px; an object of 12 px lies in the first one, which answers for it
    and must not stay silent:

    >>> from tracker.nets.anchors import lay_grid
    >>> from tracker.train.truth_batch import TruthTensors
    >>> object_, none = torch.tensor([[2.0, 2, 14, 14]]), torch.zeros(0, 4)
    >>> mask, outlined = torch.zeros(1, 64, 64), torch.ones(1, dtype=torch.bool)
    >>> one = torch.ones(1, 1)
    >>> truth = TruthTensors(object_, object_, one, one, one[0], mask, outlined, none, torch.zeros(1))
    >>> boxes = torch.tensor([[[0.0, 0, 16, 16], [16, 0, 32, 16], [0, 16, 16, 32], [16, 16, 32, 32]]])
    >>> grid = lay_grid([(2, 2)], (((16.0, 16.0),),), (16,))
    >>> found = assign(boxes, torch.zeros(1, 4), torch.zeros(1, 4, 1), grid, TruthBatch.of([truth]))
    >>> found.anchors.tolist(), found.objects.tolist(), found.ious.tolist(), found.negative.tolist()
    ([0], [0], [0.5625], [[False, True, True, True]])
    """
    # Candidates: anchors in or near the object, of about its size (of any size where none is).
    negative = ~covered_by(truth.ignored, boxes)
    centre_x, centre_y = (grid.columns + 0.5) * grid.strides, (grid.rows + 0.5) * grid.strides
    x1, y1, x2, y2 = (edge[..., None] for edge in truth.boxes.unbind(-1))  # (b, g, 1)
    inside = (centre_x > x1) & (centre_x < x2) & (centre_y > y1) & (centre_y < y2)
    reach = radius * grid.strides
    near = ((centre_x - (x1 + x2) / 2).abs() < reach) & ((centre_y - (y1 + y2) / 2).abs() < reach)
    sizes = (truth.boxes[..., 2:] - truth.boxes[..., :2]).flatten(0, 1)  # (b g, 2)
    fits, apart = (part.view(inside.shape) for part in ratio_matches(sizes, grid, limit=ratio))  # (b, g, n)
    fits |= ~fits.any(dim=2, keepdim=True)
    possible = (inside | near) & fits & truth.present[..., None]
    image, thing, anchor = possible.nonzero(as_tuple=True)  # p pairs, far fewer than b g n
    iou = torch.zeros(possible.shape, device=boxes.device)
    iou[image, thing, anchor] = paired_iou(truth.boxes[image, thing], boxes[image, anchor])
    # Price: how far the anchor's class, box and shape are from the object's.
    chance = functional.logsigmoid(objectness)[..., None] + functional.logsigmoid(classes)
    chance = (chance / 2).exp().clamp(LEAST_CHANCE, 1 - LEAST_CHANCE)  # sqrt(objectness x class)
    wanted, unwanted = truth.classes * truth.class_weights, (1 - truth.classes) * truth.class_weights
    disbelief = -(wanted @ chance.log().mT) - unwanted @ (1 - chance).log().mT  # (b, g, n)
    price = disbelief[image, thing, anchor] - IOU_PRICE * (iou[image, thing, anchor] + 1e-8).log()
    price += shape_preference * apart[image, thing, anchor] + FAR * ~(inside & near)[image, thing, anchor]
    cost = torch.full_like(iou, torch.inf)
    cost[image, thing, anchor] = price
    # Each object takes its cheapest anchors, as many as its best IoUs add up to.
    take = min(most, cost.shape[2])
    counts = iou.topk(take, dim=2).values.sum(dim=2).long().clamp(min=1)  # (b, g)
    cheapest = cost.topk(take, dim=2, largest=False)
    chosen = (torch.arange(take, device=boxes.device) < counts[..., None]) & cheapest.values.isfinite()
    image, thing, rank = chosen.nonzero(as_tuple=True)
    anchor = cheapest.indices[image, thing, rank]
    matched = torch.full_like(cost, torch.inf)
    matched[image, thing, anchor] = cost[image, thing, anchor]
    lowest, owner = matched.min(dim=1)  # an anchor that several objects want goes to the one it suits best
    images, anchors = lowest.isfinite().nonzero(as_tuple=True)
    objects = owner[images, anchors]
    negative[images, anchors] = False
    return Assignment(images, anchors, objects, iou[images, objects, anchors], negative)
