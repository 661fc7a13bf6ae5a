"""From any engine that gives our network's raw maps to Detections: letterbox, run, decode, suppress, cut out masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tracker.config import DetectorConfig
from tracker.detect.classes import choose_classes
from tracker.detect.postprocess import AnchorLayout, decode_anchors, suppress, to_detections
from tracker.geometry import Letterbox
from tracker.types import Detections, Image

if TYPE_CHECKING:
    from tracker.nets.checkpoint import ModelCard

__all__ = ["RawDetector", "RunRaw"]

RunRaw: TypeAlias = Callable[[UInt8[ndarray, "b h w 3"]], Sequence[ndarray]]
"""Letterboxed canvases of one size in; float32 maps per level and, last, the prototypes out."""


class RawDetector:
    """Detects with whatever runs the network.

    Detections below the threshold are given too, down to `floor`. Raises ConfigError for a class that does not fit.
    """

    def __init__(
        self, card: ModelCard, run: RunRaw, config: DetectorConfig, *, engine: str, floor: float = 1.0
    ) -> None:
        self.labels = card.labels
        self.engine = engine
        self.conf = card.confidence if config.conf is None else config.conf
        self._run = run
        self._floor = min(self.conf, floor)
        self._iou = card.iou if config.iou is None else config.iou
        self._max_det = config.max_det
        self._size = config.imgsz or card.input_size
        self._classes = choose_classes(config.classes, card.labels)
        self._masks = config.masks and card.coefficients > 0
        self._layout = AnchorLayout(card.strides, card.anchors, len(card.labels), card.coefficients)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Boxes and masks of each image in its own pixels, best score first.

        Images that letterbox to one size go through the network together.
        """
        letterboxes = [Letterbox.fit(image.shape[1], image.shape[0], self._size) for image in images]
        found = [Detections.empty()] * len(images)
        for shape in dict.fromkeys((letterbox.height, letterbox.width) for letterbox in letterboxes):
            rows = [row for row, box in enumerate(letterboxes) if (box.height, box.width) == shape]
            *levels, prototypes = self._run(np.stack([letterboxes[row].apply(images[row]) for row in rows]))
            for place, row in enumerate(rows):
                maps = [level[place] for level in levels]
                candidates = decode_anchors(maps, self._layout, conf=self._floor, classes=self._classes)
                height, width = images[row].shape[:2]
                found[row] = to_detections(
                    suppress(candidates, iou=self._iou, max_det=self._max_det),
                    letterboxes[row],
                    image_width=width,
                    image_height=height,
                    prototypes=prototypes[place] if self._masks else None,
                )
        return found
