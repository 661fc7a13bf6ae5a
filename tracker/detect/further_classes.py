"""What else an object may be: weaker classes of one and the same thing, for thresholds low enough to ask for them.

A class of its own sigmoid says nothing of the others (Redmon and Farhadi, YOLOv3, 2018, section 2.2), so that an
uncertain object scores as a car and as a truck, and suppression class by class leaves both. Where we differ: an object
is of one class. What it is by s leaves 1 - s for everything else, so another class of its box that scored t <= s counts
for t (1 - s), a quarter at most, and so does a box that a better one of another class covers. At the usual thresholds
one class is left. Average precision, which asks each class alone and down to the weakest, finds
an uncertain object under each of its names.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from tracker.geometry import iou, nms

__all__ = ["LARGEST", "ONE_OBJECT_IOU", "chances_left", "weigh_contradicted"]

ONE_OBJECT_IOU = 0.85
"""Boxes of two classes that overlap more than this are one object with two names."""
LARGEST = 0.25
"""Score that no further class of an object exceeds: t (1 - s) is largest where both are a half."""


def chances_left(chances: Float32[ndarray, "n q"], best: Float32[ndarray, " n"]) -> Float32[ndarray, "n q"]:
    """What each class of a box counts for beside its best one, which scores `best`.

    A car by 0.6 that may be a truck by 0.5: 0.5 (1 - 0.6) = 0.2.

    >>> left = chances_left(np.array([[0.6, 0.5]], np.float32), np.array([0.6], np.float32))
    >>> round(float(left[0, 1]), 3)
    0.2
    """
    left: ndarray = chances * (1 - best[:, None])
    return left


def weigh_contradicted(
    boxes: Float32[ndarray, "n 4"], scores: Float32[ndarray, " n"], *, least: float, overlap: float = ONE_OBJECT_IOU
) -> tuple[ndarray, Float32[ndarray, " n"]]:
    """(rows, best first; their scores), where suppression over all classes would drop some: t (1 - s) for these.

    s is the score of the better box that they overlap most. What is that very box under a further class has been
    weighed already. Rows that this takes below `least` are left out.

    A car by 0.7, a truck by 0.6 in its place, and a truck elsewhere by 0.1: 0.6 (1 - 0.7) = 0.18.

    >>> boxes = np.array([[0, 0, 20, 10], [0, 0, 20, 9.5], [50, 0, 60, 10]], np.float32)
    >>> rows, weighed = weigh_contradicted(boxes, np.array([0.7, 0.6, 0.1], np.float32), least=0.01)
    >>> rows.tolist(), weighed.astype(float).round(2).tolist()
    ([0, 1, 2], [0.7, 0.18, 0.1])
    """
    firsts = nms(boxes, scores, threshold=overlap)
    others = np.setdiff1d(np.arange(len(boxes)), firsts)
    weighed = np.array(scores, np.float32)
    if len(others):
        better = scores[firsts] >= scores[others, None]
        objects = firsts[np.where(better, iou(boxes[others], boxes[firsts]), -1).argmax(axis=1)]
        apart = (boxes[others] != boxes[objects]).any(axis=1)
        weighed[others[apart]] *= 1 - weighed[objects[apart]]
    rows = np.concatenate((firsts, others[weighed[others] >= least]))
    rows = rows[np.argsort(-weighed[rows], kind="stable")]
    return rows, weighed[rows]
