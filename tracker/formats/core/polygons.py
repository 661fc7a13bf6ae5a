"""Between run lengths and outlines: some formats hold the one, some the other."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from tracker.formats.core.annotations import Polygons, Segmentation
from tracker.formats.core.fill import fill_outlines
from tracker.formats.core.rle import Window, rle_to_window

__all__ = ["to_outlines", "to_window"]


def to_window(segmentation: Segmentation, *, width: int, height: int) -> tuple[Window, Bool[ndarray, "h w"]]:
    """The smallest window around a segmentation and the covered pixels in it."""
    if isinstance(segmentation, str):
        return rle_to_window({"size": [height, width], "counts": segmentation})
    corners = [np.array(outline).reshape(-1, 2) for outline in segmentation]
    every = np.concatenate(corners)
    left, top = np.clip(np.floor(every.min(axis=0)), 0, [width, height]).astype(int).tolist()
    right, bottom = np.clip(np.ceil(every.max(axis=0)), 0, [width, height]).astype(int).tolist()
    if right <= left or bottom <= top:
        return (slice(0, 0), slice(0, 0)), np.empty((0, 0), bool)
    inner = [outline - [left, top] for outline in corners]
    covered = fill_outlines(inner, width=right - left, height=bottom - top)
    return (slice(top, bottom), slice(left, right)), covered


def to_outlines(segmentation: Segmentation, *, width: int, height: int) -> Polygons:
    """The outlines of a segmentation, holes as outlines of their own, to half a pixel.

    Outlines run through pixel edges, so that filling them gives the mask back within the width of the line.
    """
    if not isinstance(segmentation, str):
        return segmentation
    (down, across), covered = rle_to_window({"size": [height, width], "counts": segmentation})
    if covered.size == 0:
        return ()
    # at twice the size an outline through pixel centres runs along the original pixels' edges, half a pixel inside
    doubled = cv2.resize(covered.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    found, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outlines = []
    for outline in found:
        points = outline[:, 0] / 2 + [across.start + 0.25, down.start + 0.25]
        if len(points) >= 3:
            outlines.append(tuple(points.ravel().tolist()))
    return tuple(outlines)
