"""Which pixels an outline covers: those whose centre it goes around an odd number of times.

OpenCV's fillPoly draws the outline as well and so grows every object by half a pixel all around.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

__all__ = ["fill_outlines"]


def fill_outlines(outlines: Iterable[Float64[ndarray, "p 2"]], *, width: int, height: int) -> Bool[ndarray, "h w"]:
    """The covered pixels of an image; corners are in continuous edges, and may lie outside it.

    Where an outline runs through a centre, the pixel belongs to what is right of it and below.
    """
    crossings = np.zeros(height * (width + 1), np.uint8)
    for outline in outlines:
        x1, y1 = np.asarray(outline, np.float64).T
        x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
        first = np.clip(np.ceil(np.minimum(y1, y2) - 0.5), 0, height).astype(np.int64)
        last = np.clip(np.ceil(np.maximum(y1, y2) - 0.5), 0, height).astype(np.int64)
        counts = last - first
        edge = np.repeat(np.arange(len(counts)), counts)
        row = np.arange(len(edge)) + np.repeat(first - np.cumsum(counts) + counts, counts)
        at = x1[edge] + (row + 0.5 - y1[edge]) * (x2[edge] - x1[edge]) / (y2[edge] - y1[edge])
        column = np.clip(np.ceil(at - 0.5), 0, width).astype(np.int64)
        crossings ^= (np.bincount(row * (width + 1) + column, minlength=len(crossings)) & 1).astype(np.uint8)
    inside = np.bitwise_xor.accumulate(crossings.reshape(height, width + 1), axis=1)[:, :width]
    return np.ascontiguousarray(inside.view(bool))
