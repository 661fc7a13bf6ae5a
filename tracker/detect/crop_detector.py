"""Detection by classifying parts of an image: R-CNN's proposals, a sliding window, or all windows in one pass.

Girshick, Donahue, Darrell and Malik, "Rich feature hierarchies for accurate object detection and semantic
segmentation", CVPR 2014: regions are proposed, warped to one size with some context, classified, and their boxes
corrected by regression. Sermanet et al., "OverFeat", 2014: the windows of several scales in one pass each.

Where we differ: the network is a localizer of ours with a class for the background, softmax where R-CNN has support
vector machines; its box head answers where in the crop the object is, for all classes at once; proposals are those of
`tracker.detect.proposals`. It is for comparing the ways: the detectors of this program are faster and better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.detect.proposals import propose_regions
from tracker.errors import CheckpointError
from tracker.geometry import clip, nms
from tracker.nets.convolutionalize import Answers, convolutionalize, padded_layers, slide
from tracker.nets.localizer import load_localizer, localize
from tracker.types import Detections, Image

__all__ = ["BACKGROUND", "WAYS", "CropDetector", "Way", "cut_crops", "with_context"]

Way: TypeAlias = Literal["proposals", "windows", "one pass"]
WAYS: tuple[Way, ...] = get_args(Way)
BACKGROUND = "background"
"""The last label of a network that tells regions apart."""
CONTEXT = 1.2
"""A region's sides are multiplied by this before it is warped, so that a box that is a little too small can grow."""
SUPPRESSED = 0.3
"""Overlap of suppression, per class (R-CNN's)."""


class CropDetector:
    """A detector that classifies parts of an image one by one, or all windows in one pass, as `way` says.

    `examined` counts the parts that were classified so far. Raises CheckpointError for a localizer that was not trained
    on regions.
    """

    engine = f"torch {torch.__version__}"

    def __init__(self, path: Path, way: Way, *, conf: float = 0.01, regress: bool = True) -> None:
        self._network, self._description = load_localizer(path)
        labels = tuple(self._description["labels"])
        if labels[-1] != BACKGROUND or "windows" not in self._description:
            raise CheckpointError(
                f"{path}: a localizer of whole images; detecting takes one that knows the background: train localizer "
                "--regions"
            )
        self.labels: tuple[str, ...] = labels[:-1]
        self.conf, self.way, self.regress, self.examined = conf, way, regress, 0
        self.size = int(self._description["image_size"])
        self._whole = convolutionalize(self._network, self.size)
        self.padded = padded_layers(self._network)
        """Layers whose padding makes one pass answer otherwise than the windows cut out."""

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """What is in each image."""
        return [self._detect(image) for image in images]

    def _detect(self, image: Image) -> Detections:
        frames, probabilities, inside = self._proposals(image) if self.way == "proposals" else self._windows(image)
        self.examined += len(frames)
        if not len(frames):
            return Detections.empty()
        objects = probabilities[:, :-1]
        class_ids, scores = objects.argmax(axis=1).astype(np.int32), objects.max(axis=1)
        boxes = _inside(frames, inside) if self.regress else _inside(frames, _without_context(len(frames)))
        boxes = np.asarray(clip(boxes, image.shape[1], image.shape[0]), np.float32)
        rows = np.flatnonzero((scores >= self.conf) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        rows = rows[nms(boxes[rows], scores[rows], class_ids[rows], threshold=SUPPRESSED)]
        return Detections(boxes[rows], scores[rows].astype(np.float32), class_ids[rows])

    def _proposals(self, image: Image) -> tuple[Float32[ndarray, "n 4"], ndarray, ndarray]:
        frames = with_context(propose_regions(image))
        if not len(frames):
            return frames, np.zeros((0, len(self.labels) + 1)), frames
        crops = cut_crops(image, frames, self.size)
        return frames, *localize(self._network, np.ascontiguousarray(crops.transpose(0, 3, 1, 2)), batch=64)

    def _windows(self, image: Image) -> tuple[Float32[ndarray, "n 4"], ndarray, ndarray]:
        """The windows of every scale: cut out and classified, or by one pass over the image of that scale."""
        parts = []
        for canvas, factor in self._pyramid(image):
            pixels = torch.from_numpy(np.ascontiguousarray(canvas.transpose(2, 0, 1)))[None].float() / 255
            with torch.inference_mode():
                answers = self._whole(pixels) if self.way == "one pass" else self._slide(pixels)
            assert answers.boxes is not None
            rows, columns = np.indices(answers.logits.shape[2:]).reshape(2, -1) * self._whole.stride
            corners = np.stack((columns, rows, columns + self.size, rows + self.size), axis=1) / factor
            parts.append((corners, _flat(answers.logits.softmax(dim=1)), _flat(answers.boxes)))
        frames, probabilities, boxes = (np.concatenate(each).astype(np.float32) for each in zip(*parts, strict=True))
        return frames, probabilities, boxes

    def _slide(self, pixels: torch.Tensor) -> Answers:
        return slide(self._network, pixels, window=self.size, stride=self._whole.stride)

    def _pyramid(self, image: Image) -> Iterator[tuple[Image, float]]:
        """The image at each scale at which a window has the size of the network, and what it was multiplied by."""
        height, width = image.shape[:2]
        for fraction in self._description["windows"]:
            factor = max(self.size / (fraction * min(height, width)), self.size / min(height, width))
            wanted = max(self.size, round(width * factor)), max(self.size, round(height * factor))
            method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
            yield np.asarray(cv2.resize(image, wanted, interpolation=method), np.uint8), factor


def with_context(boxes: Float32[ndarray, "n 4"]) -> Float32[ndarray, "n 4"]:
    """The boxes enlarged about their centres, on whole pixels: what is cut out for them."""
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum(boxes[:, 2:] - boxes[:, :2], 1) * CONTEXT
    return np.asarray(np.round(np.concatenate((centres - sides / 2, centres + sides / 2), axis=1)), np.float32)


def cut_crops(image: Image, frames: Float32[ndarray, "n 4"], size: int) -> UInt8[ndarray, "n size size 3"]:
    """The parts within frames of whole pixels, stretched to size x size; beyond the image its edge is repeated."""
    height, width = image.shape[:2]
    crops = np.empty((len(frames), size, size, 3), np.uint8)
    for row, (x1, y1, x2, y2) in enumerate(frames.astype(int).tolist()):
        down, across = np.clip(np.arange(y1, max(y2, y1 + 1)), 0, height - 1), np.arange(x1, max(x2, x1 + 1))
        part = image[down[:, None], np.clip(across, 0, width - 1)[None]]
        smaller = part.shape[0] * part.shape[1] > size * size
        crops[row] = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return crops


def _inside(frames: Float32[ndarray, "n 4"], boxes: Float32[ndarray, "n 4"]) -> Float32[ndarray, "n 4"]:
    """Boxes in 0..1 of their frames as ones of the image."""
    corners, sides = frames[:, [0, 1, 0, 1]], (frames[:, 2:] - frames[:, :2])[:, [0, 1, 0, 1]]
    return np.asarray(corners + boxes * sides, np.float32)


def _without_context(count: int) -> Float32[ndarray, "n 4"]:
    """The region itself within its frame."""
    rim = (1 - 1 / CONTEXT) / 2
    return np.tile(np.array([rim, rim, 1 - rim, 1 - rim], np.float32), (count, 1))


def _flat(grid: Any) -> Float32[ndarray, "n k"]:
    """(1, k, rows, columns) as one row a place."""
    found: ndarray = grid[0].flatten(1).T.numpy()
    return found
