"""Crops of images with any number of objects, for a network that tells regions apart: R-CNN's training data.

Proposals that overlap an object by half or more show it, those that overlap none by 0.3 show the background, what lies
between is left out (R-CNN, section 2.3 and appendix B). To the few proposals that show an object come boxes about it
that are moved and stretched at random, so that windows beside it are known too.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray
from numpy.random import Generator

from tracker.detect.crop_detector import BACKGROUND, CONTEXT, cut_crops, with_context
from tracker.detect.proposals import propose_regions
from tracker.errors import FormatError
from tracker.evaluate.ground_truth import DataSet, Sample
from tracker.geometry import iou
from tracker.train.localizer import SingleObjects

__all__ = ["cut_regions"]

OBJECT, NOTHING = 0.5, 0.3
"""Overlaps from which a region shows an object, and below which it shows none."""
SHIFT, STRETCH = 0.33, 0.4
"""How far a candidate is moved, in its sides, and stretched, as a logarithm (e^0.4 = 1.5): about as far as proposals
lie from objects."""
SIZES = 0.7
"""Logarithm by which windows without an object differ from the image's objects in size: from half to twice."""
USUAL_PARTS = 5
"""Of an image without objects windows are about a fifth of its longer side."""
MOVED = 8
"""Boxes drawn about each object."""
NOTHINGS = 12
"""Regions of an image without an object, at most: half of them proposals."""
QUANTILES = (0.1, 0.5, 0.9)
"""Of the objects' sides: how large the windows are that slide."""


def cut_regions(data: DataSet, size: int, *, seed: int) -> SingleObjects:
    """Crops of size x size with their class, the background being the last, and the object's box in the crop.

    The background's boxes are NaN. Raises FormatError where there is no object at all.
    """
    rng = np.random.default_rng(seed)
    images, labels, boxes = [], [], []
    for sample in data.samples:
        image = sample.read()
        frames, classes, inside = _regions(rng, sample, propose_regions(image), len(data.labels))
        images.append(cut_crops(image, frames, size))
        labels.append(classes)
        boxes.append(inside)
    if not any((each < len(data.labels)).any() for each in labels):
        raise FormatError(f"none of {len(data.samples)} images shows an object; regions cannot be told apart")
    return SingleObjects(
        np.ascontiguousarray(np.concatenate(images).transpose(0, 3, 1, 2)),
        np.concatenate(labels),
        np.concatenate(boxes),
        (*data.labels, BACKGROUND),
        0,
        _window_fractions(data),
    )


def _window_fractions(data: DataSet) -> tuple[float, ...]:
    """The sides of small, usual and large objects with context, as fractions of an image's shorter side."""
    sides = [
        np.sqrt((box[2] - box[0]) * (box[3] - box[1])) / min(sample.width, sample.height)
        for sample in data.samples
        for box in sample.boxes.tolist()
    ]
    return tuple(min(1.0, CONTEXT * float(side)) for side in np.quantile(sides, QUANTILES))


def _regions(
    rng: Generator, sample: Sample, proposed: Float32[ndarray, "n 4"], background: int
) -> tuple[Float32[ndarray, "n 4"], Int64[ndarray, " n"], Float32[ndarray, "n 4"]]:
    """(what is cut out, what it shows, where in it) of one image."""
    known = sample.class_ids < background  # groups of classes are none of them
    truth, class_ids = sample.boxes[known], sample.class_ids[known]
    moved = _move(rng, np.repeat(truth, MOVED, axis=0))
    anywhere = _squares(rng, sample, truth)
    candidates = np.concatenate((proposed, moved, anywhere)).astype(np.float32)
    overlaps = iou(candidates, sample.boxes) if len(sample.boxes) else np.zeros((len(candidates), 1))
    beyond = iou(candidates, sample.ignored.astype(np.float32)).max(axis=1) if len(sample.ignored) else 0
    nothing = np.flatnonzero((overlaps.max(axis=1) < NOTHING) & (np.asarray(beyond) < NOTHING))
    nothing = rng.permutation(nothing)[:NOTHINGS]
    own = iou(candidates, truth) if len(truth) else np.zeros((len(candidates), 1))
    showing = np.flatnonzero(own.max(axis=1) >= OBJECT)
    frames = with_context(candidates[np.concatenate((showing, nothing))])
    matched = own[showing].argmax(axis=1)
    corners, sides = frames[: len(showing), [0, 1, 0, 1]], frames[: len(showing), 2:] - frames[: len(showing), :2]
    inside = (truth[matched] - corners) / sides[:, [0, 1, 0, 1]] if len(truth) else np.zeros((0, 4))
    classes = np.concatenate((class_ids[matched] if len(truth) else matched, np.full(len(nothing), background)))
    boxes = np.concatenate((inside, np.full((len(nothing), 4), np.nan)))
    return frames, classes.astype(np.int64), boxes.astype(np.float32)


def _move(rng: Generator, boxes: Float32[ndarray, "n 4"]) -> Float32[ndarray, "n 4"]:
    """Each moved by up to a third of its sides, and stretched by up to a half."""
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    centres = centres + rng.uniform(-SHIFT, SHIFT, centres.shape) * sides
    sides = sides * np.exp(rng.uniform(-STRETCH, STRETCH, sides.shape))
    return np.asarray(np.concatenate((centres - sides / 2, centres + sides / 2), axis=1), np.float32)


def _squares(rng: Generator, sample: Sample, truth: Float32[ndarray, "n 4"]) -> Float32[ndarray, "n 4"]:
    """Windows anywhere, of sizes about those of the image's objects."""
    longest = max(sample.width, sample.height)
    usual = np.sqrt(((truth[:, 2:] - truth[:, :2]).prod(axis=1)).mean()) if len(truth) else longest / USUAL_PARTS
    sides = usual * np.exp(rng.uniform(-SIZES, SIZES, NOTHINGS))
    x1, y1 = (rng.uniform(0, np.maximum(length - sides, 1)) for length in (sample.width, sample.height))
    return np.asarray(np.stack((x1, y1, x1 + sides, y1 + sides), axis=1), np.float32)
