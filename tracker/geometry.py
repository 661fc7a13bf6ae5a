"""Boxes and the maps between images: overlap, non-maximum suppression, letterbox both ways, masks in boxes.

Boxes are xyxy with continuous edges. Everything here is plain numpy / OpenCV and free of state.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from numpy import ndarray

__all__ = [
    "Letterbox",
    "area",
    "average_blocks",
    "clip",
    "cxcywh_to_xyxy",
    "iou",
    "is_valid",
    "nms",
    "paste_mask",
    "xyxy_to_cxcywh",
    "xyxy_to_xywh",
]

Boxes = Float[ndarray, "n 4"]

NMS_BLOCK = 32
"""Boxes compared at once with all that are worse: few enough to see most duplicates go before they are compared."""


def area(boxes: Boxes) -> Float[ndarray, " n"]:
    """Area of each box in square pixels, 0 for an inverted one."""
    x1, y1, x2, y2 = boxes.T
    areas: ndarray = np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0)
    return areas


def iou(a: Float[ndarray, "n 4"], b: Float[ndarray, "m 4"]) -> Float[ndarray, "n m"]:
    """Intersection over union of every box in `a` with every box in `b`; 0 where both are empty.

    Two squares of side 2 that share a quarter: 1 / (4 + 4 - 1).

    >>> iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3], [0, 0, 2, 2], [5, 5, 6, 6]])).round(3).tolist()
    [[0.143, 1.0, 0.0]]
    """
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    width, height = np.moveaxis(np.maximum(bottom_right - top_left, 0), -1, 0)
    intersection = width * height
    union = area(a)[:, None] + area(b)[None, :] - intersection
    overlap: ndarray = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return overlap


def is_valid(boxes: Boxes, scores: Float[ndarray, " n"]) -> Bool[ndarray, " n"]:
    """Which rows a tracker can use: finite, wider and taller than nothing, with a score of 0 to 1."""
    x1, y1, x2, y2 = boxes.T
    with np.errstate(invalid="ignore", over="ignore"):
        width, height = x2 - x1, y2 - y1
        usable = np.isfinite(width) & np.isfinite(height) & (width > 0) & (height > 0)
        result: ndarray = usable & np.isfinite(boxes).all(axis=1) & (scores >= 0) & (scores <= 1)
    return result


def clip(boxes: Boxes, width: float, height: float) -> Boxes:
    """The part of each box inside a width x height image."""
    limits = np.array([width, height, width, height], boxes.dtype)
    clipped: ndarray = np.clip(boxes, 0, limits)
    return clipped


def nms(
    boxes: Float[ndarray, "n 4"], scores: Float[ndarray, " n"], class_ids: ndarray | None = None, *, threshold: float
) -> Int64[ndarray, " k"]:
    """Rows that greedy non-maximum suppression keeps, best score first.

    A box is dropped when its overlap with a better kept box of the same class exceeds `threshold`; without
    `class_ids` every box competes with every other. Equal scores keep their order. The answer is, to the last bit,
    that of torchvision.ops.batched_nms on a CPU. `nets.suppress.nms` is the same for tensors on any device.

    The second box overlaps the first, which is better, with IoU 0.8; the third lies apart.

    >>> boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 8], [20, 0, 30, 10]])
    >>> nms(boxes, np.array([0.9, 0.8, 0.95]), threshold=0.5).tolist()
    [2, 0]
    >>> nms(boxes, np.array([0.9, 0.8, 0.95]), np.array([0, 1, 0]), threshold=0.5).tolist()  # of another class
    [2, 0, 1]
    """
    order = np.argsort(-scores, kind="stable")
    x1, y1, x2, y2 = np.ascontiguousarray(np.asarray(boxes, np.float32)[order].T)
    areas = (x2 - x1) * (y2 - y1)
    groups = None if class_ids is None else np.asarray(class_ids)[order]
    kept = []
    waiting = np.arange(len(order))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        while len(waiting):
            block = waiting[:NMS_BLOCK, None]
            width = np.minimum(x2[block], x2[waiting]) - np.maximum(x1[block], x1[waiting])
            height = np.minimum(y2[block], y2[waiting]) - np.maximum(y1[block], y1[waiting])
            intersection = np.maximum(width, 0) * np.maximum(height, 0)
            overlap = intersection / (areas[block] + areas[waiting] - intersection)
            covers = np.triu(overlap.astype(np.float64) > threshold, 1)
            if groups is not None:
                covers &= groups[block] == groups[waiting]
            alive = np.ones(len(waiting), bool)
            for row in np.flatnonzero(covers.any(axis=1)).tolist():
                if alive[row]:
                    alive &= ~covers[row]
            decided = len(block)
            kept.append(waiting[:decided][alive[:decided]])
            waiting = waiting[decided:][alive[decided:]]
    rows: ndarray = order[np.concatenate([np.empty(0, np.int64), *kept])].astype(np.int64)
    return rows


def xyxy_to_xywh(boxes: Boxes) -> Boxes:
    """Left, top, width, height."""
    x1, y1, x2, y2 = boxes.T
    return np.stack([x1, y1, x2 - x1, y2 - y1], axis=1)


def xyxy_to_cxcywh(boxes: Boxes) -> Boxes:
    """Centre, width, height."""
    x1, y1, x2, y2 = boxes.T
    return np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1)


def cxcywh_to_xyxy(boxes: Boxes) -> Boxes:
    """Corners of boxes given by centre, width, height."""
    cx, cy, width, height = boxes.T
    return np.stack([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2], axis=1)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """An image fitted into another size with its aspect kept, and the way back.

    The image is scaled by `scale` and placed at (`left`, `top`) of a `width` x `height` canvas.
    """

    scale: float
    left: int
    top: int
    inner_width: int
    inner_height: int
    width: int
    height: int

    @classmethod
    def fit(cls, image_width: int, image_height: int, size: int, *, multiple: int = 32) -> Letterbox:
        """The smallest rectangle of multiples of `multiple` around the image scaled so its longest side is `size`."""
        scale = size / max(image_width, image_height)
        inner_width, inner_height = max(1, round(image_width * scale)), max(1, round(image_height * scale))
        width, height = (-(-side // multiple) * multiple for side in (inner_width, inner_height))
        return cls._centred(scale, inner_width, inner_height, width, height)

    @classmethod
    def inside(cls, image_width: int, image_height: int, *, width: int, height: int) -> Letterbox:
        """The image as large as it fits into exactly width x height, centred."""
        scale = min(width / image_width, height / image_height)
        inner_width = min(width, max(1, round(image_width * scale)))
        inner_height = min(height, max(1, round(image_height * scale)))
        return cls._centred(scale, inner_width, inner_height, width, height)

    @classmethod
    def _centred(cls, scale: float, inner_width: int, inner_height: int, width: int, height: int) -> Letterbox:
        left, top = (width - inner_width) // 2, (height - inner_height) // 2
        return cls(scale, left, top, inner_width, inner_height, width, height)

    def apply(self, image: UInt8[ndarray, "h w 3"], *, fill: int = 114) -> UInt8[ndarray, "height width 3"]:
        """The canvas with the scaled image on it, `fill` around it."""
        canvas = np.empty((self.height, self.width, 3), np.uint8)
        bottom, right = self.top + self.inner_height, self.left + self.inner_width
        canvas[: self.top] = canvas[bottom:] = fill
        canvas[self.top : bottom, : self.left] = canvas[self.top : bottom, right:] = fill
        canvas[self.top : bottom, self.left : right] = self._resize(image)
        return canvas

    def _resize(self, image: UInt8[ndarray, "h w 3"]) -> UInt8[ndarray, "inner_height inner_width 3"]:
        height, width = image.shape[:2]
        size = (self.inner_width, self.inner_height)
        if (width, height) == size:
            return image
        factor = int(min(width / self.inner_width, height / self.inner_height))
        if factor < 2:
            return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        # Averaging whole blocks is several times faster than averaging over fractions of pixels; what is left, less
        # than a factor of two, is read between the averages.
        averages = average_blocks(image, factor)
        rows, columns = averages.shape[:2]
        if (columns, rows) == size and (columns * factor, rows * factor) == (width, height):
            return averages
        step_x, step_y = width / self.inner_width / factor, height / self.inner_height / factor
        from_averages = np.array([[step_x, 0, step_x / 2 - 0.5], [0, step_y, step_y / 2 - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(averages, from_averages, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def to_canvas(self, boxes: Boxes) -> Boxes:
        """Boxes of the image in canvas pixels."""
        shift = np.array([self.left, self.top, self.left, self.top], np.float32)
        return (boxes * np.float32(self.scale) + shift).astype(np.float32)

    def to_image(self, boxes: Boxes) -> Boxes:
        """Boxes of the canvas in pixels of the image; not clipped."""
        shift = np.array([self.left, self.top, self.left, self.top], np.float32)
        return ((boxes - shift) / np.float32(self.scale)).astype(np.float32)


def average_blocks(image: UInt8[ndarray, "h w 3"], factor: int) -> UInt8[ndarray, "rows columns 3"]:
    """The mean of each whole factor x factor block, rounded; what is left over right and below goes unread.

    OpenCV averages blocks of two by vector instructions, larger ones pixel by pixel: so an even factor halves first,
    and for an odd one the blocks are read off a running mean (1080p to 640 x 360 in half the time).
    """
    while factor % 2 == 0:
        rows, columns = image.shape[0] // 2, image.shape[1] // 2
        image = cv2.resize(image[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA)
        factor //= 2
    if factor == 1:
        return image
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    means = cv2.blur(image[: rows * factor, : columns * factor], (factor, factor), anchor=(0, 0))
    return cv2.resize(means, (columns, rows), interpolation=cv2.INTER_NEAREST)


def paste_mask(
    mask: UInt8[ndarray, "m m"], box: Float32[ndarray, " 4"], width: int, height: int, *, threshold: int = 127
) -> tuple[tuple[slice, slice], Bool[ndarray, "bh bw"]]:
    """Where a box mask lies in a width x height image: the window (rows, columns) and the covered pixels in it.

    A pixel is covered when the coverage, sampled at its centre between mask cells, exceeds `threshold` of 255.
    The work is done inside the box only; a box outside the image gives an empty window.
    """
    x1, y1, x2, y2 = (float(edge) for edge in box)
    left, top = max(0, int(np.floor(x1))), max(0, int(np.floor(y1)))
    right, bottom = min(width, int(np.ceil(x2))), min(height, int(np.ceil(y2)))
    if right <= left or bottom <= top or x2 <= x1 or y2 <= y1:
        return (slice(0, 0), slice(0, 0)), np.empty((0, 0), bool)
    coverage = sample_mask(mask, (x1, y1, x2, y2), (left, top, right, bottom))
    return (slice(top, bottom), slice(left, right)), coverage > threshold


def sample_mask(
    mask: UInt8[ndarray, "m m"], box: tuple[float, float, float, float], window: tuple[int, int, int, int]
) -> UInt8[ndarray, "h w"]:
    """The coverage of a box mask at the centre of each pixel of a window (x1, y1, x2, y2), between mask cells.

    Beyond the box the mask's edge goes on.
    """
    (x1, y1, x2, y2), (left, top, right, bottom) = box, window
    rows, columns = mask.shape
    step_x, step_y = columns / (x2 - x1), rows / (y2 - y1)
    from_window = np.array(
        [
            [step_x, 0, (left + 0.5 - x1) * step_x - 0.5],
            [0, step_y, (top + 0.5 - y1) * step_y - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (right - left, bottom - top)
    return cv2.warpAffine(mask, from_window, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
