from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from tracker.formats.core.fill import fill_outlines
from tracker.formats.core.polygons import to_window


@given(st.lists(st.tuples(st.integers(-40, 240), st.integers(-40, 200)), min_size=3, max_size=9))
def test_the_pixels_whose_centre_is_inside_are_covered(corners: list[tuple[int, int]]) -> None:
    outline = np.array(corners) / 10
    covered = fill_outlines([outline], width=20, height=16)
    centres = np.stack(np.meshgrid(np.arange(20) + 0.5, np.arange(16) + 0.5), axis=-1).reshape(-1, 2)
    winding, on_edge = np.zeros(len(centres), int), np.zeros(len(centres), bool)
    for (x1, y1), (x2, y2) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        spans = (min(y1, y2) <= centres[:, 1]) & (centres[:, 1] < max(y1, y2))
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x1 + (centres[:, 1] - y1) * (x2 - x1) / (y2 - y1)
        winding += spans & (at < centres[:, 0])
        on_edge |= spans & (abs(at - centres[:, 0]) < 1e-6)  # where rounding decides
    assert (covered.ravel() == (winding % 2 == 1))[~on_edge].all()


@pytest.mark.parametrize(("count", "size"), [(4, 60), (40, 40), (200, 100), (30, 300)])
def test_an_outline_covers_the_area_that_it_has_and_that_pycocotools_gives(count: int, size: int) -> None:
    rng = np.random.default_rng(count)
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radius = rng.uniform(0.6, 1.0, count) * size / 2
    outline = np.stack([320 + radius * np.cos(angles), 200 + radius * np.sin(angles)], axis=1)
    x, y = outline.T
    exact = abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2
    _, covered = to_window((tuple(outline.ravel().tolist()),), width=640, height=480)
    theirs = coco_mask.area(coco_mask.merge(coco_mask.frPyObjects([outline.ravel().tolist()], 480, 640)))
    assert covered.sum() == pytest.approx(exact, rel=0.02)
    assert covered.sum() == pytest.approx(theirs, rel=0.02)


def test_what_is_gone_around_twice_is_a_hole() -> None:
    outer, inner = np.array([(0, 0), (9, 0), (9, 9), (0, 9)]), np.array([(3, 3), (6, 3), (6, 6), (3, 6)])
    covered = fill_outlines([outer, inner], width=9, height=9)
    assert covered.sum() == 81 - 9
    assert not covered[3:6, 3:6].any()


def test_outlines_outside_or_without_area_cover_nothing() -> None:
    far = np.array([(100, 100), (120, 100), (120, 120)])
    line = np.array([(1, 1), (5, 5), (1, 1)])
    assert not fill_outlines([far, line], width=9, height=9).any()
    assert fill_outlines([far - 110], width=9, height=9).any()
