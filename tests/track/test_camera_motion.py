from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy import ndarray

from tracker.track.camera_motion import CameraMotion


@pytest.fixture(scope="module")
def world() -> ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (700, 1200, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 6), None, 0, 255, cv2.NORM_MINMAX)


def view(world: ndarray, left: int, top: int) -> ndarray:
    return world[top : top + 480, left : left + 640]


def test_a_pan_is_measured_in_pixels_of_the_full_frame(world: ndarray) -> None:
    motion = CameraMotion()
    assert motion(view(world, 100, 100)) is None
    affine = motion(view(world, 108, 103))
    assert affine is not None
    np.testing.assert_allclose(affine, [[1, 0, -8], [0, 1, -3]], atol=0.3)


def test_a_zoom_is_seen_as_scale(world: ndarray) -> None:
    motion = CameraMotion()
    zoomed = cv2.warpAffine(world, np.array([[1.03, 0, -10], [0, 1.03, -10]]), world.shape[1::-1])
    motion(view(world, 100, 100))
    affine = motion(view(zoomed, 100, 100))
    assert affine is not None
    assert affine[0, 0] == pytest.approx(1.03, abs=0.005)


def test_a_still_camera_gives_nothing_even_with_noise_and_a_passing_object(world: ndarray) -> None:
    rng, motion = np.random.default_rng(1), CameraMotion()
    for step in range(40):
        image = np.clip(view(world, 100, 100) + rng.normal(0, 2, (480, 640, 3)), 0, 255).astype(np.uint8)
        image[200:300, 10 * step : 10 * step + 80] = 90
        assert motion(image) is None


def test_blank_and_resized_frames_give_nothing(world: ndarray) -> None:
    motion = CameraMotion()
    blank = np.zeros((480, 640, 3), np.uint8)
    assert motion(blank) is None
    assert motion(blank) is None
    assert motion(view(world, 0, 0)) is None
    assert motion(world) is None
    assert motion(np.zeros((3, 5, 3), np.uint8)) is None


def test_it_goes_on_after_a_restart_as_if_there_had_been_none(world: ndarray) -> None:
    unbroken, first, second = CameraMotion(), CameraMotion(), CameraMotion()
    for left in (100, 104):
        unbroken(view(world, left, 100))
        first(view(world, left, 100))
    second.restore(first.state())
    np.testing.assert_array_equal(unbroken(view(world, 109, 100)), second(view(world, 109, 100)))
