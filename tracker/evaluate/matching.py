"""Finds paired with labelled objects at one overlap: operating points, curves, confusion, and where it goes wrong.

Average precision sums up all thresholds; a shipped network needs one. Pairing is greedy by score, as COCO's, so that
precision and recall here are points on the curve that AP is the area of. Images count only for what they label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy import ndarray

from tracker.evaluate.ground_truth import Sample
from tracker.geometry import area, iou
from tracker.types import Detections

__all__ = ["Matches", "OperatingPoint", "best_point", "confuse", "match_finds"]


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """All finds of a data set that count, one row each, and what there was to find."""

    images: Int64[ndarray, " n"]
    class_ids: Int64[ndarray, " n"]
    scores: Float32[ndarray, " n"]
    right: Bool[ndarray, " n"]
    """Whether the find has a labelled object of its class to itself."""
    objects: Int64[ndarray, " c"]
    """Labelled objects per class."""

    def of_class(self, class_id: int) -> Matches:
        """The finds and objects of one class."""
        rows, objects = self.class_ids == class_id, np.zeros_like(self.objects)
        objects[class_id] = self.objects[class_id]
        return Matches(self.images[rows], self.class_ids[rows], self.scores[rows], self.right[rows], objects)

    def curve(self) -> tuple[Float32[ndarray, " n"], Float64[ndarray, " n"], Float64[ndarray, " n"]]:
        """(scores falling, precision, recall) when everything down to each score is taken."""
        order = np.argsort(-self.scores, kind="stable")
        right = np.cumsum(self.right[order])
        precision = right / np.arange(1, len(order) + 1)
        return self.scores[order], precision, right / max(int(self.objects.sum()), 1)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a threshold gives."""

    confidence: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)


def match_finds(
    samples: Sequence[Sample], found: Sequence[Detections], class_count: int, *, overlap: float = 0.5
) -> Matches:
    """Pair finds with objects of their own class; finds in ignored regions and of unlabelled classes do not count.

    One object and a crowd at its right: the first detection is right, the second one too many, the third lies in the
    crowd and does not count.

    >>> from pathlib import Path
    >>> truth = np.array([[0, 0, 10, 10]], np.float32), np.zeros(1, np.int64)
    >>> crowd = np.array([[50, 0, 90, 40]], np.float32)
    >>> sample = Sample(Path("a.jpg"), 100, 100, *truth, polygons=(None,), labelled=(0,), ignored=crowd)
    >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [60, 0, 70, 10]], np.float32)
    >>> found = Detections(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int32))
    >>> matches = match_finds([sample], [found], class_count=1)
    >>> matches.right.tolist(), matches.objects.tolist()
    ([True, False], [1])
    """
    images, class_ids, scores, right = [], [], [], []
    objects = np.zeros(class_count, np.int64)
    for number, (sample, own) in enumerate(zip(samples, found, strict=True)):
        for class_id in sample.labelled:
            ground_truth = sample.boxes[sample.class_ids == class_id]
            finds = own[own.class_ids == class_id]
            finds = finds[np.argsort(-finds.scores, kind="stable")]
            paired = pair(finds.boxes, ground_truth, overlap=overlap) >= 0
            counted = paired | ~mostly_inside(finds.boxes, sample.ignored_for(class_id))
            objects[class_id] += len(ground_truth)
            images.append(np.full(int(counted.sum()), number))
            class_ids.append(np.full(int(counted.sum()), class_id))
            scores.append(finds.scores[counted])
            right.append(paired[counted])
    return Matches(
        np.concatenate([*images, np.empty(0, np.int64)]),
        np.concatenate([*class_ids, np.empty(0, np.int64)]),
        np.concatenate([*scores, np.empty(0, np.float32)]),
        np.concatenate([*right, np.empty(0, bool)]),
        objects,
    )


def pair(finds: ndarray, ground_truth: ndarray, *, overlap: float) -> Int64[ndarray, " n"]:
    """The object each detection (best first) takes for itself, -1 where none is left for it.

    The better detection takes the object that both lie on.

    >>> detections = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]])
    >>> pair(detections, np.array([[0.0, 0, 10, 10]]), overlap=0.5).tolist()
    [0, -1, -1]
    """
    taken = np.full(len(finds), -1, np.int64)
    overlaps = iou(finds, ground_truth)
    for row in range(len(finds) if len(ground_truth) else 0):
        best = int(overlaps[row].argmax())
        if overlaps[row, best] >= overlap:
            taken[row] = best
            overlaps[:, best] = -1.0
    return taken


def mostly_inside(boxes: ndarray, regions: ndarray) -> Bool[ndarray, " n"]:
    """Boxes of which more than half lies in one of the regions.

    >>> mostly_inside(np.array([[0.0, 0, 10, 10], [6, 0, 16, 10]]), np.array([[0.0, 0, 10, 10]])).tolist()
    [True, False]
    """
    if not len(regions) or not len(boxes):
        return np.zeros(len(boxes), bool)
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2).max(axis=1)
    return np.asarray(shared > 0.5 * area(boxes))


def best_point(matches: Matches, *, precision: float = 0.0) -> OperatingPoint | None:
    """The threshold with the best F1 over all finds, rounded down to a hundredth; None without finds or objects.

    With `precision`, the best of those at which at least this share of the finds is right, where there is one.
    """
    if not len(matches.scores) or not matches.objects.sum():
        return None
    scores, precisions, recall = matches.curve()
    last = np.append(scores[1:] != scores[:-1], True)  # equal scores stand or fall together
    f1 = np.where(last, 2 * precisions * recall / np.maximum(precisions + recall, 1e-9), -1.0)
    f1 = np.where(precisions >= precision, f1, f1 - 2.0)
    confidence = float(np.floor(scores[int(f1.argmax())] * 100) / 100)
    row = int((scores >= confidence).sum()) - 1
    return OperatingPoint(confidence, float(precisions[row]), float(recall[row]))


def confuse(
    samples: Sequence[Sample],
    found: Sequence[Detections],
    class_count: int,
    *,
    confidence: float,
    overlap: float = 0.5,
) -> Int64[ndarray, "k k"]:
    """How often each class (row) was found as each class (column); the last row and column stand for nothing.

    Pairs regardless of class, best score first; classes that an image does not label are left out there.
    """
    counts = np.zeros((class_count + 1, class_count + 1), np.int64)
    for sample, own in zip(samples, found, strict=True):
        labelled = np.isin(sample.class_ids, sample.labelled)
        ground_truth, classes = sample.boxes[labelled], sample.class_ids[labelled]
        finds = own[(own.scores >= confidence) & np.isin(own.class_ids, sample.labelled)]
        finds = finds[np.argsort(-finds.scores, kind="stable")]
        taken = pair(finds.boxes, ground_truth, overlap=overlap)
        counted = taken >= 0
        for class_id in sample.labelled:
            own_class = finds.class_ids == class_id
            counted[own_class] |= ~mostly_inside(finds.boxes[own_class], sample.ignored_for(class_id))
        rows = np.where(taken >= 0, np.append(classes, class_count)[taken], class_count)
        np.add.at(counts, (rows[counted], finds.class_ids[counted]), 1)
        missed = np.delete(classes, taken[taken >= 0])
        np.add.at(counts, (missed, np.full(len(missed), class_count)), 1)
    return counts
