"""Any model of the ultralytics package as a Detector: boxes, and masks where the model has them.

Imported lazily. Safe loading is forced and installing on demand is off before ultralytics is imported, because its
checkpoints are pickles that can name packages to install.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.config import DetectorConfig
from tracker.detect.classes import choose_classes
from tracker.detect.yolo_detector import check_images
from tracker.errors import CheckpointError
from tracker.types import Detections, Image

__all__ = ["UltralyticsDetector"]

MASK_SIZE = 64
ITS_ADVICE = re.compile(r"\s*Use an official Ultralytics model.*")
"""What it says of its own command line, which is not ours."""


class UltralyticsDetector:
    """Detects with an ultralytics model file. Calls take turns: their predictor keeps state."""

    def __init__(self, path: Path, config: DetectorConfig, *, floor: float | None = None) -> None:
        model = _load(path)
        if model.task not in ("detect", "segment"):
            raise CheckpointError(f"{path}: a model for {model.task!r}; use one that detects or segments")
        names = model.names
        self.labels: tuple[str, ...] = tuple(names[index] for index in sorted(names))
        self._classes = choose_classes(config.classes, self.labels)
        self._model = model
        self._config = config
        self._segments = model.task == "segment" and config.masks
        self._turn = threading.Lock()
        self.conf = 0.25 if config.conf is None else config.conf
        self.engine = "ultralytics on torch"
        self._floor = self.conf if floor is None else min(self.conf, floor)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Boxes of each image in its own pixels, best score first."""
        check_images(images)
        config = self._config
        with self._turn:
            results = self._model.predict(
                [np.ascontiguousarray(image[..., ::-1]) for image in images],
                conf=self._floor,
                iou=0.7 if config.iou is None else config.iou,
                imgsz=config.imgsz or 640,
                classes=None if self._classes is None else [int(index) for index in self._classes],
                max_det=config.max_det,
                device=None if config.device == "auto" else config.device,
                verbose=False,
            )
        return [self._convert(result, image) for result, image in zip(results, images, strict=True)]

    def _convert(self, result: Any, image: Image) -> Detections:
        found = result.boxes
        boxes = found.xyxy.cpu().numpy().astype(np.float32)
        masks = None
        if self._segments:
            masks = np.empty((0, MASK_SIZE, MASK_SIZE), np.uint8)
            if result.masks is not None and len(boxes):
                planes = result.masks.data.cpu().numpy()
                height, width = image.shape[:2]
                masks = _crop_masks(planes.astype(np.float32), boxes, width=width, height=height)
        return Detections(
            boxes,
            found.conf.cpu().numpy().astype(np.float32),
            found.cls.cpu().numpy().astype(np.int32),
            masks,
        )


def _load(path: Path) -> Any:
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "1"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"  # else it looks up public resolvers to see whether there is a network
    os.environ.setdefault("YOLO_VERBOSE", "false")
    if not path.is_file():  # it would be downloaded
        raise CheckpointError(f"{path}: no such model file; check the path, or use --model auto")
    try:
        from ultralytics import YOLO  # type: ignore[attr-defined]
    except ImportError as error:
        advice = 'pip install "sightline[ultralytics]"'
        raise CheckpointError(f"{path}: needs the package ultralytics ({error}): {advice}") from error
    try:
        return YOLO(str(path))
    except Exception as error:
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        reason = ITS_ADVICE.sub("", first.partition(f"{path} ")[2] or first).rstrip(". ")
        raise CheckpointError(
            f"{path}: ultralytics cannot load it: {reason}. Give a model of theirs that detects or segments."
        ) from error


def _crop_masks(
    planes: Float32[ndarray, "n h w"], boxes: Float32[ndarray, "n 4"], *, width: int, height: int
) -> UInt8[ndarray, "n m m"]:
    """Each object's coverage stretched over its box, from masks of the letterboxed image."""
    rows, columns = planes.shape[1:]
    gain = min(rows / height, columns / width)
    left, top = (columns - width * gain) / 2, (rows - height * gain) / 2
    masks = np.empty((len(planes), MASK_SIZE, MASK_SIZE), np.uint8)
    for mask, plane, (x1, y1, x2, y2) in zip(masks, planes, boxes.tolist(), strict=True):
        step_x, step_y = (x2 - x1) * gain / MASK_SIZE, (y2 - y1) * gain / MASK_SIZE
        from_mask = np.array(
            [[step_x, 0, x1 * gain + left + step_x / 2 - 0.5], [0, step_y, y1 * gain + top + step_y / 2 - 0.5]]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        sampled = cv2.warpAffine(plane, from_mask, (MASK_SIZE, MASK_SIZE), flags=flags)
        mask[:] = np.clip(sampled * 255 + 0.5, 0, 255)
    return masks
