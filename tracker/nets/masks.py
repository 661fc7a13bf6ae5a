"""Prototype masks read where they are wanted (YOLACT, Bolya et al., 2019).

Where we differ: no full-size mask is ever made. A mask is read bilinearly at points inside its own box only, with the
same arithmetic in training and in use.
"""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional

__all__ = ["box_points", "read_masks"]


def box_points(boxes: Float32[Tensor, "n 4"], grid: int) -> Float32[Tensor, "n g g 2"]:
    """The centres of grid x grid equal parts of each box, as (x, y)."""
    steps = (torch.arange(grid, device=boxes.device, dtype=boxes.dtype) + 0.5) / grid
    x1, y1, x2, y2 = (edge[:, None, None] for edge in boxes.unbind(-1))
    x = x1 + (x2 - x1) * steps[None, None, :]
    y = y1 + (y2 - y1) * steps[None, :, None]
    return torch.stack((x.expand(-1, grid, -1), y.expand(-1, -1, grid)), dim=-1)


def read_masks(
    prototypes: Float32[Tensor, "m h w"],
    coefficients: Float32[Tensor, "n m"],
    points: Float32[Tensor, "n g g 2"],
    *,
    stride: int = 4,
) -> Float32[Tensor, "n g g"]:
    """Mask logits at points given in image pixels, prototypes read bilinearly."""
    _, height, width = prototypes.shape
    extent = points.new_tensor((width * stride, height * stride))
    count, grid = points.shape[:2]
    where = (points / extent * 2 - 1).reshape(1, count * grid, grid, 2)
    values = functional.grid_sample(prototypes[None], where, padding_mode="border", align_corners=False)[0]
    return torch.einsum("nm,mnij->nij", coefficients, values.reshape(-1, count, grid, grid))
