from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracker.evaluate.classification import confusion_matrix, report_classification


def test_figures_of_a_small_example() -> None:
    report = report_classification(np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 1, 0, 0]), classes=4)
    assert report.confusion.tolist() == [[1, 1, 0, 0], [1, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert report.accuracy == 0.5
    assert report.error == 0.5
    np.testing.assert_allclose(report.recall, [1 / 2, 2 / 3, 0, np.nan])
    np.testing.assert_allclose(report.precision, [1 / 3, 2 / 3, np.nan, np.nan])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_the_confusion_matrix_counts_each_pair(pairs: list[tuple[int, int]]) -> None:
    ground_truth, predicted = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    matrix = confusion_matrix(ground_truth, predicted, classes=4)
    for row in range(4):
        for column in range(4):
            assert matrix[row, column] == pairs.count((row, column))
