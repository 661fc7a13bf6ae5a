from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.evaluate.retrieval import score_retrieval


def unit(angles: list[float]) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_figures_of_a_small_example() -> None:
    # from the query at 0: identity 1 at 0.1, 2 at 0.2, 1 at 0.3, 2 at 0.4
    gallery, gallery_ids = unit([0.1, 0.2, 0.3, 0.4]), np.array([1, 2, 1, 2])
    score = score_retrieval(unit([0.0, 0.0, 0.0]), np.array([1, 2, 3]), gallery, gallery_ids)
    assert score.queries == 2
    assert score.rank1 == 0.5
    assert score.mean_average_precision == pytest.approx(((1 + 2 / 3) / 2 + (1 / 2 + 2 / 4) / 2) / 2)


def test_ones_own_camera_does_not_count() -> None:
    vectors, ids, cameras = unit([0.0, 0.01, 0.2, -0.1]), np.array([1, 1, 1, 2]), np.array([0, 0, 1, 0])
    score = score_retrieval(vectors, ids, vectors, ids, query_cameras=cameras, gallery_cameras=cameras)
    assert score.queries == 3  # identity 2 has nobody to find
    assert score.rank1 == pytest.approx(1 / 3)  # from camera 0 the stranger at -0.1 is nearer than 0.2


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_perfect_vectors_score_one(people: int, crops: int, seed: int) -> None:
    ids = np.repeat(np.arange(people), crops)
    vectors = np.eye(people, dtype=np.float32)[ids]
    order = np.random.default_rng(seed).permutation(len(ids))
    score = score_retrieval(vectors, ids, vectors[order], ids[order])
    assert score.rank1 == 1
    assert score.mean_average_precision == pytest.approx(1)


def test_nobody_to_find_is_no_number() -> None:
    score = score_retrieval(unit([0.0]), np.array([1]), unit([0.0]), np.array([2]))
    assert np.isnan(score.rank1)
    assert score.queries == 0
