from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.evaluate.detection import average_precision
from tracker.evaluate.ground_truth import Sample
from tracker.evaluate.matching import best_point, confuse, match_finds
from tracker.types import Detections


def sample(boxes: object, classes: object, *, labelled: tuple[int, ...] = (0, 1), ignored: object = ()) -> Sample:
    class_ids = np.array(classes, np.int64).reshape(-1)
    return Sample(
        Path("x.jpg"),
        100,
        100,
        np.array(boxes, np.float32).reshape(-1, 4),
        class_ids,
        (None,) * len(class_ids),
        labelled,
        np.array(ignored, np.float32).reshape(-1, 4),
    )


def finds(boxes: object, scores: object, classes: object) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32).reshape(-1),
        np.array(classes, np.int32).reshape(-1),
    )


def test_a_crowd_excuses_finds_of_its_own_class_only() -> None:
    crowd = replace(sample([RIGHT], [0], ignored=[LOW]), ignored_ids=np.array([1]))
    for class_id, ap in ((0, 0.5), (1, 1.0)):
        found = finds([RIGHT, LOW], [0.6, 0.9], [0, class_id])
        assert average_precision([crowd], [found], {0: "x"})["x"].ap == pytest.approx(ap)
        assert len(match_finds([crowd], [found], 2).right) == 2 - class_id
        assert confuse([crowd], [found], 2, confidence=0.5)[2].sum() == 1 - class_id


LEFT, RIGHT, LOW = (0, 0, 20, 20), (50, 0, 70, 20), (0, 60, 30, 90)


def test_each_object_goes_to_its_best_scored_find_alone() -> None:
    found = finds([LEFT, LEFT, RIGHT, LOW], [0.6, 0.9, 0.8, 0.7], [0, 0, 1, 0])
    matches = match_finds([sample([LEFT, RIGHT], [0, 0])], [found], 2)
    assert matches.objects.tolist() == [2, 0]
    by_score = dict(zip((matches.scores * 10).round().tolist(), matches.right.tolist(), strict=True))
    assert by_score == {9: True, 6: False, 8: False, 7: False}


def test_what_an_image_does_not_label_or_ignores_counts_neither_way() -> None:
    found = finds([LEFT, RIGHT, LOW], [0.9, 0.8, 0.7], [1, 0, 0])
    matches = match_finds([sample([RIGHT], [0], labelled=(0,), ignored=[LOW])], [found], 2)
    assert matches.right.tolist() == [True]
    counts = confuse([sample([RIGHT], [0], labelled=(0,), ignored=[LOW])], [found], 2, confidence=0.5)
    assert counts.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_confusion_gives_wrong_classes_misses_and_finds_of_nothing() -> None:
    found = finds([LEFT, LOW], [0.9, 0.8], [1, 0])
    counts = confuse([sample([LEFT, RIGHT], [0, 1])], [found], 2, confidence=0.5)
    assert counts.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_the_best_threshold_keeps_what_is_right_and_drops_what_is_not() -> None:
    found = finds([LEFT, RIGHT, LOW], [0.912, 0.527, 0.3], [0, 0, 0])
    point = best_point(match_finds([sample([LEFT, RIGHT], [0, 0])], [found], 2))
    assert point is not None
    assert point.confidence == pytest.approx(0.52)
    assert (point.precision, point.recall, point.f1) == (1.0, 1.0, 1.0)


def test_nothing_found_or_nothing_to_find_has_no_threshold() -> None:
    assert best_point(match_finds([sample([LEFT], [0])], [Detections.empty()], 2)) is None
    assert best_point(match_finds([sample([], [])], [finds([LEFT], [0.5], [0])], 2)) is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_the_area_below_the_curve_is_cocos(seed: int) -> None:
    """AP50 by pycocotools is the curve's precision, made monotonic, at 101 recalls."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 60, (6, 2))
    boxes = np.concatenate((low, low + rng.uniform(10, 40, (6, 2))), axis=1).astype(np.float32)
    moved = boxes + rng.normal(0, 4, boxes.shape).astype(np.float32)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 2)
    samples, found = [sample(boxes, [0] * 6)], [finds(moved, rng.permutation(6) / 10 + 0.1, [0] * 6)]
    _, precision, recall = match_finds(samples, found, 2).curve()
    monotonic = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, np.linspace(0, 1, 101) - 1e-9)
    area = np.append(monotonic, 0.0)[places].mean()
    assert area == pytest.approx(average_precision(samples, found, {0: "thing"})["thing"].ap50, abs=1e-6)
