"""One constant-velocity Kalman filter over all tracks at once, in the three box spaces trackers use.

Wojke et al., ICIP 2017 (xyah: centre, aspect, height), Bewley et al., ICIP 2016 (xysr: centre, area, aspect) and
Aharon et al., 2022 (xywh: centre, width, height). In all three every coordinate moves on its own: the transition
couples a coordinate with its own velocity only and all noise is diagonal, so the 8 x 8 covariance is four 2 x 2
blocks. We keep those blocks (variance, covariance with the velocity, velocity's variance) and nothing else, which
is exact and turns matrix algebra into a few array operations. Where we differ: time is real. The papers' noise is
per frame; here a step takes `ratio` nominal frame intervals, and one step of two intervals equals two steps of one.

The state is one array (5, 4, n): position, velocity (per nominal interval), variance, covariance and velocity's
variance, for four coordinates of n tracks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from tracker.track.jit import compiled

__all__ = ["BoxFilter", "FilterState", "Space"]

FilterState: TypeAlias = Float64[ndarray, "5 4 n"]
Space: TypeAlias = Literal["xyah", "xysr", "xywh"]
Rows = ndarray

SPACES: tuple[Space, ...] = ("xyah", "xysr", "xywh")
XYAH, XYSR, XYWH = range(3)
"""Their places in SPACES, for compiled functions."""
NO_EXTRA_NOISE = np.zeros(1)
FULL_NOISE = np.ones(1)
"""Share of the measurement noise that counts where scores do not."""
FRESH_POSITION, FRESH_VELOCITY = 2, 10
"""Deviations of a track seen once, in those of a measurement and of a velocity's noise: DeepSORT's."""
STEPS_KNOWN = 64
"""Transitions remembered: frames come at a few distances, and where each is its own, old ones are forgotten."""
SMALLEST = 1e-3
"""Sizes that a prediction drove below nothing are held here; DeepSORT's xyah lets heights run through zero."""


@dataclass(frozen=True, slots=True, eq=False)
class _Noise:
    """Standard deviations squared: `scaled` times the squared box size, plus `fixed`."""

    scaled: Float64[ndarray, "k 4 1"]
    fixed: Float64[ndarray, "k 4 1"]


class BoxFilter:
    """The filter of one box space with the noise of its paper.

    `position_weight` and `velocity_weight` are DeepSORT's: standard deviations as a share of the box's size.
    SORT's xysr space has constant noise and ignores them; `measurement_weight` scales every space's measurement noise.
    """

    def __init__(
        self,
        space: Space,
        *,
        position_weight: float = 1 / 20,
        velocity_weight: float = 1 / 160,
        measurement_weight: float = 1.0,
    ) -> None:
        self.space = space
        self._code = SPACES.index(space)
        self._size_rows = np.array([2, 3, 2, 3] if space == "xywh" else [3, 3, 3, 3])
        self._process, self._initial, measured = _noises(space, position_weight, velocity_weight)
        self._measured = _Noise(measured.scaled[0] * measurement_weight**2, measured.fixed[0] * measurement_weight**2)
        self._steps: dict[float, tuple[ndarray, _Noise, ndarray]] = {}

    def measure(self, boxes: Float64[ndarray, "4 n"]) -> Float64[ndarray, "4 n"]:
        """What the filter observes of xyxy boxes, coordinates first."""
        return _measured(boxes, self._code)

    def boxes(self, positions: Float64[ndarray, "4 n"]) -> Float64[ndarray, "4 n"]:
        """The xyxy boxes of filter positions, coordinates first."""
        return _corners(positions, self._code)

    def start(self, z: Float64[ndarray, "4 n"], speed: float = 0.0) -> FilterState:
        """Fresh states at the measurements, at rest and unsure of their velocity.

        `speed` is its standard deviation in sizes per nominal interval; 0 takes the paper's.
        """
        state = np.zeros((5, *z.shape))
        state[0] = z
        size = np.square(z[self._size_rows])
        state[2] = self._initial.scaled[0] * size + self._initial.fixed[0]
        state[4] = self._initial.scaled[1] * size + self._initial.fixed[1] if not speed else speed * speed * size
        return state

    def predict(
        self, state: FilterState, ratio: float, extra_velocity_noise: Float64[ndarray, " n"] | None = None
    ) -> FilterState:
        """The states `ratio` nominal frame intervals later.

        `extra_velocity_noise` is noise of the velocity beyond the paper's: a standard deviation per interval,
        as a fraction of the size.
        """
        step = self._steps.get(ratio)
        if step is None:
            step = self._steps[ratio] = _step(self._process, ratio)
            if len(self._steps) > STEPS_KNOWN:
                self._steps = {ratio: step}
        transition, noise, gathered = step
        if self.space == "xysr":
            vanishing = state[0, 2] + ratio * state[1, 2] <= 0
            if vanishing.any():
                state = state.copy()
                state[1, 2, vanishing] = 0.0
        least = -np.inf if self.space == "xyah" else SMALLEST
        if extra_velocity_noise is None:
            extra_velocity_noise = NO_EXTRA_NOISE
        return _moved(
            state, transition, noise.scaled, noise.fixed, gathered, self._size_rows, extra_velocity_noise, least
        )

    def measurement_variance(
        self, state: FilterState, scores: Float64[ndarray, " n"] | None = None
    ) -> Float64[ndarray, "4 n"]:
        """Variance of what would be measured: the state's own and the measurement's.

        With `scores` the measurement noise shrinks for confident detections (NSA, Du et al., 2021).
        """
        doubts = FULL_NOISE if scores is None else 1.0 - scores
        return _measured_variance(state, self._measured.scaled, self._measured.fixed, self._size_rows, doubts)

    def update(
        self, state: FilterState, z: Float64[ndarray, "4 n"], scores: Float64[ndarray, " n"] | None = None
    ) -> FilterState:
        """The states after seeing `z`; `scores` as for `measurement_variance`."""
        doubts = FULL_NOISE if scores is None else 1.0 - scores
        return _updated(state, z, self._measured.scaled, self._measured.fixed, self._size_rows, doubts)

    def correct(
        self,
        state: FilterState,
        rows: Int64[ndarray, " k"],
        boxes: Float64[ndarray, "4 k"],
        scores: Float64[ndarray, " k"] | None = None,
    ) -> Float64[ndarray, " k"]:
        """`update`, in place, of the states `rows` by xyxy boxes.

        Gives how far each box lies from where it was expected: the sum over x and y, in shares of its width and height.
        """
        doubts = FULL_NOISE if scores is None else 1.0 - scores
        noise = self._measured
        corrected, offsets = _corrected(
            state.take(rows, axis=2), boxes, noise.scaled, noise.fixed, self._size_rows, doubts, self._code
        )
        state[:, :, rows] = corrected
        return offsets

    def gating_distance(
        self, state: FilterState, z: Float64[ndarray, "4 n"], variance: Float64[ndarray, "4 n"] | None = None
    ) -> Float64[ndarray, " n"]:
        """Squared Mahalanobis distance of each track to the measurement in its column.

        Compare with the 0.95 quantile of chi-square, 4 degrees of freedom: 9.4877. `variance` saves computing
        `measurement_variance` again.
        """
        if variance is None:
            variance = self.measurement_variance(state)
        offset = z - state[0]
        offset *= offset
        offset /= variance
        distance: ndarray = offset.sum(axis=0)
        return distance

    def along_straight_path(
        self,
        state: FilterState,
        start: Float64[ndarray, "4 n"],
        end: Float64[ndarray, "4 n"],
        gaps: Int64[ndarray, " n"],
    ) -> FilterState:
        """States had the objects been seen all along on a straight path, the box at its end included.

        `state` stands where they were last seen, in the boxes `start`; `end` are the boxes `gaps` intervals later
        (OC-SORT's re-update). Update with `end` once more after this: so does OC-SORT's own code.
        """
        for step in range(1, int(gaps.max()) + 1):
            passing = self.measure(start + (end - start) * np.minimum(step / gaps, 1.0))
            state = np.where(step <= gaps, self.update(self.predict(state, 1.0), passing), state)
        return state

    def rescale_time(self, state: FilterState, ratio: float) -> FilterState:
        """The same states with velocities per an interval `ratio` times as long."""
        factors = np.array([1.0, ratio, 1.0, ratio, ratio * ratio])
        rescaled: FilterState = state * factors[:, None, None]
        return rescaled

    def velocities(self, state: FilterState) -> Float64[ndarray, "2 n"]:
        """Velocity of the centre per nominal frame interval, x then y."""
        return state[1, :2]

    def warp(self, state: FilterState, affine: Float64[ndarray, "2 3"]) -> FilterState:
        """The states as seen after the camera moved by `affine` (old pixels to new ones).

        Centres and velocities follow the map; sizes and uncertainty follow its scale. A rotation mixes x and y
        uncertainty, which the block form cannot hold; for the small turns between frames that is far below the noise.
        """
        linear, shift = affine[:, :2], affine[:, 2:]
        zoom = float(np.sqrt(abs(np.linalg.det(linear))))
        warped: FilterState = state.copy()
        warped[0, :2] = linear @ state[0, :2] + shift
        warped[1, :2] = linear @ state[1, :2]
        warped[2:, :2] *= zoom * zoom
        if self.space == "xywh":
            warped[:2, 2:] *= zoom
            warped[2:, 2:] *= zoom * zoom
        elif self.space == "xyah":
            warped[:2, 3] *= zoom
            warped[2:, 3] *= zoom * zoom
        else:
            warped[:2, 2] *= zoom * zoom
            warped[2:, 2] *= zoom**4
        return warped


@compiled
def _measured(boxes: Float64[ndarray, "4 n"], space: int) -> Float64[ndarray, "4 n"]:
    centre, size = (boxes[:2] + boxes[2:]) * 0.5, boxes[2:] - boxes[:2]
    if space == XYAH:
        size = np.stack((size[0] / size[1], size[1]))
    elif space == XYSR:
        size = np.stack((size[0] * size[1], size[0] / size[1]))
    return np.concatenate((centre, size))


@compiled
def _corners(positions: Float64[ndarray, "4 n"], space: int) -> Float64[ndarray, "4 n"]:
    half = positions[2:] * 0.5
    if space == XYAH:
        half = np.stack((positions[2] * half[1], half[1]))
    elif space == XYSR:
        width = np.sqrt(positions[2] * positions[3])
        half = np.stack((width * 0.5, positions[2] / width * 0.5))
    return np.concatenate((positions[:2] - half, positions[:2] + half))


@compiled
def _moved(
    state: FilterState,
    transition: Float64[ndarray, "5 5"],
    scaled: Float64[ndarray, "3 4 1"],
    fixed: Float64[ndarray, "3 4 1"],
    of_velocity: Float64[ndarray, "3 1 1"],
    size_rows: Int64[ndarray, " 4"],
    extra_velocity_noise: Float64[ndarray, " n"],
    least_size: float,
) -> FilterState:
    count = state.shape[2]
    moved: ndarray = (transition @ np.ascontiguousarray(state).reshape(5, 4 * count)).reshape(5, 4, count)
    size = state[0][size_rows]
    size = size * size
    restless = size * (extra_velocity_noise * extra_velocity_noise)
    for row in range(3):
        moved[2 + row] += scaled[row] * size + of_velocity[row] * restless + fixed[row]
    for coordinate in range(2, 4):
        sizes = moved[0, coordinate]
        sizes[sizes < least_size] = least_size
    return moved


@compiled
def _measured_variance(
    state: FilterState,
    scaled: Float64[ndarray, "4 1"],
    fixed: Float64[ndarray, "4 1"],
    size_rows: Int64[ndarray, " 4"],
    doubts: Float64[ndarray, " n"],
) -> Float64[ndarray, "4 n"]:
    noise = state[0][size_rows]
    noise *= noise
    total: ndarray = state[2] + (noise * scaled + fixed) * doubts
    return total


@compiled
def _updated(
    state: FilterState,
    z: Float64[ndarray, "4 n"],
    scaled: Float64[ndarray, "4 1"],
    fixed: Float64[ndarray, "4 1"],
    size_rows: Int64[ndarray, " 4"],
    doubts: Float64[ndarray, " n"],
) -> FilterState:
    variance = _measured_variance(state, scaled, fixed, size_rows, doubts)
    offset = z - state[0]
    gain, speed_gain = state[2] / variance, state[3] / variance
    updated: FilterState = state.copy()
    updated[0] += gain * offset
    updated[1] += speed_gain * offset
    updated[2] -= gain * state[2]
    updated[3] -= gain * state[3]
    updated[4] -= speed_gain * state[3]
    return updated


@compiled
def _corrected(
    state: FilterState,
    boxes: Float64[ndarray, "4 n"],
    scaled: Float64[ndarray, "4 1"],
    fixed: Float64[ndarray, "4 1"],
    size_rows: Int64[ndarray, " 4"],
    doubts: Float64[ndarray, " n"],
    space: int,
) -> tuple[FilterState, Float64[ndarray, " n"]]:
    z = _measured(boxes, space)
    offset = np.abs(z[:2] - state[0, :2]) / (boxes[2:] - boxes[:2])
    return _updated(state, z, scaled, fixed, size_rows, doubts), offset[0] + offset[1]


def _column(*rows: tuple[float, float, float, float]) -> Float64[ndarray, "k 4 1"]:
    return np.array(rows, np.float64)[:, :, None]


def _noises(space: Space, position: float, velocity: float) -> tuple[_Noise, _Noise, _Noise]:
    """Process, initial and measurement variances: rows position and velocity, columns the four coordinates."""
    p, v = position**2, velocity**2
    none = (0.0, 0.0, 0.0, 0.0)
    if space == "xysr":  # SORT's own numbers (Bewley et al., 2016), in pixels and not in sizes
        return (
            _Noise(_column(none, none), _column((1, 1, 1, 1), (0.01, 0.01, 0.0001, 0))),
            _Noise(_column(none, none), _column((10, 10, 10, 10), (10_000, 10_000, 10_000, 0))),
            _Noise(_column(none), _column((1, 1, 10, 10))),
        )
    # A fresh track's deviations are twice those of a measurement and ten times those of a velocity (DeepSORT).
    fresh, unmoved = FRESH_POSITION**2 * p, FRESH_VELOCITY**2 * v
    if space == "xywh":  # BoT-SORT's: in widths along x, in heights along y
        return (
            _Noise(_column((p, p, p, p), (v, v, v, v)), _column(none, none)),
            _Noise(_column((fresh,) * 4, (unmoved,) * 4), _column(none, none)),
            _Noise(_column((p, p, p, p)), _column(none)),
        )
    # DeepSORT's: in heights, the aspect ratio in numbers of its own, which hardly let it change
    return (
        _Noise(_column((p, p, 0, p), (v, v, 0, v)), _column((0, 0, 1e-4, 0), (0, 0, 1e-10, 0))),
        _Noise(
            _column((fresh, fresh, 0, fresh), (unmoved, unmoved, 0, unmoved)),
            _column((0, 0, 1e-4, 0), (0, 0, 1e-10, 0)),
        ),
        _Noise(_column((p, p, 0, p)), _column((0, 0, 1e-2, 0))),
    )


def _step(process: _Noise, ratio: float) -> tuple[Float64[ndarray, "5 5"], _Noise, Float64[ndarray, "3 1 1"]]:
    """Transition over `ratio` intervals and the noise gathered meanwhile, as sums of `ratio` single steps give.

    The last are the factors by which noise of the velocity alone adds to the three variances.
    """
    transition = np.eye(5)
    transition[0, 1] = ratio
    transition[2, 3], transition[2, 4], transition[3, 4] = 2 * ratio, ratio * ratio, ratio
    first = ratio * (ratio - 1) / 2  # 0 + 1 + ... + (ratio - 1)
    second = max(ratio * (ratio - 1) * (2 * ratio - 1) / 6, 0.0)  # the same of squares

    def gathered(noise: Float64[ndarray, "2 4 1"]) -> Float64[ndarray, "3 4 1"]:
        position, velocity = noise
        return np.stack([ratio * position + second * velocity, first * velocity, ratio * velocity])

    of_velocity = np.array([second, first, ratio])[:, None, None]
    return transition, _Noise(gathered(process.scaled), gathered(process.fixed)), of_velocity
