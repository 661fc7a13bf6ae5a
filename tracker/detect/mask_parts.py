"""Masks in one piece: specks beside an object go, pinholes inside it close.

A linear combination of prototypes (YOLACT, Bolya et al., 2019) has no notion of one object: where prototypes of
neighbours or of the ground add up, islands lie beside the object and holes in it. Area opening and closing of the
binary mask (Vincent, "Morphological area openings and closings", 1993), relative to the object's own size.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

__all__ = ["without_specks_and_holes"]

COVERED = 127
"""Coverage above which a cell belongs to the object."""
SPECK = 0.2
"""Share of the largest part's area under which another part is none of the object."""
HOLE = 0.05
"""Share of the object's area under which a hole is none."""


def without_specks_and_holes(masks: UInt8[ndarray, "n m m"]) -> UInt8[ndarray, "n m m"]:
    """The coverages with parts of under a fifth of the largest at 0, and enclosed holes of under a twentieth at 255.

    Parts touch by corners too, holes do not; a gap at the border of the mask is no hole.

    A ring of 24 cells around a hole of one, and a part of one beside it.

    >>> mask = np.zeros((1, 9, 9), np.uint8)
    >>> mask[0, 1:6, 1:6], mask[0, 3, 3], mask[0, 7, 8] = 255, 0, 255
    >>> int((without_specks_and_holes(mask) > 0).sum())
    25
    """
    count, side = masks.shape[:2]
    if not count:
        return masks
    # one below the other, a row between them, so that all are labelled by one call
    covered = np.zeros((count, side + 1, side), bool)
    covered[:, :side] = masks > COVERED
    parts, owners, areas = _label(covered, connectivity=8)
    largest = np.zeros(count)
    np.maximum.at(largest, owners[1:], areas[1:])
    specks = areas < SPECK * largest[owners]
    specks[0] = False
    of_specks = specks[parts]
    covered &= ~of_specks
    gaps_between = ~covered
    gaps_between[:, side] = False
    gaps, owners, areas = _label(gaps_between, connectivity=4)
    holes = areas < HOLE * covered.sum(axis=(1, 2))[owners]
    holes[0] = False
    for border in (gaps[:, 0], gaps[:, side - 1], gaps[:, :, 0], gaps[:, :, -1]):
        holes[border] = False
    cleaned = np.where(of_specks[:, :side], np.uint8(0), masks)
    cleaned[holes[gaps[:, :side]]] = 255
    return cleaned


def _label(cells: Bool[ndarray, "n r m"], *, connectivity: int) -> tuple[ndarray, ndarray, ndarray]:
    """(number of each cell's component, 0 outside; per number whose mask it is in; its area)."""
    count, rows, side = cells.shape
    strip = cells.reshape(count * rows, side).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(strip, connectivity=connectivity)
    return labels.reshape(cells.shape), stats[:, cv2.CC_STAT_TOP] // rows, stats[:, cv2.CC_STAT_AREA]
