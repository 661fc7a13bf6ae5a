"""Anchors: found by k-means, laid over the image, and the way between raw offsets and boxes.

YOLOv2 (Redmon and Farhadi, 2016) for k-means with 1 - IoU as distance and w = p_w exp(t_w). Where we differ: centres
are linear in the cell, x = (i + t_x) stride, so that a box's centre may lie outside its cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from numpy import ndarray
from torch import Tensor

__all__ = ["AnchorGrid", "anchor_fit", "decode", "encode", "find_anchors", "flatten", "lay_grid", "ratio_matches"]

Anchors = Sequence[Sequence[tuple[float, float]]]
"""(width, height) in pixels of the network's input, k per level."""


class AnchorGrid(NamedTuple):
    """One entry per anchor of the image, in the order of `flatten`: level, anchor, row, column."""

    columns: Float32[Tensor, " n"]
    """Left edge of the cell, in cells."""
    rows: Float32[Tensor, " n"]
    strides: Float32[Tensor, " n"]
    widths: Float32[Tensor, " n"]
    """The anchor's width in pixels."""
    heights: Float32[Tensor, " n"]


def size_iou(sizes: Float[ndarray, "n 2"], others: Float[ndarray, "k 2"]) -> Float[ndarray, "n k"]:
    """IoU of boxes that share a corner."""
    shared: ndarray = np.minimum(sizes[:, None], others[None]).prod(axis=2)
    return np.asarray(shared / (sizes.prod(axis=1)[:, None] + others.prod(axis=1)[None] - shared))


def find_anchors(
    sizes: Float[ndarray, "n 2"], count: int, *, seed: int = 0, rounds: int = 100
) -> Float[ndarray, "k 2"]:
    """`count` box sizes by k-means with 1 - IoU as distance, smallest area first; medians, so that outliers count less.

    Starts from sizes spread evenly over the areas found, so the result hangs on `seed` only through empty clusters.
    """
    sizes = np.asarray(sizes, np.float64)
    sizes = sizes[(sizes > 0).all(axis=1)]
    if len(sizes) < count:
        raise ValueError(f"find_anchors: {count} anchors need at least as many boxes, found {len(sizes)}")
    rng = np.random.default_rng(seed)
    by_area = sizes[np.argsort(sizes.prod(axis=1), kind="stable")]
    anchors = by_area[((np.arange(count) + 0.5) * len(by_area) / count).astype(int)].copy()
    nearest = np.full(len(sizes), -1)
    for _ in range(rounds):
        previous, nearest = nearest, size_iou(sizes, anchors).argmax(axis=1)
        if (previous == nearest).all():
            break
        for cluster in range(count):
            members = sizes[nearest == cluster]
            anchors[cluster] = np.median(members, axis=0) if len(members) else sizes[rng.integers(len(sizes))]
    ordered: ndarray = anchors[np.argsort(anchors.prod(axis=1), kind="stable")]
    return ordered


def anchor_fit(sizes: Float[ndarray, "n 2"], anchors: Float[ndarray, "k 2"]) -> tuple[float, float]:
    """(mean best IoU, share of boxes with an anchor within a factor of 4 in width and in height)."""
    sizes, anchors = np.asarray(sizes, np.float64), np.asarray(anchors, np.float64)
    ratios = sizes[:, None] / anchors[None]
    worst = np.maximum(ratios, 1 / ratios).max(axis=2)  # (n, k)
    return float(size_iou(sizes, anchors).max(axis=1).mean()), float((worst.min(axis=1) < 4.0).mean())


def flatten(levels: Sequence[Float[Tensor, "b k c _ _"]]) -> Float[Tensor, "b n c"]:
    """All anchors of all levels in one row of the batch."""
    return torch.cat([level.permute(0, 1, 3, 4, 2).flatten(1, 3) for level in levels], dim=1)


def lay_grid(
    shapes: Sequence[tuple[int, int]], anchors: Anchors, strides: Sequence[int], device: torch.device | str = "cpu"
) -> AnchorGrid:
    """The anchors of an image whose level maps have the given (height, width)."""
    columns, rows, steps, widths, heights = [], [], [], [], []
    for (height, width), pairs, stride in zip(shapes, anchors, strides, strict=True):
        row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        for anchor_width, anchor_height in pairs:
            columns.append(column.flatten())
            rows.append(row.flatten())
            steps.append(torch.full((height * width,), float(stride)))
            widths.append(torch.full((height * width,), anchor_width))
            heights.append(torch.full((height * width,), anchor_height))
    return AnchorGrid(*(torch.cat(parts).float().to(device) for parts in (columns, rows, steps, widths, heights)))


def decode(offsets: Float[Tensor, "*b n 4"], grid: AnchorGrid) -> Float[Tensor, "*b n 4"]:
    """Boxes xyxy in pixels of the network's input."""
    shift_x, shift_y, scale_x, scale_y = offsets.unbind(-1)
    x = (grid.columns + shift_x) * grid.strides
    y = (grid.rows + shift_y) * grid.strides
    half_width, half_height = grid.widths * scale_x.exp() / 2, grid.heights * scale_y.exp() / 2
    return torch.stack((x - half_width, y - half_height, x + half_width, y + half_height), dim=-1)


def encode(boxes: Float[Tensor, "*b n 4"], grid: AnchorGrid) -> Float[Tensor, "*b n 4"]:
    """The offsets whose `decode` gives these boxes; widths and heights must be above 0."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack(
        (
            (x1 + x2) / 2 / grid.strides - grid.columns,
            (y1 + y2) / 2 / grid.strides - grid.rows,
            ((x2 - x1) / grid.widths).log(),
            ((y2 - y1) / grid.heights).log(),
        ),
        dim=-1,
    )


def ratio_matches(
    sizes: Float[Tensor, "g 2"], grid: AnchorGrid, *, limit: float = 4.0
) -> tuple[Bool[Tensor, "g n"], Float[Tensor, "g n"]]:
    """Which anchors are within a factor `limit` of each box in width and in height, and the larger log-ratio."""
    widths, heights = sizes.unbind(-1)
    apart = torch.maximum((widths[:, None] / grid.widths).log().abs(), (heights[:, None] / grid.heights).log().abs())
    return apart < float(np.log(limit)), apart
