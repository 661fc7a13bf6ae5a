"""How far an exported network's answers are from those of the network it was made of, anchor by anchor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8
from numpy import ndarray

from tracker.detect.yolo_detector import RawArrays, RunRaw

__all__ = ["Parity", "compare_engines"]


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest differences over all anchors that speak up in either network."""

    box: float
    """Pixels of the network's input."""
    score: float
    mask: float
    """Of the coverage 0..1 at any point of the prototypes, for any anchor that speaks up."""
    anchors: int
    """Anchors compared."""


def compare_engines(
    reference: RunRaw,
    other: RunRaw,
    canvases: Iterable[UInt8[ndarray, "h w 3"]],
    *,
    anchors: Sequence[Sequence[tuple[float, float]]],
    strides: Sequence[int],
    classes: int,
    lowest: float = 0.05,
) -> Parity:
    """Run both on each canvas; an anchor speaks up when its best class scores at least `lowest` in either."""
    box = score = mask = 0.0
    count = 0
    for canvas in canvases:
        *levels, prototypes = _one(reference(canvas[None]))
        *others, other_prototypes = _one(other(canvas[None]))
        for mine, theirs, pairs, stride in zip(levels, others, anchors, strides, strict=True):
            scores, other_scores = best_scores(mine, classes), best_scores(theirs, classes)
            spoken = np.nonzero(np.maximum(scores, other_scores) >= lowest)
            if not len(spoken[0]):
                continue
            count += len(spoken[0])
            score = max(score, float(np.abs(scores - other_scores)[spoken].max()))
            cells, other_cells = (level.transpose(0, 2, 3, 1)[spoken] for level in (mine, theirs))
            sizes = np.array(pairs)[spoken[0]]
            box = max(box, float(np.abs(edges(cells, sizes, stride) - edges(other_cells, sizes, stride)).max()))
            if prototypes.shape[0]:
                coverage = covered(cells[:, 5 + classes :], prototypes)
                other_coverage = covered(other_cells[:, 5 + classes :], other_prototypes)
                mask = max(mask, float(np.abs(coverage - other_coverage).max()))
    return Parity(box, score, mask, count)


def _one(raw: RawArrays) -> list[ndarray]:
    """The levels and the prototypes of the first canvas."""
    return [part[0].astype(np.float64) for part in (*raw.levels, raw.prototypes)]


def sigmoid(x: ndarray) -> ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -50, 50))))


def best_scores(level: Float64[ndarray, "k c h w"], classes: int) -> Float64[ndarray, "k h w"]:
    """Objectness times the best class."""
    return np.asarray(sigmoid(level[:, 4]) * sigmoid(level[:, 5 : 5 + classes]).max(axis=1))


def edges(cells: Float64[ndarray, "n c"], sizes: Float64[ndarray, "n 2"], stride: int) -> Float64[ndarray, "n 4"]:
    """Left, top, right, bottom from the cell's own corner."""
    half = sizes * np.exp(np.clip(cells[:, 2:4], -20, 20)) / 2
    centre = cells[:, :2] * stride
    return np.concatenate((centre - half, centre + half), axis=1)


def covered(coefficients: Float64[ndarray, "n m"], prototypes: Float64[ndarray, "m h w"]) -> Float64[ndarray, "n p"]:
    """Coverage at every fourth prototype cell, which is enough to tell two networks apart."""
    return sigmoid(coefficients @ prototypes[:, ::4, ::4].reshape(len(prototypes), -1))
