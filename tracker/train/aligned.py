"""Losses of a network whose classes say everything: the cells that answer for an object, all others stay silent.

Task alignment (Feng et al., TOOD, 2021): the cells whose class score and overlap are both high compete for an object,
metric = score^0.5 IoU^6, and the class target of the best is the overlap it reaches, those of others less by how much
less aligned they are. One winner per object (as in YOLO26, after Wang et al., YOLOv10, 2024) needs no suppression;
several (TOOD, YOLO11) teach more of each object, and suppression picks among them.
Where we differ: the class target is never above how certain the object is, such as the score of the teacher that found
it, so that what is doubted is learned as doubted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional

from tracker.nets.anchors import AnchorGrid, decode, flatten
from tracker.nets.yolo import RawMaps
from tracker.train.losses import LARGEST_LOG_SIZE, LossConfig, LossSums, ciou, masks_of_batch
from tracker.train.truth_batch import TruthBatch, TruthTensors, covered_by, paired_iou

__all__ = ["Winners", "align", "aligned_loss"]

COMPETING = 7
"""Cells of an object that are considered, or as many as may answer for it where these are more."""
OVERLAP_POWER = 6
"""TOOD's beta; its alpha is 0.5, hence the square root of the score."""
LEAST_METRIC = 1e-9
"""A cell whose metric is less does not compete: the sixth power of no overlap is not quite nothing."""
SMALLEST = 16.0
"""Pixels that an object measures at least when cells inside it are looked for."""


class Winners(NamedTuple):
    """Which cell answers for which object, in a batch of b images with n cells each."""

    images: Int64[Tensor, " p"]
    cells: Int64[Tensor, " p"]
    objects: Int64[Tensor, " p"]
    """Of that image."""
    ious: Float32[Tensor, " p"]
    reached: Float32[Tensor, " p"]
    """The largest overlap that a winner of the same object has."""
    share: Float32[Tensor, " p"]
    """How well aligned the cell is beside the object's best, 0..1: the best has 1."""


@torch.no_grad()
def align(
    boxes: Float32[Tensor, "b n 4"],
    classes: Float32[Tensor, "b n c"],
    grid: AnchorGrid,
    truth: TruthBatch,
    *,
    answers: int = 1,
) -> Winners:
    """The `answers` best aligned cells of each object; one that several objects want goes to that it overlaps most.

    Four cells side by side all give the object's box but the last; the third is surest of the class. The last is surer
    still, but its box is too large: 0.3^6 weighs more than the square root of its score.

    >>> from tracker.nets.anchors import lay_grid
    >>> grid = lay_grid([(1, 4)], (((8.0, 8.0),),), (8,))
    >>> boxes = torch.tensor([[0.0, 0, 32, 8]] * 3 + [[0.0, 0, 50, 18]])[None]  # (1, 4, 4)
    >>> classes = torch.tensor([-2.0, -1, 1, 4])[None, :, None]  # (1, 4, 1)
    >>> one, none = torch.ones(1, 1), torch.empty(0, 4)
    >>> truth = TruthTensors(
    ...     boxes[0, :1], boxes[0, :1], one, one, one[0], one, one[0].bool(), none, torch.zeros(1)
    ... )
    >>> won = align(boxes, classes, grid, TruthBatch.of([truth]))
    >>> won.objects.tolist(), won.cells.tolist(), won.ious.tolist()
    ([0], [2], [1.0])
    >>> several = align(boxes, classes, grid, TruthBatch.of([truth]), answers=3)
    >>> several.cells.tolist(), [round(value, 2) for value in several.share.tolist()]
    ([2, 1, 0], [1.0, 0.61, 0.4])
    """
    # Candidates: cells whose centre lies inside the object, which counts as 16 px at least.
    x, y = (grid.columns + 0.5) * grid.strides, (grid.rows + 0.5) * grid.strides
    x1, y1, x2, y2 = (edge[..., None] for edge in truth.boxes.unbind(-1))  # (b, g, 1)
    half_width, half_height = ((x2 - x1).clamp(min=SMALLEST) / 2, (y2 - y1).clamp(min=SMALLEST) / 2)
    inside = ((x - (x1 + x2) / 2).abs() < half_width) & ((y - (y1 + y2) / 2).abs() < half_height)
    inside &= truth.present[..., None]
    image, thing, cell = inside.nonzero(as_tuple=True)  # p pairs, far fewer than b g n
    # The metric of each candidate, and the seven best of each object.
    iou = torch.zeros(inside.shape, device=boxes.device)  # (b, g, n)
    iou[image, thing, cell] = paired_iou(truth.boxes[image, thing], boxes[image, cell])
    score = _class_scores(classes, truth, image, thing, cell)
    metric = torch.zeros_like(iou)
    metric[image, thing, cell] = score.sqrt() * iou[image, thing, cell] ** OVERLAP_POWER
    best = metric.topk(min(max(COMPETING, answers), metric.shape[2]), dim=2)
    wanted = torch.zeros_like(inside).scatter_(2, best.indices, best.values > LEAST_METRIC)
    # A cell that several objects want goes to the one it overlaps most; each object takes its best of what is left.
    owner = (iou * wanted).argmax(dim=1)  # (b, n)
    wanted &= owner[:, None] == torch.arange(wanted.shape[1], device=boxes.device)[None, :, None]
    value, column = (metric * wanted).topk(min(answers, metric.shape[2]), dim=2)  # (b, g, k), the best first
    images, objects, place = (value > 0).nonzero(as_tuple=True)
    cells = column[images, objects, place]
    overlaps = iou.gather(2, column) * (value > 0)
    share = value[images, objects, place] / value[images, objects, 0]
    reached = overlaps.amax(dim=2)[images, objects]
    return Winners(images, cells, objects, iou[images, objects, cells], reached, share)


def _class_scores(
    classes: Float32[Tensor, "b n c"], truth: TruthBatch, image: Tensor, thing: Tensor, cell: Tensor
) -> Float32[Tensor, " p"]:
    """The score each cell gives its object's class; of an object that is one of a group, the best of its members'."""
    possible = (truth.classes > 0) | (truth.class_weights == 0)  # (b, g, c)
    first = possible.int().argmax(dim=2)[image, thing]
    raw = classes[image, cell, first]
    several = (possible.sum(dim=2) != 1)[image, thing].nonzero()[:, 0]
    members = possible[image[several], thing[several]]
    raw[several] = classes[image[several], cell[several]].masked_fill(~members, -torch.inf).amax(dim=-1)
    return raw.sigmoid()


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
    truth = TruthBatch.of(ground_truths)
    flat = flatten([level.float() for level in raw.levels])  # (b, n, 5 + c + m)
    offsets, _, classes, coefficients = torch.split(flat, [4, 1, class_count, flat.shape[-1] - 5 - class_count], dim=-1)
    boxes = decode(torch.cat((offsets[..., :2], offsets[..., 2:].clamp(max=LARGEST_LOG_SIZE)), dim=-1), grid)
    won = align(boxes.detach(), classes.detach(), grid, truth, answers=config.answers)
    reached = torch.minimum(truth.weights[won.images, won.objects], won.reached) * won.share
    target = torch.zeros_like(classes)
    target[won.images, won.cells] = truth.classes[won.images, won.objects] * reached[:, None]  # (p, c)
    silent = ~covered_by(truth.ignored, boxes.detach())
    weight = silent[..., None] * (1 - truth.unlabelled)[:, None]  # (b, n, c)
    weight[won.images, won.cells] = truth.class_weights[won.images, won.objects]
    class_loss = functional.binary_cross_entropy_with_logits(classes, target, weight, reduction="sum")
    fit = ciou(boxes[won.images, won.cells], truth.boxes[won.images, won.objects])
    box = ((1 - fit) * reached).sum()
    mask, mask_count = masks_of_batch(
        raw.prototypes, coefficients, won.images, won.cells, won.objects, truth, config, seeds
    )
    none = flat.new_zeros(())
    mask = mask + 0.0 * (raw.prototypes.float().sum() + flat.sum())  # every weight has a gradient, even without objects
    return LossSums(box, none, class_loss, mask, reached.sum(), flat.new_tensor(float(mask_count)))
