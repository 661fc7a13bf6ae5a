"""What detectors of parts of an image share: the scale at which a part is seen, and the way back to the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tracker.protocols import Detector, Scalable
from tracker.types import Detections, Image

__all__ = ["detect_at_size", "move", "size_of_part"]

STEP = 32
"""Input sizes are multiples of this."""


def detect_at_size(detector: Detector, images: Sequence[Image], imgsz: int | None) -> list[Detections]:
    """Detections with another input size than the detector's own, where it takes any."""
    if imgsz and isinstance(detector, Scalable) and detector.imgsz:
        return detector.detect(images, imgsz=imgsz)
    return detector.detect(images)


def size_of_part(detector: Detector, share: float, *, least: int) -> int | None:
    """The input size that a part needs whose longest side is that share of the image's, for the image's own scale."""
    own = detector.imgsz if isinstance(detector, Scalable) else 0
    if not own:
        return None
    return min(max(own, least), max(least, int(np.ceil(share * own / STEP)) * STEP))


def move(found: Detections, left: float, top: float) -> Detections:
    """Detections of a part whose corner lies there, as ones of the whole image."""
    return replace(found, boxes=found.boxes + np.array((left, top, left, top), np.float32))
