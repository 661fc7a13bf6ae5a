"""Losses of a network whose classes say everything: one cell answers for each object, all others stay silent.

Task alignment (Feng et al., TOOD, 2021): the cells whose class score and overlap are both high compete for an object,
metric = score^0.5 IoU^6, and the class target of the winner is the overlap it reaches. One winner per object (as in
YOLO26, after Wang et al., YOLOv10, 2024), so that a network that was trained so starts in agreement with its loss.
Where we differ: the class target is never above how certain the object is, such as the score of the teacher that found
it, so that what is doubted is learned as doubted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor
from torch.nn import functional

from tracker.nets.anchors import AnchorGrid, decode, flatten
from tracker.nets.yolo import RawMaps
from tracker.train.assign import pair_iou
from tracker.train.losses import LossConfig, LossSums, TruthTensors, ciou, masks_of_image

__all__ = ["Winners", "align", "aligned_loss"]

COMPETING = 7
"""Cells of an object that are considered."""
SMALLEST = 16.0
"""Pixels that an object measures at least when cells inside it are looked for."""


class Winners(NamedTuple):
    """Which cell answers for which object of an image."""

    cells: Int64[Tensor, " p"]
    objects: Int64[Tensor, " p"]
    ious: Float32[Tensor, " p"]


@torch.no_grad()
def align(
    boxes: Float32[Tensor, "n 4"], classes: Float32[Tensor, "n c"], grid: AnchorGrid, ground_truth: TruthTensors
) -> Winners:
    """The best aligned cell of each object; one that several objects want goes to the one it overlaps most."""
    count = len(ground_truth.boxes)
    if not count:
        none = torch.zeros(0, dtype=torch.int64, device=boxes.device)
        return Winners(none, none, boxes.new_zeros(0))
    x, y = (grid.columns + 0.5) * grid.strides, (grid.rows + 0.5) * grid.strides
    x1, y1, x2, y2 = (edge[:, None] for edge in ground_truth.boxes.unbind(-1))
    half_width, half_height = ((x2 - x1).clamp(min=SMALLEST) / 2, (y2 - y1).clamp(min=SMALLEST) / 2)
    inside: Bool[Tensor, "g n"] = ((x - (x1 + x2) / 2).abs() < half_width) & ((y - (y1 + y2) / 2).abs() < half_height)
    cells = inside.any(dim=0).nonzero()[:, 0]
    inside = inside[:, cells]
    iou = pair_iou(ground_truth.boxes, boxes[cells])[0] * inside
    chance = classes[cells].sigmoid()
    # an object of a group may be any of its members
    possible = (ground_truth.classes > 0) | (ground_truth.class_weights == 0)
    score = torch.stack([(chance * own).amax(dim=-1) for own in possible])
    metric = score.sqrt() * iou**6
    most = min(COMPETING, len(cells))
    best = metric.topk(most, dim=1)
    wanted = torch.zeros_like(inside).scatter_(1, best.indices, best.values > 1e-9)
    owner = (iou * wanted).argmax(dim=0)
    wanted &= owner == torch.arange(count, device=boxes.device)[:, None]
    value, column = (metric * wanted).max(dim=1)
    objects = (value > 0).nonzero()[:, 0]
    columns = column[objects]
    return Winners(cells[columns], objects, iou[objects, columns])


def aligned_loss(
    raw: RawMaps,
    ground_truths: Sequence[TruthTensors],
    grid: AnchorGrid,
    config: LossConfig,
    *,
    class_count: int,
    seeds: Sequence[int],
) -> LossSums:
    """Losses of a batch, in the same terms as `yolo_loss`; objectness is a constant and costs nothing."""
    flat = flatten([level.float() for level in raw.levels])
    offsets, _, classes, coefficients = torch.split(flat, [4, 1, class_count, flat.shape[-1] - 5 - class_count], dim=-1)
    boxes = decode(torch.cat((offsets[..., :2], offsets[..., 2:].clamp(max=6.0)), dim=-1), grid)
    none = flat.new_zeros(())
    box, mask, mask_count = none, none + 0.0 * (raw.prototypes.float().sum() + flat.sum()), 0
    target = torch.zeros_like(classes)
    weight = torch.ones_like(classes)
    positive = none
    for row, (ground_truth, seed) in enumerate(zip(ground_truths, seeds, strict=True)):
        won = align(boxes[row].detach(), classes[row].detach(), grid, ground_truth)
        if len(ground_truth.ignored):
            weight[row, (pair_iou(ground_truth.ignored, boxes[row].detach())[1] > 0.5).any(dim=0)] = 0.0
        weight[row] *= 1 - ground_truth.unlabelled
        reached = torch.minimum(ground_truth.weights[won.objects], won.ious)
        target[row, won.cells] = ground_truth.classes[won.objects] * reached[:, None]
        weight[row, won.cells] = ground_truth.class_weights[won.objects]
        positive = positive + reached.sum()
        fit = ciou(boxes[row, won.cells], ground_truth.boxes[won.objects])
        box = box + ((1 - fit) * reached).sum()
        own_mask, count = masks_of_image(
            raw.prototypes[row], coefficients[row], won.cells, won.objects, ground_truth, config, seed
        )
        mask, mask_count = mask + own_mask, mask_count + count
    class_loss = functional.binary_cross_entropy_with_logits(classes, target, weight, reduction="sum")
    return LossSums(box, none, class_loss, mask, positive, flat.new_tensor(float(mask_count)))
