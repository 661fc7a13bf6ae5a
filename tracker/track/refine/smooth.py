"""Boxes of finished tracks as the whole recording shows them: Rauch-Tung-Striebel smoothing over all tracks at once.

Rauch, Tung and Striebel, AIAA Journal 1965, on the block filter of kalman.py: forward in time through every frame,
predicting where a track is not seen, then backward. Frames in which a track is missing are filled on the way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from tracker.track.kalman import BoxFilter, FilterState

__all__ = ["FIT_ROWS", "Smoothed", "fit_noise", "smooth"]

VELOCITY_NOISES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)
MEASUREMENT_NOISES = (0.25, 0.5, 0.75, 1.0, 1.5)
POSITION_NOISE = 0.01
FIT_ROWS = 1500
"""Rows of a recording that the noise is measured on."""
MEASUREMENT_SHARE = 0.05
SHORTEST_STEP = 1e-6
FORESEEN = (0.2, 0.5)
"""Mean offset of a track's boxes from where they were expected, in shares of their size, up to which smoothing is
believed, and from which it is not: a car at one frame a second turns between two of them."""
FARTHEST = 2.0
"""One offset counts at most this much in the mean."""
OUTLIER = 9.0
"""Squared innovations count at most this much in the fit, in variances."""


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """Rows ordered by frame: every track in every frame from its first to its last."""

    frames: Int64[ndarray, " m"]
    tracks: Int64[ndarray, " m"]
    boxes: Float64[ndarray, "m 4"]
    position_std: Float64[ndarray, " m"]
    """Standard deviation of the box's place, as a share of its size."""
    trust: Float64[ndarray, " m"]
    """1 where the track's motion was foreseen to a few hundredths of its size, 0 where the boxes alone tell the way."""


def smooth(
    box_filter: BoxFilter,
    frames: Int64[ndarray, " n"],
    tracks: Int64[ndarray, " n"],
    boxes: Float64[ndarray, "n 4"],
    ratios: Float64[ndarray, " f"],
) -> Smoothed:
    """Every track smoothed, in every frame from its first row to its last; one row or more.

    Rows come ordered by frame, at most one a track and frame; `tracks` count from 0. `ratios` are the times from
    the frame before, in nominal intervals.
    """
    passed = _forward(box_filter, frames, tracks, boxes, ratios)
    start = int(frames[0])
    positions, variances = _backward(passed, ratios[start:])
    place = np.concatenate(positions, axis=1)
    spread = np.concatenate(variances, axis=1)
    sides = np.maximum(place[2:], 1.0)
    rows = np.concatenate(passed.present)
    foreseen, blind = FORESEEN
    return Smoothed(
        np.concatenate([np.full(len(active), start + step) for step, active in enumerate(passed.present)]),
        rows,
        box_filter.boxes(place).T,
        np.sqrt((spread[:2] / sides**2).sum(axis=0)),
        np.clip((blind - passed.offsets[rows]) / (blind - foreseen), 0.0, 1.0),
    )


def fit_noise(
    frames: Int64[ndarray, " n"],
    tracks: Int64[ndarray, " n"],
    boxes: Float64[ndarray, "n 4"],
    ratios: Float64[ndarray, " f"],
) -> BoxFilter:
    """The filter under which the recording's own boxes are likeliest: how shaky detections, how wild motion is."""
    frames, tracks, boxes = frames[:FIT_ROWS], tracks[:FIT_ROWS], boxes[:FIT_ROWS]
    _, tracks = np.unique(tracks, return_inverse=True)

    def candidate(velocity: float, measurement: float) -> tuple[float, BoxFilter]:
        box_filter = BoxFilter(
            "xywh",
            position_weight=POSITION_NOISE,
            velocity_weight=velocity,
            measurement_weight=measurement * MEASUREMENT_SHARE / POSITION_NOISE,
        )
        return _forward(box_filter, frames, tracks, boxes, ratios).likelihood, box_filter

    velocity, measurement = VELOCITY_NOISES[2], MEASUREMENT_NOISES[2]
    _, measurement = max((candidate(velocity, each)[0], each) for each in MEASUREMENT_NOISES)
    _, velocity = max((candidate(each, measurement)[0], each) for each in VELOCITY_NOISES)
    _, measurement = max((candidate(velocity, each)[0], each) for each in MEASUREMENT_NOISES)
    return candidate(velocity, measurement)[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Passed:
    """What the forward pass leaves for the backward one, frame by frame."""

    count: int
    present: list[Int64[ndarray, " k"]]
    predictions: list[FilterState]
    estimates: list[FilterState]
    likelihood: float
    """Mean log-likelihood of the measurements."""
    offsets: Float64[ndarray, " t"]
    """How far each track's boxes lay from where they were expected, in shares of their size: the mean."""


def _forward(
    box_filter: BoxFilter,
    frames: Int64[ndarray, " n"],
    tracks: Int64[ndarray, " n"],
    boxes: Float64[ndarray, "n 4"],
    ratios: Float64[ndarray, " f"],
) -> _Passed:
    count = int(tracks.max()) + 1
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    np.minimum.at(first, tracks, frames)
    np.maximum.at(last, tracks, frames)
    start, end = int(frames[0]), int(frames[-1])
    cuts = frames.searchsorted(np.arange(start, end + 2))
    measured = box_filter.measure(np.ascontiguousarray(boxes.T))
    state: FilterState = np.zeros((5, 4, count))
    state[0], state[2], state[4] = 1.0, 1.0, 1.0
    present: list[ndarray] = []
    predictions: list[FilterState] = []
    estimates: list[FilterState] = []
    likelihood, weighed = 0.0, 0
    offsets, foreseen = np.zeros(count), np.zeros(count)
    for frame in range(start, end + 1):
        active = ((first <= frame) & (frame <= last)).nonzero()[0]
        here = slice(cuts[frame - start], cuts[frame - start + 1])
        seen, z = tracks[here], measured[:, here]
        predicted = box_filter.predict(state[:, :, active], max(float(ratios[frame]), SHORTEST_STEP))
        state[:, :, active] = predicted
        begun = first[seen] < frame
        fresh, going = seen[~begun], seen[begun]
        state[:, :, fresh] = box_filter.start(z[:, ~begun])
        if len(going):
            before = state[:, :, going]
            variance = box_filter.measurement_variance(before)
            surprise = np.minimum((z[:, begun] - before[0]) ** 2 / variance, OUTLIER)
            likelihood -= float((surprise + np.log(variance)).sum()) / 2
            weighed += len(going)
            away = np.abs(z[:2, begun] - before[0, :2]) / np.maximum(before[0, 2:], 1.0)
            offsets[going] += np.minimum(away.sum(axis=0), FARTHEST)
            foreseen[going] += 1
            state[:, :, going] = box_filter.update(before, z[:, begun])
        present.append(active)
        predictions.append(predicted)
        estimates.append(state[:, :, active])
    offsets /= np.maximum(foreseen, 1)
    return _Passed(count, present, predictions, estimates, likelihood / max(weighed, 1), offsets)


def _backward(
    passed: _Passed, ratios: Float64[ndarray, " f"]
) -> tuple[list[Float64[ndarray, "4 k"]], list[Float64[ndarray, "4 k"]]]:
    """Smoothed positions and their variances for the tracks present in each frame."""
    smoothed = np.zeros((5, 4, passed.count))
    predicted_next = np.zeros((5, 4, passed.count))
    later = np.zeros(passed.count, bool)
    positions, variances = [], []
    for step in range(len(passed.present) - 1, -1, -1):
        active, estimate = passed.present[step], passed.estimates[step]
        going_on = later[active]
        rows = active[going_on]
        state = estimate
        if len(rows):
            ratio = max(float(ratios[step + 1]), SHORTEST_STEP)
            state = estimate.copy()
            state[:, :, going_on] = _with_future(
                estimate[:, :, going_on], predicted_next[:, :, rows], smoothed[:, :, rows], ratio
            )
        smoothed[:, :, active] = state
        predicted_next[:, :, active] = passed.predictions[step]
        later[:] = False
        later[active] = True
        if step:
            begins = np.ones(passed.count, bool)
            begins[passed.present[step - 1]] = False
            later &= ~begins
        positions.append(state[0])
        variances.append(state[2])
    return positions[::-1], variances[::-1]


def _with_future(estimate: FilterState, predicted: FilterState, smoothed: FilterState, ratio: float) -> FilterState:
    """The estimate corrected by what came later: gain times (smoothed - predicted), in 2 x 2 blocks."""
    variance, covariance, speed_variance = estimate[2:]
    a, b, d = predicted[2:]
    determinant = np.maximum(a * d - b * b, 1e-300)
    # Gain G = P F^T S^-1 with P the estimate's block, F the transition and S the predicted block.
    pp, pv = variance + ratio * covariance, covariance
    vp, vv = covariance + ratio * speed_variance, speed_variance
    g11, g12 = (pp * d - pv * b) / determinant, (pv * a - pp * b) / determinant
    g21, g22 = (vp * d - vv * b) / determinant, (vv * a - vp * b) / determinant
    shift, speed_shift, da, db, dd = smoothed - predicted
    corrected: FilterState = estimate + np.stack(
        [
            g11 * shift + g12 * speed_shift,
            g21 * shift + g22 * speed_shift,
            g11 * g11 * da + 2 * g11 * g12 * db + g12 * g12 * dd,
            g11 * g21 * da + (g11 * g22 + g12 * g21) * db + g12 * g22 * dd,
            g21 * g21 * da + 2 * g21 * g22 * db + g22 * g22 * dd,
        ]
    )
    return corrected
