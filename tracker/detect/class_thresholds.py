"""Score thresholds of single classes, for any detector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from tracker.config.run_settings import read_class_conf
from tracker.detect.classes import choose_classes
from tracker.detect.windows import detect_at_size
from tracker.protocols import Detector, Scalable
from tracker.types import Detections, Image

__all__ = ["ClassThresholds", "class_thresholds"]


def class_thresholds(entries: Sequence[str], labels: Sequence[str], conf: float) -> Float32[ndarray, " c"]:
    """The threshold of each label: that of the last entry (`person=0.5`) naming it or a group it is in, else `conf`.

    Raises ConfigError for a class that is not among the labels.
    """
    thresholds = np.full(len(labels), conf, np.float32)
    for entry in entries:
        name, threshold = read_class_conf(entry)
        rows = choose_classes((name,), labels, option="--conf")
        thresholds[slice(None) if rows is None else rows] = threshold
    return thresholds


class ClassThresholds:
    """A detector whose classes count from scores of their own; its threshold is the lowest of them.

    Weaker detections, which a tracker may go on with, are given of the classes with that lowest threshold alone: of the
    others a tracker would take them for found.
    """

    def __init__(self, detector: Detector, thresholds: Float32[ndarray, " c"]) -> None:
        self.labels, self.conf, self.engine = detector.labels, detector.conf, detector.engine
        self.imgsz = detector.imgsz if isinstance(detector, Scalable) else 0
        self._detector = detector
        self._least = np.where(thresholds > np.float32(self.conf), thresholds, -np.inf).astype(np.float32)

    def detect(self, images: Sequence[Image], *, imgsz: int | None = None) -> list[Detections]:
        """What the detector finds, as far as it reaches its class's threshold."""
        every = detect_at_size(self._detector, images, imgsz)
        return [found[found.scores >= self._least[found.class_ids]] for found in every]
