"""Who could be who: overlapping pairs without the full matrix, similarities of pairs, and the best assignment.

Everything works on sparse candidate pairs (rows, cols, value). A pair that competes with no other is taken as it
is; only what is ambiguous goes to the solver, so the cost grows with the crowding, not with the square of the objects.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from tracker.track.augmenting_paths import best_matching
from tracker.track.jit import compiled

__all__ = ["Pairs", "Similarity", "assign", "assign_then_reject", "compare", "overlapping", "similarity"]

Corners: TypeAlias = Float64[ndarray, "4 n"]
"""xyxy boxes, coordinates first."""
Pairs: TypeAlias = tuple[Int64[ndarray, " k"], Int64[ndarray, " k"]]
Similarity: TypeAlias = Literal["iou", "giou", "height_iou"]
KINDS: tuple[Similarity, ...] = get_args(Similarity)
IOU, GIOU, HEIGHT_IOU = range(3)
"""Their places in KINDS, for compiled functions."""

DENSE_LIMIT = 4096
"""Up to this many combinations all pairs are compared at once; above, boxes are swept along x."""


@compiled
def _expand(boxes: Corners, share: float) -> Corners:
    """Boxes grown on every side by a share of their own width and height."""
    margin = (boxes[2:] - boxes[:2]) * share
    grown = boxes.copy()
    grown[:2] -= margin
    grown[2:] += margin
    return grown


@compiled
def overlapping(a: Float64[ndarray, "4 n"], b: Float64[ndarray, "4 m"]) -> Pairs:
    """Every pair of a box in `a` and a box in `b` that share some area, ordered by the box in `a`.

    >>> a = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]]).T
    >>> b = np.array([[25.0, 5, 40, 20], [5, 5, 15, 15], [10, 0, 20, 10]]).T  # the last only touches both
    >>> [places.tolist() for places in overlapping(a, b)]
    [[0, 1], [1, 0]]
    """
    n, m = a.shape[1], b.shape[1]
    if n * m <= DENSE_LIMIT:
        return _all_overlapping(a, b)
    return _swept_overlapping(a, b)


@compiled
def _all_overlapping(a: Float64[ndarray, "4 n"], b: Float64[ndarray, "4 m"]) -> Pairs:
    meet = b[:2, None, :] < a[2:, :, None]
    meet &= b[2:, None, :] > a[:2, :, None]
    rows, cols = np.logical_and(meet[0], meet[1]).nonzero()
    return rows, cols


@compiled
def _swept_overlapping(a: Float64[ndarray, "4 n"], b: Float64[ndarray, "4 m"]) -> Pairs:
    """Boxes of `b` sorted by their left edge; only those near along x are compared."""
    order = np.argsort(b[0], kind="mergesort")
    left, top, right, bottom = b[0].take(order), b[1].take(order), b[2].take(order), b[3].take(order)
    reach = (right - left).max()
    first = np.searchsorted(left, a[0] - reach)
    counts = np.searchsorted(left, a[2]) - first
    ends = counts.cumsum()
    place = np.arange(ends[-1]) + (first - ends + counts).repeat(counts)
    near = bottom.take(place) > a[1].repeat(counts)
    near &= top.take(place) < a[3].repeat(counts)
    near &= right.take(place) > a[0].repeat(counts)
    chosen = near.nonzero()[0]
    return np.arange(len(counts)).repeat(counts).take(chosen), order.take(place.take(chosen))


def similarity(
    kind: Similarity, a: Float64[ndarray, "4 n"], b: Float64[ndarray, "4 m"], rows: ndarray, cols: ndarray
) -> Float64[ndarray, " k"]:
    """How alike each pair of boxes is, 1 for equal ones.

    iou: intersection over union. giou: the same less the share of the enclosing box neither covers (Rezatofighi
    et al., 2019). height_iou: IoU times the IoU of the vertical extents, which tells people of different distance
    apart (Yang et al., 2024).
    """
    return _similarity(KINDS.index(kind), a, b, rows, cols)


@compiled
def _similarity(
    kind: int, a: Float64[ndarray, "4 n"], b: Float64[ndarray, "4 m"], rows: ndarray, cols: ndarray
) -> Float64[ndarray, " k"]:
    first, second = a[:, rows], b[:, cols]
    inner = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    inner = np.maximum(inner, 0.0)
    intersection = inner[0] * inner[1]
    size_a, size_b = first[2:] - first[:2], second[2:] - second[:2]
    union = size_a[0] * size_a[1] + size_b[0] * size_b[1] - intersection
    overlap: ndarray = intersection / union
    if kind == HEIGHT_IOU:
        overlap *= inner[1] / (size_a[1] + size_b[1] - inner[1])
    elif kind == GIOU:
        around = np.maximum(first[2:], second[2:]) - np.minimum(first[:2], second[:2])
        overlap -= 1.0 - union / (around[0] * around[1])
    return overlap


def compare(
    kind: Similarity, a: Float64[ndarray, "4 n"], b: Float64[ndarray, "4 m"], margin: float
) -> tuple[ndarray, ndarray, Float64[ndarray, " k"]]:
    """Every pair of boxes that share some area once all are grown by `margin` of their size, and their similarity."""
    return _compare(KINDS.index(kind), a, b, margin)


@compiled
def _compare(
    kind: int, a: Float64[ndarray, "4 n"], b: Float64[ndarray, "4 m"], margin: float
) -> tuple[ndarray, ndarray, Float64[ndarray, " k"]]:
    if margin > 0:
        a, b = _expand(a, margin), _expand(b, margin)
    rows, cols = overlapping(a, b)
    return rows, cols, _similarity(kind, a, b, rows, cols)


def assign(rows: ndarray, cols: ndarray, gains: Float64[ndarray, " k"]) -> Pairs:
    """The one-to-one choice among the pairs with the largest sum of gains; pairs without gain are never chosen.

    Equal to a full assignment where every other pair gains nothing, such as SORT's on IoU, or DeepSORT's and
    ByteTrack's with gain = gate - cost.

    Track 0 would gain most from detection 0, but then track 1 would have nothing: 0.6 + 0.5 is more than 0.9.

    >>> rows, cols = np.array([0, 0, 1]), np.array([0, 1, 0])
    >>> pairs = assign(rows, cols, np.array([0.9, 0.6, 0.5]))
    >>> sorted(zip(*(places.tolist() for places in pairs)))
    [(0, 1), (1, 0)]
    """
    if len(rows) == 0:
        return rows, cols
    rows, cols, competing_rows, competing_cols, gains = _uncontested(rows, cols, gains)
    if len(competing_rows) == 0:
        return rows, cols
    chosen = best_matching(competing_rows, competing_cols, gains)
    return np.concatenate([rows, competing_rows[chosen]]), np.concatenate([cols, competing_cols[chosen]])


@compiled
def _uncontested(
    rows: ndarray, cols: ndarray, gains: Float64[ndarray, " k"]
) -> tuple[ndarray, ndarray, ndarray, ndarray, ndarray]:
    """The pairs with a gain and no competitor, and the others that have a gain."""
    useful = (gains > 0).nonzero()[0]
    rows, cols, gains = rows[useful], cols[useful], gains[useful]
    uncontested = np.bincount(rows)[rows] == 1
    uncontested &= np.bincount(cols)[cols] == 1
    alone, others = uncontested.nonzero()[0], (~uncontested).nonzero()[0]
    return rows[alone], cols[alone], rows[others], cols[others], gains[others]


def assign_then_reject(
    rows: ndarray,
    cols: ndarray,
    values: Float64[ndarray, " k"],
    shape: tuple[int, int],
    *,
    overlaps: Float64[ndarray, " k"],
    threshold: float,
) -> Pairs:
    """SORT's rule: the assignment with the largest sum of values, from which overlaps below `threshold` are struck out.

    As in SORT's own code, when the pairs above the threshold do not compete they are taken without an assignment.

    Both tracks want detection 0; the sum is largest with track 0 on detection 1, whose overlap is too small.

    >>> rows, cols, overlaps = np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0.6, 0.2, 0.5])
    >>> pairs = assign_then_reject(rows, cols, overlaps, (2, 2), overlaps=overlaps, threshold=0.3)
    >>> [places.tolist() for places in pairs]
    [[1], [0]]
    """
    above = overlaps > threshold
    strong_rows, strong_cols = rows[above], cols[above]
    if len(strong_rows) and np.bincount(strong_rows).max() == 1 and np.bincount(strong_cols).max() == 1:
        return strong_rows, strong_cols
    chosen_rows, chosen_cols = assign(rows, cols, values)
    accepted = overlaps >= threshold
    width = shape[1]
    kept = np.isin(chosen_rows * width + chosen_cols, rows[accepted] * width + cols[accepted])
    return chosen_rows[kept], chosen_cols[kept]
