"""Detection inside a polygon alone, on the part of the image around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from tracker.detect.shared_detector import SharedDetector
from tracker.detect.windows import detect_at_size, move, size_of_part
from tracker.errors import ConfigError
from tracker.protocols import Detector
from tracker.types import Detections, Image

__all__ = ["RegionDetector"]

MARGIN = 0.2
"""Share of the region's longer side that is seen around it, for objects on its border to be seen whole."""
SMALLEST = 96
"""Pixels of the network's input at least."""


class RegionDetector:
    """A detector that sees the part of an image around a polygon and gives the objects whose box's centre is inside.

    The part is seen at the scale at which the whole image would be, so that a small region costs little; a detector
    that takes one input size only sees it enlarged. Raises ConfigError for an image that has nothing of the polygon.
    """

    def __init__(self, detector: Detector, polygon: Sequence[tuple[float, float]]) -> None:
        self.labels, self.conf, self.engine = detector.labels, detector.conf, detector.engine
        self._detector = detector
        self._corners = np.array(polygon, np.float32)
        self._outline = self._corners.reshape(-1, 1, 2)
        self._latest_imgsz: int | None = None

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """What is inside the polygon, in pixels of the whole images."""
        found: list[Detections] = []
        for image in images:
            part, imgsz, left, top = self._part(image)
            [own] = detect_at_size(self._detector, [part], imgsz)
            found.append(self._inside(move(own, left, top)))
            self._latest_imgsz = imgsz
        return found

    def detect_newest(self, take: Callable[[], Image]) -> Detections:
        """The same of the image that `take` gives, which is called late where the detector is shared.

        The input's size has to be settled before: it is that of the image before, since a camera's stay as they are.
        """
        if not isinstance(self._detector, SharedDetector) or self._latest_imgsz is None:
            return self.detect([take()])[0]
        left, top = 0, 0

        def take_part() -> Image:
            nonlocal left, top
            part, self._latest_imgsz, left, top = self._part(take())
            return part

        own = self._detector.detect_newest(take_part, imgsz=self._latest_imgsz)
        return self._inside(move(own, left, top))

    def _part(self, image: Image) -> tuple[Image, int | None, int, int]:
        """What is seen of an image, the input's size for it, and where its corner lies."""
        height, width = image.shape[:2]
        left, top, right, bottom = self.window(width, height)
        fraction = max(right - left, bottom - top) / max(width, height)
        imgsz = size_of_part(self._detector, fraction, least=SMALLEST)
        return np.ascontiguousarray(image[top:bottom, left:right]), imgsz, left, top

    def _inside(self, found: Detections) -> Detections:
        centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        inside = [cv2.pointPolygonTest(self._outline, point, False) >= 0 for point in centres.tolist()]
        return found[np.array(inside, bool)]

    def is_inside(self, width: int, height: int) -> bool:
        """Whether a width x height image has any of the polygon's rectangle."""
        low, high = self._corners.min(axis=0), self._corners.max(axis=0)
        return bool((high > 0).all() and low[0] < width and low[1] < height)

    def window(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The part of a width x height image that is seen: left, top, right, bottom."""
        low, high = self._corners.min(axis=0), self._corners.max(axis=0)
        if not self.is_inside(width, height):
            corners = " ".join(f"{x:g},{y:g}" for x, y in self._corners.tolist())
            raise ConfigError(
                f"roi {corners}: outside the image, which has {width} x {height} pixels; give corners inside it"
            )
        rim = MARGIN * float((high - low).max())
        left, top = (max(0, int(edge - rim)) for edge in low.tolist())
        right, bottom = (min(side, int(np.ceil(edge + rim))) for edge, side in zip(high, (width, height), strict=True))
        return left, top, right, bottom
