"""How well vectors find the same identity again: rank-1 and mean average precision.

As in Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015: each query ranks the gallery by
cosine similarity; entries of the query's own identity from its own camera are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Integer
from numpy import ndarray

__all__ = ["RetrievalScore", "score_retrieval"]


@dataclass(frozen=True, slots=True)
class RetrievalScore:
    """Figures over all queries that have something to find."""

    rank1: float
    """Share of queries whose nearest entry is the same identity."""
    mean_average_precision: float
    """Mean over queries of the average precision of the ranking."""
    queries: int
    """Queries with at least one right entry in the gallery."""


def score_retrieval(
    query: Float32[ndarray, "q d"],
    query_ids: Integer[ndarray, " q"],
    gallery: Float32[ndarray, "g d"],
    gallery_ids: Integer[ndarray, " g"],
    *,
    query_cameras: Integer[ndarray, " q"] | None = None,
    gallery_cameras: Integer[ndarray, " g"] | None = None,
) -> RetrievalScore:
    """Rank-1 and mAP of unit vectors; NaN where no query has anything to find.

    Without cameras every gallery entry counts, so query and gallery must then be different images.
    """
    similarity = query @ gallery.T
    firsts, precisions = [], []
    for row, identity in enumerate(query_ids):
        judged = np.ones(len(gallery_ids), bool)
        if query_cameras is not None and gallery_cameras is not None:
            judged = (gallery_ids != identity) | (gallery_cameras != query_cameras[row])
        order = np.argsort(-similarity[row][judged], kind="stable")
        right = (gallery_ids[judged] == identity)[order]
        if not right.any():
            continue
        places = np.flatnonzero(right) + 1
        firsts.append(bool(right[0]))
        precisions.append(float((np.arange(1, len(places) + 1) / places).mean()))
    if not firsts:
        return RetrievalScore(float("nan"), float("nan"), 0)
    return RetrievalScore(float(np.mean(firsts)), float(np.mean(precisions)), len(firsts))
