from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline

from tracker.formats.core.content import Polygons
from tracker.formats.core.polygons import TOLERANCE, box_outline, is_box, joined, to_outlines
from tracker.formats.core.rle import clip_rle, rle_to_window, window_to_rle

WIDTH, HEIGHT = 64, 48
CENTRES = np.stack(np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5), axis=-1).reshape(-1, 2)


def filled(outlines: Polygons) -> np.ndarray:
    """Pixels whose centres an odd number of outlines is around, after matplotlib."""
    covered = np.zeros(len(CENTRES), bool)
    for outline in outlines:
        covered ^= Outline(np.array(outline).reshape(-1, 2)).contains_points(CENTRES)
    return covered.reshape(HEIGHT, WIDTH)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def outlines_of(covered: np.ndarray) -> Polygons:
    code = window_to_rle(covered, left=0, top=0, width=WIDTH, height=HEIGHT)
    return to_outlines(code["counts"], width=WIDTH, height=HEIGHT)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), blur=st.floats(1, 6), share=st.floats(0.05, 0.95))
def test_the_outlines_of_any_mask_stay_within_the_tolerance_of_it(seed: int, blur: float, share: float) -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random((HEIGHT, WIDTH)), (0, 0), blur)
    mask = noise > np.quantile(noise, share)
    outlines = outlines_of(mask)
    drawn = filled(outlines)
    framed = np.pad(mask.astype(np.uint8), 1)
    edges = cv2.morphologyEx(framed, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))[1:-1, 1:-1].astype(bool)
    assert not ((drawn != mask) & ~edges).any(), "a pixel that is not at the edge changed"
    assert abs(drawn.sum() / mask.sum() - 1) < 0.05
    points = np.concatenate([np.array(outline).reshape(-1, 2) for outline in outlines])
    rows, columns = np.nonzero(mask)
    corners = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    found = np.concatenate([points.min(axis=0), points.max(axis=0)])
    assert np.abs(found - corners).max() <= TOLERANCE


def test_an_outline_has_no_stairs() -> None:
    disc = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(disc, (30, 24), 20, 1, cv2.FILLED)
    (outline,) = outlines_of(disc.astype(bool))
    assert len(outline) / 2 < 40
    assert overlap(filled((outline,)), disc.astype(bool)) > 0.98


def test_a_pixel_keeps_its_corners() -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[7, 9] = True
    (outline,) = outlines_of(mask)
    assert sorted(zip(outline[::2], outline[1::2], strict=True)) == [(9, 7), (9, 8), (10, 7), (10, 8)]


def test_several_parts_and_a_hole_become_one_outline_of_the_same_area() -> None:
    ring = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(ring, (20, 24), 16, 1, cv2.FILLED)
    cv2.circle(ring, (20, 24), 8, 0, cv2.FILLED)
    ring[10:30, 45:60] = 1
    one = joined(outlines_of(ring.astype(bool)))
    drawn = filled((one,))
    assert overlap(drawn, ring.astype(bool)) > 0.97
    assert not drawn[24, 20], "the hole is closed"
    line = np.array(one).reshape(-1, 2)
    assert abs(0.5 * (line[:, 0] @ np.roll(line[:, 1], -1) - line[:, 1] @ np.roll(line[:, 0], -1))) > 0


def test_a_box_as_outline_is_known_again() -> None:
    box = (3.25, 4.0, 17.5, 20.125)
    assert is_box((box_outline(box),), box)
    assert not is_box((box_outline(box),), (3.25, 4.0, 18.5, 20.125))
    assert not is_box((box_outline(box)[2:] + box_outline(box)[:2],), box), "another order of corners is somebody's"
    assert not is_box((box_outline(box), box_outline(box)), box)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-5, 70), min_size=4, max_size=4))
def test_a_clipped_mask_is_what_of_it_the_box_touches(edges: list[float]) -> None:
    x1, x2 = sorted(edges[:2])
    y1, y2 = sorted(edges[2:])
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:30, 5:40] = True
    mask[15:20, 10:20] = False
    code = window_to_rle(mask, left=0, top=0, width=WIDTH, height=HEIGHT)
    inside = np.zeros_like(mask)
    left, top, right, bottom = (max(int(edge), 0) for edge in (*np.floor([x1, y1]), *np.ceil([x2, y2])))
    inside[top:bottom, left:right] = True
    clipped = clip_rle(code["counts"], (x1, y1, x2, y2), width=WIDTH, height=HEIGHT)
    expected = mask & inside
    assert (clipped is None) == (not expected.any())
    if clipped is not None:
        (down, across), covered = rle_to_window({"size": [HEIGHT, WIDTH], "counts": clipped})
        found = np.zeros_like(mask)
        found[down, across] = covered
        np.testing.assert_array_equal(found, expected)
