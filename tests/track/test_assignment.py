from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from tracker.track.assignment import assign, compare, overlapping, similarity


def boxes(rng: np.random.Generator, count: int, side: float) -> np.ndarray:
    corner = rng.uniform(0, side, (2, count))
    return np.concatenate([corner, corner + rng.uniform(5, 60, (2, count))])


def dense_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low, high = np.maximum(a[:2, :, None], b[:2, None]), np.minimum(a[2:, :, None], b[2:, None])
    inner = np.prod(np.maximum(high - low, 0), axis=0)
    area = [np.prod(one[2:] - one[:2], axis=0) for one in (a, b)]
    return inner / (area[0][:, None] + area[1][None] - inner)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 90), m=st.integers(1, 90), side=st.sampled_from([50.0, 400.0]))
def test_sparse_overlaps_are_those_of_the_full_matrix(seed: int, n: int, m: int, side: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = boxes(rng, n, side), boxes(rng, m, side)
    rows, cols = overlapping(a, b)
    table = np.zeros((n, m))
    table[rows, cols] = similarity("iou", a, b, rows, cols)
    np.testing.assert_allclose(table, dense_iou(a, b), atol=1e-12)
    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == len(rows)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 70),
    m=st.integers(1, 70),
    share=st.floats(0.005, 1.0),
    steps=st.sampled_from([0, 3]),
)
def test_the_assignment_gains_as_much_as_scipys_on_the_full_matrix(
    seed: int, n: int, m: int, share: float, steps: int
) -> None:
    rng = np.random.default_rng(seed)
    table = np.where(rng.random((n, m)) < share, rng.uniform(-0.2, 1, (n, m)), 0)
    if steps:  # many pairs that gain the same
        table = np.ceil(table * steps) / steps
    rows, cols = table.nonzero()
    i, j = assign(rows, cols, table[rows, cols])
    assert len(set(i.tolist())) == len(i)
    assert len(set(j.tolist())) == len(j)
    gain = np.maximum(table, 0)
    best = gain[linear_sum_assignment(gain, maximize=True)].sum()
    assert table[i, j].sum() == pytest.approx(best, abs=1e-9)
    assert (table[i, j] > 0).all()


@given(seed=st.integers(0, 10**6))
def test_every_similarity_is_one_for_equal_boxes_and_symmetric(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = boxes(rng, 6, 60), boxes(rng, 6, 60)
    each = np.arange(6)
    for kind in ("iou", "giou", "height_iou"):
        np.testing.assert_allclose(similarity(kind, a, a, each, each), 1)
        np.testing.assert_allclose(similarity(kind, a, b, each, each), similarity(kind, b, a, each, each))
        assert (similarity(kind, a, b, each, each) <= 1).all()


def test_boxes_that_just_miss_each_other_meet_when_expanded() -> None:
    a, b = np.array([[0.0, 0, 10, 10]]).T, np.array([[11.0, 0, 21, 10]]).T
    assert len(overlapping(a, b)[0]) == 0
    assert len(compare("iou", a, b, 0.1)[0]) == 1
