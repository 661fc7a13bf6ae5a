from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tracker.geometry import (
    Letterbox,
    area,
    average_blocks,
    clip,
    cxcywh_to_xyxy,
    iou,
    is_valid,
    nms,
    paste_mask,
    xyxy_to_cxcywh,
    xyxy_to_xywh,
)

COORDINATES = st.floats(0, 500, width=32)


@st.composite
def boxes(draw: st.DrawFn, most: int = 12) -> np.ndarray:
    number = draw(st.integers(0, most))
    corners = draw(hnp.arrays(np.float32, (number, 4), elements=COORDINATES))
    top_left, size = corners[:, :2], corners[:, 2:] / 4 + 1
    return np.concatenate([top_left, top_left + size], axis=1).astype(np.float32)


@given(boxes(), boxes())
def test_overlap_is_symmetric_and_between_nothing_and_one(a: np.ndarray, b: np.ndarray) -> None:
    overlap = iou(a, b)
    np.testing.assert_allclose(overlap, iou(b, a).T)
    assert ((overlap >= 0) & (overlap <= 1 + 1e-6)).all()
    np.testing.assert_allclose(np.diag(iou(a, a)), 1, rtol=1e-6)


@given(boxes(), boxes())
def test_overlap_equals_torchvision(a: np.ndarray, b: np.ndarray) -> None:
    expected = torchvision.ops.box_iou(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    np.testing.assert_allclose(iou(a, b), expected, atol=1e-5)


def test_empty_boxes_overlap_nothing() -> None:
    point = np.array([[5, 5, 5, 5]], np.float32)
    assert iou(point, point) == 0


@given(boxes(40), st.floats(0.05, 0.95), st.integers(0, 2**32 - 1), st.booleans())
def test_suppression_keeps_what_torchvision_keeps(found: np.ndarray, threshold: float, seed: int, whole: bool) -> None:
    random = np.random.default_rng(seed)
    if whole:  # whole numbers meet the threshold exactly, few scores make ties
        found, threshold = (found / 50).round() * 8, round(threshold, 1)
    scores = random.integers(0, 10, len(found)).astype(np.float32) / 10
    class_ids = random.integers(0, 3, len(found))
    arguments = torch.from_numpy(found), torch.from_numpy(scores)
    expected = torchvision.ops.batched_nms(*arguments, torch.from_numpy(class_ids), threshold)
    np.testing.assert_array_equal(nms(found, scores, class_ids, threshold=threshold), expected.numpy())
    expected = torchvision.ops.nms(*arguments, threshold)
    np.testing.assert_array_equal(nms(found, scores, threshold=threshold), expected.numpy())


@given(boxes(40), st.floats(0.05, 0.95))
def test_suppression_is_idempotent(found: np.ndarray, threshold: float) -> None:
    scores = np.linspace(1, 0, len(found), dtype=np.float32)
    once = nms(found, scores, threshold=threshold)
    np.testing.assert_array_equal(nms(found[once], scores[once], threshold=threshold), np.arange(len(once)))


@given(boxes())
def test_centre_form_and_back_is_the_same_box(found: np.ndarray) -> None:
    np.testing.assert_allclose(cxcywh_to_xyxy(xyxy_to_cxcywh(found)), found, atol=1e-3)


@given(boxes())
def test_width_and_height_make_the_area(found: np.ndarray) -> None:
    _, _, width, height = xyxy_to_xywh(found).T
    np.testing.assert_allclose(width * height, area(found), rtol=1e-5)


@given(boxes(), st.integers(10, 300), st.integers(10, 300))
def test_clipped_boxes_lie_in_the_image(found: np.ndarray, width: int, height: int) -> None:
    x1, y1, x2, y2 = clip(found, width, height).T
    assert ((x1 >= 0) & (x2 <= width) & (y1 >= 0) & (y2 <= height)).all()


def test_a_tracker_gets_no_broken_box() -> None:
    found = np.array(
        [[0, 0, 5, 5], [np.nan, 0, 5, 5], [0, 0, np.inf, 5], [3, 3, 3, 9], [9, 0, 2, 5], [-3e38, 0, 3e38, 5]],
        np.float32,
    )
    assert is_valid(found, np.full(6, 0.5, np.float32)).tolist() == [True, False, False, False, False, False]
    assert is_valid(found[[0, 0, 0]], np.array([1.5, -0.1, np.nan], np.float32)).tolist() == [False] * 3


@given(boxes(), st.integers(16, 2000), st.integers(16, 2000), st.sampled_from([320, 416, 640]))
@example(np.zeros((0, 4), np.float32), 16, 158, 320)  # 32.4 pixels wide, on a canvas of 32
def test_letterbox_maps_boxes_there_and_back(found: np.ndarray, width: int, height: int, size: int) -> None:
    letterbox = Letterbox.fit(width, height, size)
    assert letterbox.width % 32 == letterbox.height % 32 == 0
    assert max(letterbox.inner_width, letterbox.inner_height) == size
    np.testing.assert_allclose(letterbox.to_image(letterbox.to_canvas(found)), found, atol=0.05)


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 700), st.integers(20, 700), st.sampled_from([64, 160]))
def test_what_is_seen_on_the_canvas_lies_where_the_boxes_say(width: int, height: int, size: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = width // 4, height // 4, 3 * width // 4, 3 * height // 4
    image[y1:y2, x1:x2] = 255
    letterbox = Letterbox.fit(width, height, size)
    assume(min(letterbox.inner_width, letterbox.inner_height) >= 8)  # on fewer pixels an edge is a shade of grey
    canvas = letterbox.apply(image, fill=0)[..., 0] > 127
    rows, columns = np.flatnonzero(canvas.any(1)), np.flatnonzero(canvas.any(0))
    seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    expected = letterbox.to_canvas(np.array([[x1, y1, x2, y2]], np.float32))[0]
    np.testing.assert_allclose(seen, expected, atol=1.01)


@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 9), st.integers(0, 11), st.integers(0, 99))
def test_blocks_are_averaged(factor: int, rows: int, columns: int, over: int, seed: int) -> None:
    height, width = rows * factor + over % factor, columns * factor + over % factor
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    blocks = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor, 3)
    halvings = (factor & -factor).bit_length() - 1
    tolerance = 0.5 * (halvings + 1) + 1e-6  # each step rounds
    np.testing.assert_allclose(average_blocks(image, factor), blocks.mean(axis=(1, 3)), atol=tolerance)


@given(st.floats(-20, 60), st.floats(-20, 60), st.floats(4, 60), st.floats(4, 60))
def test_a_full_mask_covers_its_box_inside_the_image(x: float, y: float, width: float, height: float) -> None:
    box = np.array([x, y, x + width, y + height], np.float32)
    (rows, columns), covered = paste_mask(np.full((28, 28), 255, np.uint8), box, 50, 40)
    assert covered.all()
    assert covered.shape == (rows.stop - rows.start, columns.stop - columns.start)
    assert rows.start >= 0
    assert rows.stop <= 40
    assert columns.start >= 0
    assert columns.stop <= 50


def test_a_half_mask_covers_half_of_its_box() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[:, :10] = 255
    window, covered = paste_mask(mask, np.array([10, 10, 50, 30], np.float32), 100, 100)
    full = np.zeros((100, 100), bool)
    full[window] = covered
    expected = np.zeros((100, 100), bool)
    expected[10:30, 10:30] = True
    np.testing.assert_array_equal(full, expected)


@pytest.mark.parametrize("box", [(200, 0, 220, 10), (0, -50, 10, -20), (5, 5, 5, 9)])
def test_a_box_outside_the_image_covers_nothing(box: tuple[float, ...]) -> None:
    (rows, columns), covered = paste_mask(np.full((8, 8), 255, np.uint8), np.array(box, np.float32), 100, 100)
    assert covered.size == 0
    assert rows == columns == slice(0, 0)
