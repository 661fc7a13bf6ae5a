"""The block filter against filterpy's full matrices."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tracker.track.kalman import BoxFilter, Space
from tracker.track.refine.smooth import smooth

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from filterpy.kalman import KalmanFilter

SPACES: tuple[Space, ...] = ("xyah", "xysr", "xywh")


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner, size = rng.uniform(0, 500, (2, count)), rng.uniform(20, 120, (2, count))
    return np.concatenate([corner, corner + size])


def noise(space: Space, size: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Initial, process and measurement matrices as the papers' own code writes them; `size` is width, height."""
    width, height = size
    if space == "xysr":
        return (
            np.diag([10.0] * 4 + [1e4] * 3 + [0]),
            np.diag([1.0, 1, 1, 1, 0.01, 0.01, 0.0001, 0]),
            np.diag([1.0, 1, 10, 10]),
        )
    sizes = np.array([height, height, 1, height] if space == "xyah" else [width, height, width, height])
    p, v = sizes / 20, sizes / 160
    initial, process, measured = np.r_[2 * p, 10 * v], np.r_[p, v], p.copy()
    if space == "xyah":
        initial[[2, 6]], process[[2, 6]], measured[2] = (1e-2, 1e-5), (1e-2, 1e-5), 1e-1
    return np.diag(initial**2), np.diag(process**2), np.diag(measured**2)


def size_of(space: Space, x: np.ndarray) -> np.ndarray:
    return np.array([x[2] * x[3], x[3]]) if space == "xyah" else x[2:4]


def reference(space: Space, z: np.ndarray) -> Any:
    full = KalmanFilter(dim_x=8, dim_z=4)
    full.F = np.eye(8) + np.eye(8, k=4)
    full.H = np.eye(4, 8)
    full.x = np.r_[z, np.zeros(4)]
    full.P = noise(space, size_of(space, z))[0]
    return full


def blocks(full: Any) -> np.ndarray:
    """The reference's state in our layout."""
    p = full.P
    return np.stack([full.x[:4], full.x[4:], p.diagonal()[:4], p.diagonal(4), p.diagonal()[4:]])


@pytest.mark.parametrize("space", SPACES)
def test_the_batched_filter_equals_filterpy(space: Space) -> None:
    rng = np.random.default_rng(1)
    ours = BoxFilter(space)
    boxes = random_boxes(rng, 7)
    z = ours.measure(boxes)
    state = ours.start(z)
    full = [reference(space, column) for column in z.T]
    for _ in range(12):
        state = ours.predict(state, 1.0)
        for one in full:
            one.Q = noise(space, size_of(space, one.x))[1]
            one.predict()
        expected = np.stack([blocks(one) for one in full], axis=-1)
        np.testing.assert_allclose(state, expected, rtol=1e-9, atol=1e-9)
        boxes = boxes + rng.normal(0, 2, boxes.shape)
        z = ours.measure(boxes)
        variance = ours.measurement_variance(state)
        for index, one in enumerate(full):
            one.R = noise(space, size_of(space, one.x))[2]
            innovation = z[:, index] - one.x[:4]
            s = one.P[:4, :4] + one.R
            distance = innovation @ np.linalg.inv(s) @ innovation
            np.testing.assert_allclose(variance[:, index], s.diagonal(), rtol=1e-9)
            ours_distance = ours.gating_distance(state[:, :, [index]], z[:, [index]])
            np.testing.assert_allclose(ours_distance, distance, rtol=1e-9)
            one.update(z[:, index])
        state = ours.update(state, z)
        expected = np.stack([blocks(one) for one in full], axis=-1)
        np.testing.assert_allclose(state, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("space", SPACES)
def test_measuring_and_drawing_boxes_are_inverse(space: Space) -> None:
    boxes = random_boxes(np.random.default_rng(2), 20)
    ours = BoxFilter(space)
    np.testing.assert_allclose(ours.boxes(ours.measure(boxes)), boxes, atol=1e-9)


def test_one_step_of_two_intervals_is_two_steps_of_one() -> None:
    ours = BoxFilter("xysr")
    state = ours.update(ours.start(ours.measure(random_boxes(np.random.default_rng(3), 5))), np.full((4, 5), 50.0))
    twice = ours.predict(ours.predict(state, 1.0), 1.0)
    np.testing.assert_allclose(ours.predict(state, 2.0), twice, rtol=1e-12)


def test_variances_stay_positive_over_long_coasting() -> None:
    for space in SPACES:
        ours = BoxFilter(space)
        state = ours.start(ours.measure(random_boxes(np.random.default_rng(4), 5)))
        for ratio in (0.1, 1.0, 7.5, 300.0):
            state = ours.predict(state, ratio)
            assert (state[2] > 0).all()
            assert (state[2] * state[4] - state[3] ** 2 >= -1e-9 * state[2] * state[4]).all()


def test_confident_detections_pull_harder_where_noise_adapts_to_scores() -> None:
    ours = BoxFilter("xywh")
    boxes = random_boxes(np.random.default_rng(5), 1)
    state = ours.predict(ours.start(ours.measure(boxes)), 1.0)
    z = ours.measure(boxes + 10)
    sure, doubtful = (ours.update(state, z, np.array([score]))[0, 0, 0] for score in (0.95, 0.2))
    assert state[0, 0, 0] < doubtful < sure <= z[0, 0]


def test_a_warp_there_and_back_leaves_the_state() -> None:
    affine = np.array([[1.02, -0.03, 5.0], [0.03, 1.02, -7.0]])
    inverse = np.linalg.inv(np.r_[affine, [[0, 0, 1]]])[:2]
    for space in SPACES:
        ours = BoxFilter(space)
        state = ours.predict(ours.start(ours.measure(random_boxes(np.random.default_rng(6), 4))), 1.0)
        np.testing.assert_allclose(ours.warp(ours.warp(state, affine), inverse), state, rtol=1e-9, atol=1e-9)


def test_smoothing_equals_filterpys_rauch_tung_striebel() -> None:
    rng = np.random.default_rng(7)
    ours = BoxFilter("xywh")
    path = random_boxes(rng, 1) + np.arange(15)[:, None, None] * 3 + rng.normal(0, 1, (15, 4, 1))
    last_seen = np.array([0, 1, 2, 3, 7, 8, 9, 12, 13, 14])
    smoothed = smooth(ours, last_seen, np.zeros(len(last_seen), np.int64), path[last_seen, :, 0], np.ones(15))
    full = reference("xywh", ours.measure(path[0])[:, 0])
    means, covariances, processes = [full.x], [full.P], [full.Q]
    for frame in range(1, 15):
        full.Q = noise("xywh", size_of("xywh", full.x))[1]
        full.predict()
        if frame in last_seen:
            full.R = noise("xywh", size_of("xywh", full.x))[2]
            full.update(ours.measure(path[frame])[:, 0])
        means.append(full.x.copy())
        covariances.append(full.P.copy())
        processes.append(full.Q.copy())
    expected, *_ = full.rts_smoother(np.array(means), np.array(covariances), Qs=processes)
    np.testing.assert_array_equal(smoothed.frames, np.arange(15))
    np.testing.assert_allclose(smoothed.boxes, ours.boxes(expected[:, :4].T).T, rtol=1e-9, atol=1e-9)
