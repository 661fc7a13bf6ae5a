from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from tracker.detect.mask_parts import HOLE, SPECK, without_specks_and_holes


def disc(side: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


def test_an_islet_goes_and_a_pinhole_closes_while_coverage_elsewhere_stays() -> None:
    mask = np.where(disc(64, 30, 30, 20), 200, 90).astype(np.uint8)
    islet, pinhole = disc(64, 58, 58, 4), disc(64, 26, 30, 3)
    mask[islet], mask[pinhole] = 220, 40
    [cleaned] = without_specks_and_holes(mask[None])
    assert (cleaned[islet] == 0).all()
    assert (cleaned[pinhole] == 255).all()
    rest = ~(islet | pinhole)
    np.testing.assert_array_equal(cleaned[rest], mask[rest])


def test_what_stands_behind_a_pole_keeps_both_parts_and_a_wheel_its_hole() -> None:
    halves = disc(64, 32, 32, 24)
    halves[:, 40:44] = False  # the right part is a quarter of the left one
    wheel = disc(64, 32, 32, 24) & ~disc(64, 32, 32, 12)
    masks = np.stack((halves, wheel)).astype(np.uint8) * 255
    np.testing.assert_array_equal(without_specks_and_holes(masks), masks)


def test_a_gap_at_the_border_is_no_hole() -> None:
    mask = np.full((1, 32, 32), 255, np.uint8)
    mask[0, 0, 10:13] = mask[0, 20:22, -1] = 0
    np.testing.assert_array_equal(without_specks_and_holes(mask), mask)


def test_no_objects_and_empty_masks_stay_so() -> None:
    assert without_specks_and_holes(np.zeros((0, 32, 32), np.uint8)).shape == (0, 32, 32)
    assert not without_specks_and_holes(np.zeros((2, 32, 32), np.uint8)).any()


@given(arrays.arrays(np.uint8, (1, 12, 12), elements=st.sampled_from([0, 100, 128, 255])))
def test_parts_and_holes_are_those_that_scipy_labels(masks: np.ndarray) -> None:
    covered = masks[0] > 127
    labels, count = ndimage.label(covered, np.ones((3, 3)))
    areas = ndimage.sum_labels(covered, labels, range(1, count + 1))
    kept = np.isin(labels, 1 + np.flatnonzero(areas >= SPECK * np.max(areas, initial=0)))
    gaps, count = ndimage.label(~kept)
    for gap in range(1, count + 1):
        own = gaps == gap
        at_border = own[0].any() or own[-1].any() or own[:, 0].any() or own[:, -1].any()
        if not at_border and own.sum() < HOLE * kept.sum():
            kept = kept | own
    np.testing.assert_array_equal(without_specks_and_holes(masks)[0] > 127, kept)
