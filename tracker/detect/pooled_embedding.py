"""What objects look like, read off the detector's own feature map: no second network.

Measured on vtest.avi, where the same people are seen again 1 and 5 seconds later: the backbone's map at stride 4 tells
them apart better than any deeper one, down to the heads, which were trained to see all people alike. Channels
standardised over the image and stripes from top to bottom, as people differ by what they wear where, do the rest.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

__all__ = ["describe"]

FAR = 1e6
"""Pixels from the canvas beyond which a box is not followed."""
STRIPES = 4
ROWS, COLUMNS = 2, 4
"""Points read in each stripe."""
SAMPLED = 4
"""Mean and deviation of a channel are those of every fourth cell in every fourth row."""
FLAT = 1e-6
"""A channel that varies less than this over the image says nothing."""


def describe(
    features: Float32[ndarray, "c fh fw"], boxes: Float32[ndarray, "n 4"], *, width: int, height: int
) -> Float32[ndarray, "n d"]:
    """A unit vector for each box, given in pixels of a canvas of `width` x `height`: the c channels of each stripe.

    The vector is 0, which is like nothing at all, where the image shows nothing but one colour.
    """
    channels, rows, columns = features.shape
    sampled = features[:, ::SAMPLED, ::SAMPLED].reshape(channels, -1).astype(np.float64)
    mean, deviation = sampled.mean(axis=1), sampled.std(axis=1)
    spread = np.where(deviation > FLAT, deviation, np.inf)
    cells_per_pixel = np.array([columns / width, rows / height] * 2, np.float32)
    x1, y1, x2, y2 = (np.clip(np.nan_to_num(boxes), -FAR, FAR) * cells_per_pixel).T
    across = x1[:, None] + (x2 - x1)[:, None] * _centres(COLUMNS)
    down = y1[:, None] + (y2 - y1)[:, None] * _centres(STRIPES * ROWS)
    column, share_x = _between(np.repeat(across, STRIPES, axis=0), columns)
    row, share_y = _between(down.reshape(-1, ROWS), rows)
    cells = row[:, :, None] * columns + column[:, None]
    shares = share_y[:, :, None] * share_x[:, None] / np.float32(ROWS * COLUMNS)
    values = features.reshape(channels, -1).take(cells, axis=1)
    means = np.einsum("csyx,syx->sc", values, shares).reshape(len(boxes), STRIPES, channels)
    standard = ((means - mean) / spread).reshape(len(boxes), STRIPES * channels)
    length = np.linalg.norm(standard, axis=1, keepdims=True)
    vectors: ndarray = np.divide(standard, length, out=np.zeros_like(standard), where=length > FLAT)
    return vectors.astype(np.float32)


def _centres(count: int) -> Float32[ndarray, " k"]:
    """The centres of equal parts of 0..1."""
    return ((np.arange(count) + 0.5) / count).astype(np.float32)


def _between(positions: Float32[ndarray, "n k"], cells: int) -> tuple[Int64[ndarray, "n j"], Float32[ndarray, "n j"]]:
    """The cells on both sides of each position, whose centres lie at halves, and the share of each.

    First those before the k positions, then those after: j = 2 k.
    """
    inside = np.clip(positions - np.float32(0.5), 0, cells - 1)
    floor = np.floor(inside)
    first, share = floor.astype(np.int64), inside - floor
    return np.hstack([first, np.minimum(first + 1, cells - 1)]), np.hstack([1 - share, share])
