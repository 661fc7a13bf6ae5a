"""What of its input a segmentation network answers for, and how an image is laid onto that input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.types import Image

__all__ = ["Canvas", "ScoreLayout", "fitting_size", "most_likely"]


@dataclass(frozen=True, slots=True)
class ScoreLayout:
    """How a network's scores lie over its input."""

    multiple: int = 1
    """The input's sides are multiples of it."""
    finest: int = 1
    """Stride of the scores."""
    valid_depth: int = 0
    """Halvings of a U-Net of valid convolutions, whose scores are those of the input's centre; 0 for all others."""

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> ScoreLayout:
        """From the fields of a file's description."""
        return cls(**{name: int(description[name]) for name in ("multiple", "finest", "valid_depth")})

    def place(self, image: Image) -> Canvas:
        """The image on an input of sides that the network takes, its own pixels where the scores are."""
        height, width = image.shape[:2]
        if self.valid_depth:
            return self._place_inside(image)
        bottom, right = -height % self.multiple, -width % self.multiple
        pixels = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        return Canvas(np.asarray(pixels, np.uint8), -(-height // self.finest), -(-width // self.finest))

    def _place_inside(self, image: Image) -> Canvas:
        """Mirrored around, as in the paper's overlap-tile strategy: the border has what is needed to judge it."""
        (tall, rows), (wide, columns) = (valid_sides(side, self.valid_depth) for side in image.shape[:2])
        top, left = (tall - rows) // 2, (wide - columns) // 2
        bottom, right = tall - image.shape[0] - top, wide - image.shape[1] - left
        pixels = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT_101)
        return Canvas(np.asarray(pixels, np.uint8), image.shape[0], image.shape[1])


class Canvas(NamedTuple):
    """An image as the network takes it, and how many rows and columns of its scores are the image's."""

    pixels: UInt8[ndarray, "h w 3"]
    rows: int
    columns: int


def valid_sides(side: int, depth: int) -> tuple[int, int]:
    """(input, output): the smallest side that a U-Net of valid convolutions takes and answers `side` pixels of.

    Two 3 x 3 convolutions a level take 4 pixels; what is halved must be even: 572 gives 388 at depth 4.
    """
    bottom = 2
    while True:
        inside, outside = bottom - 4, bottom
        for _ in range(depth):
            outside = 2 * outside + 4
            inside = 2 * inside - 4
        if inside >= side:
            return outside, inside
        bottom += 1


def fitting_size(height: int, width: int, *, trained: tuple[int, int], finest: int) -> tuple[int, int]:
    """(height, width) of an image with about as many pixels as those trained on, its proportions kept."""
    factor = (trained[0] * trained[1] / (height * width)) ** 0.5
    tall, wide = (max(finest, round(side * factor / finest) * finest) for side in (height, width))
    return tall, wide


def most_likely(logits: Float32[ndarray, "k i j"], *, height: int, width: int) -> UInt8[ndarray, "h w"]:
    """The number of the largest logit at each pixel, the logits enlarged bilinearly one class at a time.

    So the memory needed is that of two maps, not of one per class.
    """
    best = cv2.resize(logits[0], (width, height), interpolation=cv2.INTER_LINEAR)
    labels = np.zeros((height, width), np.uint8)
    for number, each in enumerate(logits[1:], start=1):
        enlarged = cv2.resize(each, (width, height), interpolation=cv2.INTER_LINEAR)
        labels[enlarged > best] = number
        np.maximum(best, enlarged, out=best)
    return labels
