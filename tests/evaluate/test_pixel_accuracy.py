from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tracker.evaluate.pixel_accuracy import SegmentationScore

maps = arrays.arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 1, 2, 255]))
predictions = arrays.arrays(np.uint8, (4, 5), elements=st.integers(0, 2))


def test_figures_of_a_small_example() -> None:
    score = SegmentationScore(4)
    score.add(np.array([[0, 0, 1], [1, 1, 2]], np.uint8), np.array([[0, 0, 0], [1, 1, 255]], np.uint8))
    np.testing.assert_allclose(score.iou, [2 / 3, 2 / 3, np.nan, np.nan])
    assert score.mean_iou == pytest.approx(2 / 3)
    assert score.pixel_accuracy == pytest.approx(4 / 5)
    assert score.mean_accuracy == pytest.approx((2 / 3 + 1) / 2)


def test_a_class_that_is_predicted_but_never_true_lowers_only_the_others() -> None:
    score = SegmentationScore(2)
    score.add(np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8))
    assert score.mean_iou == 0.5


def test_nothing_counted_is_no_number() -> None:
    assert np.isnan(SegmentationScore(3).mean_iou)
    assert np.isnan(SegmentationScore(3).mean_accuracy)


@given(st.lists(st.tuples(predictions, maps), min_size=1, max_size=4))
def test_iou_is_intersection_over_union_of_all_images_together(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    score = SegmentationScore(3)
    for said, ground_truth in pairs:
        score.add(said, ground_truth)
    said, ground_truth = (np.concatenate(part) for part in zip(*pairs, strict=True))
    judged = ground_truth != 255
    for label in range(3):
        a, b = (said == label) & judged, ground_truth == label
        if b.any():
            assert score.iou[label] == pytest.approx((a & b).sum() / (a | b).sum())
        else:
            assert np.isnan(score.iou[label])


@given(maps)
def test_truth_against_itself_is_perfect(ground_truth: np.ndarray) -> None:
    score = SegmentationScore(3)
    score.add(np.where(ground_truth == 255, 0, ground_truth).astype(np.uint8), ground_truth)
    assert np.isnan(score.mean_iou) or score.mean_iou == 1.0
