"""Small objects found by looking through overlapping windows, besides the whole image.

Slicing aided inference (Akyon et al., "Slicing aided hyper inference and fine-tuning for small object detection",
2022). Where we differ: what an inner border of a window cuts is told from what is whole. A whole object stands against
its cut pieces, whatever their scores; pieces of one object that nobody saw whole become one, box and mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray

from tracker.detect.further_classes import LARGEST, ONE_OBJECT_IOU, weigh_contradicted
from tracker.detect.windows import detect_at_size, move
from tracker.errors import ConfigError
from tracker.geometry import area, nms
from tracker.protocols import Detector, Scalable
from tracker.types import Detections, Image

__all__ = ["TiledDetector", "Window", "join_windows", "windows_of"]

OVERLAP = 0.2
"""Share of a window's side that the next one covers too."""
SMALLEST = 32
"""Pixels of the image that a window measures at least."""
MAGNIFIED = 3.0
"""Network pixels per image pixel that `auto` aims at: someone of 12 pixels is seen with 36."""
MOST = 96
"""Windows that `auto` makes of one image at most."""
LARGER = 1.1
"""By which windows grow until they are few enough."""
AT_ONCE = 8
"""Windows given to the network together."""
SAME = 0.5
"""IoU from which two whole boxes of one class are one object."""
PIECE = 0.6
"""Share of a cut box that lies in a whole one whose piece it then is."""
TOUCHING = 0.3
"""Share of the smaller of two cut boxes that lies in the other, for them to be one object."""
RIM = 0.01
"""Share of a window's side within which a box counts as cut by the border."""


class Window(NamedTuple):
    """A part of an image, in whole pixels."""

    left: int
    top: int
    right: int
    bottom: int


def windows_of(width: int, height: int, grid: tuple[int, int] | None, *, imgsz: int) -> list[Window]:
    """Rows x columns of windows of a width x height image, row by row; none where the image alone is enough.

    Without a grid, as many as let an image pixel be two of a network whose input has `imgsz`. Raises ConfigError where
    they would be too small.
    """
    if grid is None:
        side = imgsz / MAGNIFIED
        while (found := tuple(max(1, round(_count(length, side))) for length in (height, width))) and (
            found[0] * found[1] > MOST
        ):
            side *= LARGER
        rows, columns = found
    else:
        rows, columns = grid
    if rows * columns == 1:
        return []
    tall, wide = _side(height, rows), _side(width, columns)
    if grid is not None and min(tall, wide) < SMALLEST:
        most = "x".join(str(max(1, int(_count(length, SMALLEST)))) for length in (height, width))
        raise ConfigError(
            f"--tiles {rows}x{columns}: windows of {wide:.0f} x {tall:.0f} pixels in an image of {width} x {height}; "
            f"give rows x columns up to {most}, or auto"
        )
    across = _spans(width, columns)
    return [Window(left, top, right, bottom) for top, bottom in _spans(height, rows) for left, right in across]


def _side(length: int, count: int) -> float:
    """How long windows are of which `count` cover a length, each with its overlap."""
    return length / (count - (count - 1) * OVERLAP)


def _count(length: int, side: float) -> float:
    """How many windows of that side cover a length."""
    return (length / side - OVERLAP) / (1 - OVERLAP)


def _spans(length: int, count: int) -> list[tuple[int, int]]:
    side = _side(length, count)
    starts = [place * (length - side) / max(1, count - 1) for place in range(count)]
    return [(int(start), min(length, int(np.ceil(start + side)))) for start in starts]


class TiledDetector:
    """A detector that looks through windows of each image too; at most `max_det` objects of each are given.

    `further` is the score from which objects are given under further classes too.
    """

    def __init__(
        self, detector: Detector, grid: tuple[int, int] | None, *, imgsz: int, max_det: int, further: float = 1.0
    ) -> None:
        self.labels, self.conf, self.engine = detector.labels, detector.conf, detector.engine
        self.imgsz = detector.imgsz if isinstance(detector, Scalable) else 0
        self._imgsz = self.imgsz or imgsz
        self._detector = detector
        self._grid = grid
        self._max_det = max_det
        self._further = further

    def detect(self, images: Sequence[Image], *, imgsz: int | None = None) -> list[Detections]:
        """What the whole image and its windows show, best score first."""
        return [self._detect_one(image, imgsz or self._imgsz) for image in images]

    def _detect_one(self, image: Image, imgsz: int) -> Detections:
        height, width = image.shape[:2]
        windows = windows_of(width, height, self._grid, imgsz=imgsz)
        [whole] = detect_at_size(self._detector, [image], imgsz)
        found, cut = [whole], [np.zeros(len(whole), bool)]
        for start in range(0, len(windows), AT_ONCE):
            some = windows[start : start + AT_ONCE]
            parts = [np.ascontiguousarray(image[top:bottom, left:right]) for left, top, right, bottom in some]
            for window, part in zip(some, detect_at_size(self._detector, parts, imgsz), strict=True):
                moved = move(part, window.left, window.top)
                found.append(moved)
                cut.append(is_cut(moved.boxes, window, width, height))
        if not windows:
            return whole
        joined = join_windows(found, cut, further=self._further)
        return joined[np.arange(min(len(joined), self._max_det))]


def is_cut(boxes: Float32[ndarray, "n 4"], window: Window, width: int, height: int) -> Bool[ndarray, " n"]:
    """Which boxes end at a border of the window that is none of the image."""
    left, top, right, bottom = window
    rim_x, rim_y = max(1.0, RIM * (right - left)), max(1.0, RIM * (bottom - top))
    x1, y1, x2, y2 = boxes.T
    cut = (left > 0) & (x1 <= left + rim_x)
    cut |= (top > 0) & (y1 <= top + rim_y)
    cut |= (right < width) & (x2 >= right - rim_x)
    result: ndarray = cut | ((bottom < height) & (y2 >= bottom - rim_y))
    return result


def join_windows(
    found: Sequence[Detections], cut: Sequence[Bool[ndarray, " n"]], *, further: float = 1.0
) -> Detections:
    """One detection per object of those of several windows, in pixels of the image, best score first.

    From the score `further` on, an object is given under other classes too.

    The second window has whole what the first one cuts off, so the piece goes, surer as it is. Where both cut it, the
    pieces become one box with the better of their scores.

    >>> person = np.zeros(1, np.int32)
    >>> piece = Detections(np.array([[80, 10, 100, 40]], np.float32), np.array([0.75], np.float32), person)
    >>> other = Detections(np.array([[70, 10, 120, 40]], np.float32), np.array([0.5], np.float32), person)
    >>> for other_is_cut in (False, True):
    ...     joined = join_windows([piece, other], [np.array([True]), np.array([other_is_cut])])
    ...     print(joined.boxes.tolist(), joined.scores.tolist())
    [[70.0, 10.0, 120.0, 40.0]] [0.5]
    [[70.0, 10.0, 120.0, 40.0]] [0.75]
    """
    every, torn = _concatenate(found), np.concatenate(list(cut))
    whole = every[~torn]
    whole = whole[nms(whole.boxes, whole.scores, whole.class_ids, threshold=SAME)]
    if further < LARGEST:
        rows, scores = weigh_contradicted(whole.boxes, whole.scores, least=further)
        whole = replace(whole[rows], scores=scores)
    else:
        whole = whole[nms(whole.boxes, whole.scores, threshold=ONE_OBJECT_IOU)]
    pieces = every[torn]
    pieces = pieces[np.argsort(-pieces.scores, kind="stable")]
    same = pieces.class_ids[:, None] == whole.class_ids[None]
    known = ((_shared(pieces.boxes, whole.boxes) > PIECE * area(pieces.boxes)[:, None]) & same).any(axis=1)
    result = _concatenate([whole, _join_pieces(pieces[~known])])
    return result[np.argsort(-result.scores, kind="stable")]


def _join_pieces(pieces: Detections) -> Detections:
    """Boxes of one class that lie in each other become one, with the best of their scores and what covers any."""
    smaller = np.minimum(area(pieces.boxes)[:, None], area(pieces.boxes)[None])
    linked = _shared(pieces.boxes, pieces.boxes) > TOUCHING * smaller
    linked &= pieces.class_ids[:, None] == pieces.class_ids[None]
    boxes, masks = pieces.boxes.copy(), None if pieces.masks is None else pieces.masks.copy()
    kept, free = [], np.ones(len(pieces), bool)
    for row in range(len(pieces)):
        if not free[row]:
            continue
        members = np.flatnonzero(linked[row] & free)
        free[members] = False
        kept.append(row)
        if len(members) > 1:
            own = pieces.boxes[members]
            boxes[row] = np.concatenate((own[:, :2].min(axis=0), own[:, 2:].max(axis=0)))
            if masks is not None and pieces.masks is not None:
                stretched = [_restretch(pieces.masks[one], pieces.boxes[one], boxes[row]) for one in members]
                masks[row] = np.max(stretched, axis=0)
    return replace(pieces, boxes=boxes, masks=masks)[np.array(kept, np.int64)]


def _restretch(mask: UInt8[ndarray, "m m"], source: ndarray, target: ndarray) -> UInt8[ndarray, "m m"]:
    """A mask stretched over one box as it lies in another box; 0 outside the first."""
    side = mask.shape[0]
    scale = (target[2:] - target[:2]) / np.maximum(source[2:] - source[:2], 1e-3)
    shift = (target[:2] - source[:2]) / np.maximum(source[2:] - source[:2], 1e-3) * side + 0.5 * scale - 0.5
    way = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]], np.float64)
    return cv2.warpAffine(mask, way, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP).astype(np.uint8)


def _concatenate(found: Sequence[Detections]) -> Detections:
    """All rows; masks at the finest of their resolutions."""
    masks = embeddings = None
    rows = [own for own in found if len(own)]
    if not rows:
        return found[0]
    if all(own.masks is not None for own in rows):
        side = max(own.masks.shape[1] for own in rows if own.masks is not None)
        masks = np.concatenate([_resized(own.masks, side) for own in rows if own.masks is not None])
    if all(own.embeddings is not None for own in rows):
        embeddings = np.concatenate([own.embeddings for own in rows if own.embeddings is not None])
    return Detections(
        np.concatenate([own.boxes for own in rows]),
        np.concatenate([own.scores for own in rows]),
        np.concatenate([own.class_ids for own in rows]),
        masks,
        embeddings,
    )


def _resized(masks: UInt8[ndarray, "n m m"], side: int) -> UInt8[ndarray, "n k k"]:
    if masks.shape[1] == side:
        return masks
    return np.stack([cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR) for mask in masks])


def _shared(a: Float32[ndarray, "n 4"], b: Float32[ndarray, "m 4"]) -> Float32[ndarray, "n m"]:
    """Areas of intersection."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared: ndarray = np.maximum(high - low, 0).prod(axis=2)
    return shared
