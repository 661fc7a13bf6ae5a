"""Between run lengths and outlines: some formats hold the one, some the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Int32
from numpy import ndarray

from tracker.formats.core.content import Polygons, Segmentation
from tracker.formats.core.decimals import tidy
from tracker.formats.core.fill import fill_outlines
from tracker.formats.core.rle import Window, rle_to_window

__all__ = ["around", "box_outline", "is_box", "joined", "to_outlines", "to_window", "turned_box"]

TOLERANCE = 0.5
"""Pixels between a mask's edge and the outline drawn for it."""


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
    """The outlines of a segmentation, holes as outlines of their own; those of a mask are true to TOLERANCE.

    They run between the pixels' centres, through the middles of their edges where these are stairs, so that they
    enclose the mask's area. A part so small that this would change its area by a tenth keeps every corner.
    """
    if not isinstance(segmentation, str):
        return segmentation
    (down, across), covered = rle_to_window({"size": [height, width], "counts": segmentation})
    if covered.size == 0:
        return ()
    # at twice the size an outline through pixel centres never meets itself, and half of it, rounded up, is the edge
    doubled = cv2.resize(covered.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    found, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    corner = np.array([across.start, down.start])
    return tuple(tuple((_simplified((outline[:, 0] + 1) // 2) + corner).ravel().tolist()) for outline in found)


def _simplified(corners: Int32[ndarray, "n 2"]) -> ndarray:
    """An outline along pixel edges with as few points as TOLERANCE allows."""
    corners = corners[(corners != np.roll(corners, 1, axis=0)).any(axis=1)]
    steps = np.roll(corners, -1, axis=0) - corners
    half = np.sign(steps) / 2
    middles = np.stack([corners + half, corners + steps - half], axis=1).reshape(-1, 2).astype(np.float32)
    simple = cv2.approxPolyDP(middles, TOLERANCE, closed=True)[:, 0]
    exact = cv2.contourArea(corners.astype(np.float32))
    if len(simple) < 3 or abs(cv2.contourArea(simple) - exact) > exact / 10:
        return corners.astype(np.float64)
    return simple.astype(np.float64)


def joined(outlines: Polygons) -> tuple[float, ...]:
    """Several outlines as one that goes to each and back on the same way, which encloses no area of its own."""
    first, *others = sorted((np.array(outline).reshape(-1, 2) for outline in outlines), key=len, reverse=True)
    line = first
    while others:
        ways = [_shortest_way(line, outline) for outline in others]
        number = min(range(len(ways)), key=lambda number: ways[number][0])
        _, start, end = ways[number]
        detour = np.roll(others.pop(number), -end, axis=0)
        line = np.concatenate([line[: start + 1], detour, detour[:1], line[start:]])
    points: list[float] = line.ravel().tolist()
    return tuple(points)


def _shortest_way(line: ndarray, outline: ndarray) -> tuple[float, int, int]:
    """The squared distance of the two nearest corners, and their numbers."""
    distances = ((line[:, None] - outline[None]) ** 2).sum(axis=2)
    start, end = divmod(int(distances.argmin()), len(outline))
    return float(distances[start, end]), start, end


def box_outline(box: Sequence[float]) -> tuple[float, ...]:
    """The corners of a box, clockwise from the top left: what stands for an object without a mask among outlines."""
    x1, y1, x2, y2 = box
    return (x1, y1, x2, y1, x2, y2, x1, y2)


def is_box(outlines: Polygons, box: Sequence[float], *, within: float = 1e-3) -> bool:
    """Whether the outlines tell no more than that box, as `box_outline` writes it; pixels of difference allowed."""
    if len(outlines) != 1 or len(outlines[0]) != 8:
        return False
    return all(abs(a - b) <= within for a, b in zip(outlines[0], box_outline(box), strict=True))


def turned_box(box: tuple[float, float, float, float], degrees: float) -> tuple[float, ...]:
    """The outline of a box turned clockwise about its centre."""
    x1, y1, x2, y2 = box
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    outline: list[float] = []
    for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2)):
        across, down = x - centre_x, y - centre_y
        outline += [tidy(centre_x + across * cosine - down * sine), tidy(centre_y + across * sine + down * cosine)]
    return tuple(outline)


def around(points: Sequence[float]) -> tuple[float, float, float, float]:
    """The upright box around an outline."""
    return min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])
