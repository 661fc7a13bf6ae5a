"""What the raw maps should have been, as one number per concern.

Boxes: CIoU (Zheng et al., 2020). Objectness and classes: binary cross-entropy, class targets scaled by the IoU
reached (YOLOX). Masks: cross-entropy and dice inside the box. Where we differ from YOLACT: the prototypes are read
bilinearly on a fixed grid over the (slightly moved) box, just as masks are read when the network is used, so small
and large objects count alike and the edge is learned finer than a prototype cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional

from tracker.config.bounds import check_least
from tracker.nets.anchors import AnchorGrid, decode, flatten
from tracker.nets.masks import box_points, read_prototypes
from tracker.nets.yolo import RawMaps
from tracker.train.assign import assign
from tracker.train.truth_batch import TruthBatch, TruthTensors, hashed_uniform

__all__ = ["LossConfig", "LossSums", "ciou", "masks_of_batch", "yolo_loss"]


EPSILON = 1e-7
"""Keeps divisions by sizes from dividing by nothing; no box is that small."""
LARGEST_LOG_SIZE = 6.0
"""Sizes are read up to e^6 = 403 anchors: only untrained weights say more, and their areas would be no numbers."""
MASK_MOVES = 0.2
"""Fraction of its size by which a box is moved and stretched before its mask is compared, half of it each way: when the
network is used its boxes are off too."""
EDGE_COVERAGE = 0.05
"""A point is next to an outline where the coverage around it is further than this from all and from nothing."""


@dataclass(frozen=True)
class LossConfig:
    """How much each concern counts."""

    box: float = 5.0
    """CIoU of positive anchors."""
    objectness: float = 1.0
    """Positive or negative."""
    classes: float = 1.0
    """Class of positive anchors."""
    mask: float = 2.0
    """Cross-entropy and dice of masks."""
    mask_grid: int = 28
    """Points per side at which a mask is compared."""
    mask_edge: float = 1.0
    """How much more points next to an outline count."""
    masks_per_image: int = 32
    """At most this many positive anchors of an image have their mask compared."""
    answers: int = 10
    """Cells that answer for an object where classes say everything, as in sightline-small; suppression and voting make
    one box of theirs. 1 as in YOLO26, which needs neither."""

    def __post_init__(self) -> None:
        check_least(self, "box", "objectness", "classes", "mask", "mask_edge", "masks_per_image", least=0)
        check_least(self, "mask_grid", "answers", least=1)


class LossSums(NamedTuple):
    """Sums over the batch and what to divide them by; sums of several processes may be added."""

    box: Tensor
    objectness: Tensor
    classes: Tensor
    mask: Tensor
    positive: Tensor
    """Anchors that answer for an object, weighed."""
    mask_count: Tensor
    """Masks compared."""

    def weighted(self, config: LossConfig, positive: Tensor, mask_count: Tensor) -> dict[str, Tensor]:
        """The losses whose sum is minimised; the counts are those of the whole batch over all processes."""
        anchors, masks = positive.clamp(min=1.0), mask_count.clamp(min=1.0)
        return {
            "box": config.box * self.box / anchors,
            "objectness": config.objectness * self.objectness / anchors,
            "classes": config.classes * self.classes / anchors,
            "mask": config.mask * self.mask / masks,
        }


def ciou(a: Float32[Tensor, "n 4"], b: Float32[Tensor, "n 4"]) -> Float32[Tensor, " n"]:
    """Complete IoU of box pairs: overlap, centre distance and aspect; 1 for equal boxes."""
    ax1, ay1, ax2, ay2 = a.unbind(-1)
    bx1, by1, bx2, by2 = b.unbind(-1)
    aw, ah, bw, bh = ax2 - ax1, ay2 - ay1, bx2 - bx1, by2 - by1
    width = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp(min=0)
    height = (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp(min=0)
    shared = width * height
    iou = shared / (aw * ah + bw * bh - shared + EPSILON)
    hull_width = torch.maximum(ax2, bx2) - torch.minimum(ax1, bx1)
    hull_height = torch.maximum(ay2, by2) - torch.minimum(ay1, by1)
    apart = ((ax1 + ax2 - bx1 - bx2) ** 2 + (ay1 + ay2 - by1 - by2) ** 2) / 4
    shape = 4 / torch.pi**2 * ((bw / (bh + EPSILON)).atan() - (aw / (ah + EPSILON)).atan()) ** 2
    with torch.no_grad():
        alpha = shape / (1 - iou + shape + EPSILON)
    return iou - apart / (hull_width**2 + hull_height**2 + EPSILON) - alpha * shape


def target_masks(masks: Tensor, full_boxes: Tensor, points: Tensor) -> Float32[Tensor, "n g g"]:
    """Coverage 0..1 at the points; 0 outside the object's box."""
    x1, y1, x2, y2 = (edge[:, None, None] for edge in full_boxes.unbind(-1))  # (n, 1, 1)
    x, y = points.unbind(-1)  # (n, g, g)
    # grid_sample reads the mask, (n, 1, m, m), at places from -1 to 1 across it: (n, g, g, 2)
    where = torch.stack(((x - x1) / (x2 - x1) * 2 - 1, (y - y1) / (y2 - y1) * 2 - 1), dim=-1)
    return functional.grid_sample(masks[:, None].float() / 255, where, align_corners=False)[:, 0]


def mask_loss(
    logits: Float32[Tensor, "n g g"], target: Float32[Tensor, "n g g"], *, edge: float = 1.0
) -> Float32[Tensor, " n"]:
    """Cross-entropy plus dice, per object; points next to the outline count `edge` times in the first."""
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if edge != 1.0:
        around = functional.avg_pool2d(target[:, None], 3, stride=1, padding=1, count_include_pad=False)[:, 0]
        weight = 1.0 + (edge - 1.0) * ((around > EDGE_COVERAGE) & (around < 1 - EDGE_COVERAGE)).to(entropy)
        entropy = entropy * weight / weight.mean(dim=(1, 2), keepdim=True)
    entropy = entropy.mean(dim=(1, 2))
    covered = logits.sigmoid()
    overlap = (covered * target).sum(dim=(1, 2))
    dice = 1 - (2 * overlap + 1) / ((covered**2).sum(dim=(1, 2)) + (target**2).sum(dim=(1, 2)) + 1)
    return entropy + dice


def yolo_loss(
    raw: RawMaps,
    truths: Sequence[TruthTensors],
    grid: AnchorGrid,
    config: LossConfig,
    *,
    class_count: int,
    seeds: Sequence[int],
) -> LossSums:
    """Losses of a batch; `seeds`, one per image, decide which masks are compared and how their boxes are moved."""
    truth = TruthBatch.of(truths)
    flat = flatten([level.float() for level in raw.levels])  # (b, n, 5 + c + m)
    parts = [4, 1, class_count, flat.shape[-1] - 5 - class_count]
    offsets, objectness, classes, coefficients = torch.split(flat, parts, dim=-1)
    objectness = objectness[..., 0]  # (b, n)
    offsets = torch.cat((offsets[..., :2], offsets[..., 2:].clamp(max=LARGEST_LOG_SIZE)), dim=-1)
    boxes = decode(offsets, grid)  # (b, n, 4)
    match = assign(boxes.detach(), objectness.detach(), classes.detach(), grid, truth)
    answering, answered = (match.images, match.anchors), (match.images, match.objects)
    certainty = truth.weights[answered]  # (p,), over the p positive anchors of the batch
    # Objectness: every anchor, positive ones towards their object's certainty.
    target = torch.zeros_like(objectness)
    target[answering] = certainty  # what a teacher doubts is learned as doubted
    weight = match.negative * negative_weight(classes, truth.unlabelled)
    weight[answering] = 1.0
    objectness_loss = binary_entropy(objectness, target, weight)
    # Boxes and classes: positive anchors alone; a class is wanted as far as the box reaches its object.
    fit = ciou(boxes[answering], truth.boxes[answered])
    box = ((1 - fit) * certainty).sum()
    wanted = truth.classes[answered] * match.ious[:, None]  # (p, c)
    class_loss = binary_entropy(classes[answering], wanted, truth.class_weights[answered] * certainty[:, None])
    mask, mask_count = masks_of_batch(raw.prototypes, coefficients, *answering, match.objects, truth, config, seeds)
    mask = mask + 0.0 * (raw.prototypes.float().sum() + flat.sum())  # every weight has a gradient, even without objects
    return LossSums(box, objectness_loss, class_loss, mask, certainty.sum(), flat.new_tensor(float(mask_count)))


def masks_of_batch(
    prototypes: Float32[Tensor, "b m h w"],
    coefficients: Float32[Tensor, "b n m"],
    images: Int64[Tensor, " p"],
    anchors: Int64[Tensor, " p"],
    objects: Int64[Tensor, " p"],
    truth: TruthBatch,
    config: LossConfig,
    seeds: Sequence[int],
) -> tuple[Tensor, int]:
    """(sum of the mask losses of some of the anchors that answer for objects with a mask, how many they are)."""
    # Which masks: at most so many an image, drawn by its seed.
    outlined = truth.has_mask[images, objects].nonzero()[:, 0]
    own_seeds = torch.tensor(seeds, device=images.device)[images[outlined]]
    chosen, places = choose_masks(images[outlined], anchors[outlined], own_seeds, most=config.masks_per_image)
    if not len(chosen):
        return prototypes.new_zeros((), dtype=torch.float32), 0
    rows, own_seeds = outlined[chosen], own_seeds[chosen]
    images, anchors, objects = images[rows], anchors[rows], objects[rows]
    # Where: a grid of points over each object's box, slightly moved.
    moves = torch.stack([hashed_uniform(own_seeds, anchors, salt=1 + side) - 0.5 for side in range(4)], dim=1)
    moves = moves * MASK_MOVES  # (q, 4)
    window = truth.boxes[images, objects]
    window = window + (window[:, 2:] - window[:, :2]).repeat(1, 2) * moves
    points = box_points(window, config.mask_grid)  # (q, g, g, 2)
    # every image's masks side by side in one tall grid, so that its prototypes are read once
    tall = points.new_zeros((len(prototypes), int(places.max()) + 1, *points.shape[1:]))
    tall = tall.index_put((images, places), points)
    values = read_prototypes(prototypes.float(), tall)  # (b, q', m, g, g)
    logits = torch.einsum("qm,qmij->qij", coefficients[images, anchors], values[images, places])
    wanted = target_masks(truth.masks[images, objects], truth.full_boxes[images, objects], points)
    return mask_loss(logits, wanted, edge=config.mask_edge).sum(), len(rows)


@torch.no_grad()
def negative_weight(classes: Float32[Tensor, "b n c"], unlabelled: Float32[Tensor, "b c"]) -> Float32[Tensor, "b n"]:
    """1 for anchors that may be taught that nothing is there, 0 where the likeliest class is an unlabelled one.

    So an object of a class that a folder does not label is never background there, as far as the network knows it.
    """
    probability, unknown = classes.sigmoid(), unlabelled[:, None]  # (b, n, c), (b, 1, c)
    labelled, other = (probability * (1 - unknown)).amax(dim=-1), (probability * unknown).amax(dim=-1)
    return (labelled >= other).to(probability)


def binary_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum of the binary cross-entropy."""
    return functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")


def choose_masks(
    images: Int64[Tensor, " p"], anchors: Int64[Tensor, " p"], seeds: Int64[Tensor, " p"], *, most: int
) -> tuple[Int64[Tensor, " q"], Int64[Tensor, " q"]]:
    """(at most so many rows of each image, drawn by its seed; the place of each among those of its image)."""
    drawn = hashed_uniform(seeds, anchors, salt=0).argsort()
    order = drawn[images[drawn].argsort(stable=True)]
    ordered = images[order]
    places = torch.arange(len(order), device=images.device) - torch.searchsorted(ordered, ordered)
    kept = places < most
    return order[kept], places[kept]
