"""What one training image is made of: mosaic or single, placed, flipped, recoloured, with its truth moved along.

Everything is decided by the generator passed in, so a sample depends on (seed, epoch, index) alone. Objects keep
their unclipped box beside the visible one: masks are stretched over the former and judged inside the latter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Self

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray
from numpy.random import Generator

from tracker.config.bounds import check_least, check_shares
from tracker.train.data.detection import MASK_SIZE
from tracker.types import Image

__all__ = ["AugmentConfig", "TrainingSample", "Truth", "make_sample"]

FILL = 114
"""Grey level where no image lies, YOLOv5's: near the mean of photographs."""
CLEARLY_SHRUNK = 0.6
"""Scale below which pixels are averaged first: reading between two of them would pass over others."""
LEAST_VISIBLE = 0.2
"""Fraction of an object that must stay in view for it to be taught; of less, nobody could say what it is."""
LEAST_SIDE = 2.0
"""Pixels that it must measure besides: less than any cell answers for."""
ENLARGED = 0.6
"""Part of `zoom` (as a logarithm) by which a single image is enlarged at most: what is enlarged loses its sides."""
MOSAIC_LOW, MOSAIC_SPAN = 0.3, 0.4
"""Where the four images of a mosaic meet, as a fraction of the side: each keeps room to show something."""
MOSAIC_SHRUNK, MOSAIC_ENLARGED = 0.2, 1.2
"""Logarithm by which they are shrunk below filling their part, and the part of `zoom` by which they are enlarged."""
MOST_PASTED = 6
"""Objects pasted into one image: more would hide its own."""
LEAST_PASTED = 8
"""Pixels that each side of one measures."""
MOST_HIDDEN = 0.2
"""Fraction of an object that one may hide."""
GAIN, BIAS = 0.6, 50.0
"""Largest changes of contrast (a fraction) and brightness (levels) at full strength."""
COLOURLESS = 0.04
"""Fraction of images without any colour, for cameras at night."""
MIXUP_BETA = 16
"""Both shapes of the beta distribution that an image's part in a blend is drawn from: about a half."""


@dataclass(frozen=True)
class AugmentConfig:
    """How far training images may stray from the files."""

    mosaic: float = 0.5
    """Share of images made of four."""
    mixup: float = 0.0
    """Share of images blended with another one."""
    copy_paste: float = 0.15
    """Share of images that get masked objects of another one pasted in."""
    flip: float = 0.5
    """Share mirrored left to right."""
    zoom: float = 1.6
    """Largest factor by which an image is enlarged or shrunk."""
    colour: float = 0.5
    """Strength of changes in brightness, contrast and saturation; 0 leaves colours alone."""

    def __post_init__(self) -> None:
        check_shares(self, "mosaic", "mixup", "copy_paste", "flip")
        check_least(self, "zoom", least=1)
        check_least(self, "colour", least=0)


@dataclass(frozen=True, eq=False)
class Truth:
    """Objects of one image, one row each, and the regions where nothing is known."""

    boxes: Float32[ndarray, "n 4"]
    """The visible part."""
    full_boxes: Float32[ndarray, "n 4"]
    """The whole object, which may reach outside; masks are stretched over it."""
    classes: Float32[ndarray, "n c"]
    """Target per class."""
    class_weights: Float32[ndarray, "n c"]
    """0 where a class is unknown."""
    weights: Float32[ndarray, " n"]
    """1 for labelled objects, the teacher's score for found ones."""
    masks: UInt8[ndarray, "n m m"]
    has_mask: Bool[ndarray, " n"]
    ignored: Float32[ndarray, "r 4"]
    """Regions in which no anchor is taught to be silent."""
    unlabelled: Float32[ndarray, " c"]
    """1 for each class that neither labels nor a teacher tell of in some part of the image, else 0."""

    @classmethod
    def empty(cls, classes: int) -> Truth:
        """No objects, everything known."""
        none = np.empty((0, 4), np.float32)
        per_class = np.empty((0, classes), np.float32)
        masks = np.empty((0, MASK_SIZE, MASK_SIZE), np.uint8)
        weights, has_mask, unlabelled = np.empty(0, np.float32), np.empty(0, bool), np.zeros(classes, np.float32)
        return cls(none, none, per_class, per_class, weights, masks, has_mask, none, unlabelled)

    def keep(self, rows: ndarray) -> Self:
        """The chosen objects; regions stay."""
        chosen = {item.name: getattr(self, item.name) for item in fields(self)}
        return type(self)(**{k: v if k in ("ignored", "unlabelled") else v[rows] for k, v in chosen.items()})

    def join(self, other: Truth) -> Truth:
        """Both one after the other."""
        pairs = {item.name: (getattr(self, item.name), getattr(other, item.name)) for item in fields(self)}
        unlabelled = np.maximum(*pairs.pop("unlabelled"))
        return Truth(**{name: np.concatenate(pair) for name, pair in pairs.items()}, unlabelled=unlabelled)


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """An image with its truth, before or after augmentation."""

    image: Image
    ground_truth: Truth


def mirror(sample: TrainingSample) -> TrainingSample:
    """Left becomes right."""
    width = sample.image.shape[1]
    ground_truth = sample.ground_truth

    def swap(boxes: ndarray) -> ndarray:
        x1, y1, x2, y2 = boxes.T
        return np.stack((width - x2, y1, width - x1, y2), axis=1)

    return TrainingSample(
        np.ascontiguousarray(sample.image[:, ::-1]),
        Truth(
            swap(ground_truth.boxes),
            swap(ground_truth.full_boxes),
            ground_truth.classes,
            ground_truth.class_weights,
            ground_truth.weights,
            np.ascontiguousarray(ground_truth.masks[:, :, ::-1]),
            ground_truth.has_mask,
            swap(ground_truth.ignored),
            ground_truth.unlabelled,
        ),
    )


def place(
    canvas: Image, sample: TrainingSample, *, scale: float, left: float, top: float, window: tuple[int, int, int, int]
) -> Truth:
    """Draw the image, scaled, with its corner at (left, top), inside the window only; give its truth there.

    Objects of which less than a fifth stays visible become ignored regions.
    """
    x1, y1, x2, y2 = window
    height, width = sample.image.shape[:2]
    x1, y1 = max(x1, int(np.ceil(left))), max(y1, int(np.ceil(top)))
    x2, y2 = min(x2, int(left + width * scale)), min(y2, int(top + height * scale))
    ground_truth = sample.ground_truth
    if x2 <= x1 or y2 <= y1:
        return Truth.empty(len(ground_truth.unlabelled))
    shrunk = scale < CLEARLY_SHRUNK
    source = sample.image
    source_scale_x = source_scale_y = scale
    if shrunk:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        source = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
        source_scale_x, source_scale_y = scale * width / size[0], scale * height / size[1]
    # destination pixel centre x + 0.5 shows source position (x + 0.5 - left) / scale
    back = np.array(
        [
            [1 / source_scale_x, 0, (x1 + 0.5 - left) / source_scale_x - 0.5],
            [0, 1 / source_scale_y, (y1 + 0.5 - top) / source_scale_y - 0.5],
        ]
    )
    canvas[y1:y2, x1:x2] = cv2.warpAffine(
        source, back, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    shift, limit = np.array((left, top, left, top), np.float32), np.array((x1, y1, x1, y1, x2, y2, x2, y2), np.float32)

    def move(boxes: ndarray) -> ndarray:
        return (boxes * np.float32(scale) + shift).astype(np.float32)

    def cut(boxes: ndarray) -> ndarray:
        low, high = limit[:4], limit[4:]
        inside: ndarray = np.clip(boxes, low, high)
        return inside

    moved, regions = move(ground_truth.boxes), cut(move(ground_truth.ignored))
    visible = cut(moved)
    size_before, size_after = moved[:, 2:] - moved[:, :2], visible[:, 2:] - visible[:, :2]
    share = size_after.prod(axis=1) / np.maximum(size_before.prod(axis=1), 1e-6)
    clear = (share > LEAST_VISIBLE) & (size_after > LEAST_SIDE).all(axis=1)
    faint = visible[~clear & (size_after > 0).all(axis=1)]
    regions = np.concatenate((regions, faint))
    regions = regions[((regions[:, 2:] - regions[:, :2]) > 0).all(axis=1)]
    return Truth(
        visible[clear],
        move(ground_truth.full_boxes)[clear],
        ground_truth.classes[clear],
        ground_truth.class_weights[clear],
        ground_truth.weights[clear],
        ground_truth.masks[clear],
        ground_truth.has_mask[clear],
        regions,
        ground_truth.unlabelled,
    )


def single(sample: TrainingSample, size: int, rng: Generator, config: AugmentConfig) -> TrainingSample:
    """The image fitted to a square, zoomed and shifted; what it does not fill is grey."""
    height, width = sample.image.shape[:2]
    zoom = float(np.exp(rng.uniform(-np.log(config.zoom), np.log(config.zoom) * ENLARGED)))
    scale = size / max(height, width) * zoom
    free_x, free_y = size - width * scale, size - height * scale
    left, top = (float(rng.uniform(min(free, 0.0), max(free, 0.0))) for free in (free_x, free_y))
    canvas = np.full((size, size, 3), FILL, np.uint8)
    return TrainingSample(canvas, place(canvas, sample, scale=scale, left=left, top=top, window=(0, 0, size, size)))


def mosaic(samples: list[TrainingSample], size: int, rng: Generator, config: AugmentConfig) -> TrainingSample:
    """Four images around a random point (Bochkovskiy et al., YOLOv4, 2020), each zoomed on its own."""
    centre_x, centre_y = (round(size * float(rng.uniform(MOSAIC_LOW, MOSAIC_LOW + MOSAIC_SPAN))) for _ in range(2))
    canvas = np.full((size, size, 3), FILL, np.uint8)
    ground_truth: Truth | None = None
    for corner, sample in enumerate(samples):
        right, below = corner % 2, corner // 2
        window = (
            centre_x if right else 0,
            centre_y if below else 0,
            size if right else centre_x,
            size if below else centre_y,
        )
        height, width = sample.image.shape[:2]
        fill = max((window[2] - window[0]) / width, (window[3] - window[1]) / height)
        scale = fill * float(np.exp(rng.uniform(-MOSAIC_SHRUNK, np.log(config.zoom) * MOSAIC_ENLARGED)))
        slack_x, slack_y = width * scale - (window[2] - window[0]), height * scale - (window[3] - window[1])
        left = window[0] - max(slack_x, 0.0) * float(rng.uniform())
        top = window[1] - max(slack_y, 0.0) * float(rng.uniform())
        part = place(canvas, sample, scale=scale, left=left, top=top, window=window)
        ground_truth = part if ground_truth is None else ground_truth.join(part)
    assert ground_truth is not None
    return TrainingSample(canvas, ground_truth)


def paste_objects(sample: TrainingSample, donor: TrainingSample, rng: Generator) -> TrainingSample:
    """Masked objects of the donor copied in (Ghiasi et al., Simple Copy-Paste, 2021) where they hide little."""
    image, ground_truth = sample.image.copy(), sample.ground_truth
    size_y, size_x = image.shape[:2]
    for row in np.flatnonzero(donor.ground_truth.has_mask & (donor.ground_truth.weights == 1))[:MOST_PASTED]:
        x1, y1, x2, y2 = np.round(donor.ground_truth.full_boxes[row]).astype(int)
        height, width = donor.image.shape[:2]
        inside = x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height and min(x2 - x1, y2 - y1) > LEAST_PASTED
        if not inside or x2 - x1 > size_x // 2 or y2 - y1 > size_y // 2:
            continue
        left, top = int(rng.integers(0, size_x - (x2 - x1))), int(rng.integers(0, size_y - (y2 - y1)))
        box = np.array([[left, top, left + x2 - x1, top + y2 - y1]], np.float32)
        low, high = np.maximum(ground_truth.boxes[:, :2], box[:, :2]), np.minimum(ground_truth.boxes[:, 2:], box[:, 2:])
        hidden = np.maximum(high - low, 0).prod(axis=1)
        if (
            len(hidden)
            and (hidden / np.maximum((ground_truth.boxes[:, 2:] - ground_truth.boxes[:, :2]).prod(axis=1), 1)).max()
            > MOST_HIDDEN
        ):
            continue
        alpha = cv2.resize(donor.ground_truth.masks[row], (x2 - x1, y2 - y1))[..., None].astype(np.float32) / 255
        window = image[top : top + y2 - y1, left : left + x2 - x1]
        window[:] = (donor.image[y1:y2, x1:x2] * alpha + window * (1 - alpha)).astype(np.uint8)
        one = donor.ground_truth.keep(np.array([row]))
        ground_truth = ground_truth.join(
            replace(
                one, boxes=box, full_boxes=box, ignored=ground_truth.ignored[:0], unlabelled=ground_truth.unlabelled
            )
        )
    return TrainingSample(image, ground_truth)


def recolour(image: Image, rng: Generator, strength: float) -> Image:
    """Brightness, contrast and saturation changed, now and then no colour at all."""
    if strength <= 0:
        return image
    gain, bias = 1 + strength * float(rng.uniform(-GAIN, GAIN)), strength * float(rng.uniform(-BIAS, BIAS))
    mixed = 1 + strength * float(rng.uniform(-1.0, 1.0))
    if rng.uniform() < COLOURLESS:
        mixed = 0.0
    steps = np.arange(256, dtype=np.float32)
    image = cv2.LUT(image, np.clip((steps - FILL) * gain + FILL + bias, 0, 255).astype(np.uint8))
    weights = np.full((3, 3), (1 - mixed) / 3, np.float32) + np.eye(3, dtype=np.float32) * mixed
    return cv2.transform(image, weights)


def make_sample(
    index: int, fetch: Callable[[int], TrainingSample], count: int, size: int, rng: Generator, config: AugmentConfig
) -> TrainingSample:
    """The training image of `index`, size x size; `fetch` gives the image of any of `count` samples."""

    def pick() -> TrainingSample:
        other = fetch(int(rng.integers(count)))
        return mirror(other) if rng.uniform() < config.flip else other

    first = fetch(index)
    if rng.uniform() < config.flip:
        first = mirror(first)
    if rng.uniform() < config.mosaic:
        result = mosaic([first, pick(), pick(), pick()], size, rng, config)
    else:
        result = single(first, size, rng, config)
    if rng.uniform() < config.copy_paste:
        result = paste_objects(result, single(pick(), size, rng, config), rng)
    if rng.uniform() < config.mixup:
        other = single(pick(), size, rng, config)
        share = float(rng.beta(MIXUP_BETA, MIXUP_BETA))
        blend = cv2.addWeighted(result.image, share, other.image, 1 - share, 0)
        result = TrainingSample(blend, result.ground_truth.join(other.ground_truth))
    return TrainingSample(recolour(result.image, rng, config.colour), result.ground_truth)
