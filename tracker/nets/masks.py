"""Prototype masks read where they are wanted (YOLACT, Bolya et al., 2019).

Where we differ: no full-size mask is ever made. A mask is read bilinearly at points inside its own box only, with the
same arithmetic in training and in use.
"""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional

__all__ = ["box_points", "read_masks", "read_prototypes"]


def box_points(boxes: Float32[Tensor, "n 4"], grid: int) -> Float32[Tensor, "n g g 2"]:
    """The centres of grid x grid equal parts of each box, as (x, y)."""
    steps = (torch.arange(grid, device=boxes.device, dtype=boxes.dtype) + 0.5) / grid
    x1, y1, x2, y2 = (edge[:, None, None] for edge in boxes.unbind(-1))
    x = x1 + (x2 - x1) * steps[None, None, :]
    y = y1 + (y2 - y1) * steps[None, :, None]
    return torch.stack((x.expand(-1, grid, -1), y.expand(-1, -1, grid)), dim=-1)


def read_prototypes(
    prototypes: Float32[Tensor, "b m h w"], points: Float32[Tensor, "b q g f 2"], *, stride: int = 4
) -> Float32[Tensor, "b q m g f"]:
    """The prototypes at points given in pixels of their image, read bilinearly."""
    batch, count, height, width = points.shape[:4]
    extent = points.new_tensor((prototypes.shape[3] * stride, prototypes.shape[2] * stride))
    where = (points / extent * 2 - 1).reshape(batch, count * height, width, 2)
    values = functional.grid_sample(prototypes, where, padding_mode="border", align_corners=False)
    return values.reshape(batch, -1, count, height, width).transpose(1, 2)


def read_masks(
    prototypes: Float32[Tensor, "m h w"], coefficients: Float32[Tensor, "n m"], points: Float32[Tensor, "n g f 2"]
) -> Float32[Tensor, "n g f"]:
    """Mask logits of one image's boxes at points given in its pixels."""
    return torch.einsum("nm,nmij->nij", coefficients, read_prototypes(prototypes[None], points[None])[0])
