"""From a network's raw maps to the best box of each object, for a whole batch, on the device the maps are on.

The same rules as `decode.decode_anchors` and `decode.suppress`; only what is kept, and what votes for it, is copied to
the CPU.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64
from numpy import ndarray
from torch import Tensor

from tracker.detect.decode import MAX_CANDIDATES, AnchorLayout, Candidates, one_class_each, voted
from tracker.detect.further_classes import LARGEST, ONE_OBJECT_IOU
from tracker.nets.anchors import AnchorGrid, decode
from tracker.nets.suppress import nms
from tracker.nets.yolo import RawMaps

__all__ = ["find_objects"]


def find_objects(
    raw: RawMaps,
    layout: AnchorLayout,
    *,
    conf: float,
    iou: float,
    max_det: int,
    classes: Int32[ndarray, " q"] | None = None,
    further: float = 1.0,
    voting: float = 0.0,
) -> list[Candidates]:
    """Per image the boxes whose best wanted class scores at least `conf`, suppressed, best first, at most `max_det`.

    Further classes of an object are given from the score `further` on, and boxes are the mean of those that they
    suppressed with `voting`, as `suppress` does.
    """
    images, boxes, scores, class_ids, coefficients = _decode(raw, layout, conf=conf, classes=classes, further=further)
    finite = boxes.isfinite().all(dim=1)
    usable = finite.nonzero()[:, 0]
    if len(usable) > MAX_CANDIDATES:
        usable = usable[_best_of_each(images[usable], scores[usable])]
    groups = images * layout.classes + class_ids
    kept = usable[nms(boxes[usable], scores[usable], groups[usable], threshold=iou)]
    overlap = max(iou, ONE_OBJECT_IOU)
    if further >= LARGEST:
        kept = kept[nms(boxes[kept], scores[kept], images[kept], threshold=overlap)]
    voters = _on_cpu(usable, boxes, scores, class_ids, coefficients[:, :0]) if voting else None
    voting_images = images[usable].cpu().numpy()
    rows = torch.cat((kept, (~finite).nonzero()[:, 0]))  # broken ones are kept to be counted by the pipeline
    owners = images[rows].cpu().numpy()
    sound = finite[rows].cpu().numpy()
    whole = _on_cpu(rows, boxes, scores, class_ids, coefficients)
    found = []
    for image in range(len(raw.prototypes)):
        chosen, broken = (whole[(owners == image) & kind] for kind in (sound, ~sound))
        if further < LARGEST:
            chosen = one_class_each(chosen, overlap=overlap, further=further)
        chosen, broken = (each[np.arange(min(len(each.boxes), max_det))] for each in (chosen, broken))
        if voters is not None:
            chosen = voted(chosen, voters[voting_images == image], iou=iou, width=voting)
        found.append(Candidates.joined([chosen, broken]))
    return found


def _on_cpu(rows: Tensor, boxes: Tensor, scores: Tensor, class_ids: Tensor, coefficients: Tensor) -> Candidates:
    return Candidates(
        boxes[rows].cpu().numpy(),
        scores[rows].cpu().numpy(),
        class_ids[rows].int().cpu().numpy(),
        coefficients[rows].cpu().numpy(),
    )


def _decode(
    raw: RawMaps, layout: AnchorLayout, *, conf: float, classes: Int32[ndarray, " q"] | None, further: float
) -> tuple[Int64[Tensor, " n"], Float32[Tensor, "n 4"], Float32[Tensor, " n"], Int64[Tensor, " n"], Tensor]:
    """(image, box, score, class, coefficients) of every anchor above the threshold, level by level."""
    floor = math.log(max(conf, 1e-6) / max(1 - conf, 1e-6))
    parts = []
    for level, stride, anchors in zip(raw.levels, layout.strides, layout.anchors, strict=True):
        channels = torch.arange(layout.classes) if classes is None else torch.from_numpy(classes).long()
        likeliest = level[:, :, (5 + channels).to(level.device)].amax(dim=2).float()
        speaks = (level[:, :, 4].float() >= floor) & (likeliest >= floor)
        image, anchor, row, column = speaks.nonzero(as_tuple=True)
        cells = level[image, anchor, :, row, column].float()
        chance, best = _best_class(cells, layout, classes)
        score = cells[:, 4].sigmoid() * chance
        above = score >= conf
        widths, heights = torch.tensor(anchors, device=level.device)[anchor].unbind(-1)
        grid = AnchorGrid(column.float(), row.float(), torch.full_like(widths, stride), widths, heights)
        box, coefficients = decode(cells[:, :4], grid), cells[:, 5 + layout.classes :]
        parts.append((image[above], box[above], score[above], best[above], coefficients[above]))
        if further < LARGEST:
            chances = cells[:, 4:5].sigmoid() * cells[:, 5 : 5 + layout.classes].sigmoid() * (1 - score[:, None])
            others = torch.zeros_like(chances, dtype=torch.bool)
            others[:, channels.to(level.device)] = True
            others &= (chances >= further) & (above & box.isfinite().all(dim=1))[:, None]
            others[torch.arange(len(others), device=level.device), best] = False
            rows, names = others.nonzero(as_tuple=True)
            parts.append((image[rows], box[rows], chances[rows, names], names, coefficients[rows]))
    images, boxes, scores, class_ids, weights = (torch.cat(column) for column in zip(*parts, strict=True))
    return images, boxes, scores, class_ids, weights


def _best_class(
    cells: Float32[Tensor, "n c"], layout: AnchorLayout, classes: Int32[ndarray, " q"] | None
) -> tuple[Float32[Tensor, " n"], Int64[Tensor, " n"]]:
    """Chance and number of the best wanted class."""
    logits = cells[:, 5 : 5 + layout.classes]
    wanted = torch.arange(layout.classes) if classes is None else torch.from_numpy(classes).long()
    wanted = wanted.to(cells.device)
    chance, place = logits[:, wanted].sigmoid().max(dim=1)
    return chance, wanted[place]


def _best_of_each(images: Int64[Tensor, " n"], scores: Float32[Tensor, " n"]) -> Int64[Tensor, " k"]:
    """Rows of the MAX_CANDIDATES best of each image, in the order they came."""
    order = scores.argsort(descending=True, stable=True)
    order = order[images[order].argsort(stable=True)]
    firsts = torch.searchsorted(images[order], images[order])
    ranks = torch.arange(len(order), device=order.device) - firsts
    return order[ranks < MAX_CANDIDATES].sort().values
