"""Which detections are worth an embedding, where each costs the run of a network.

Most objects are told apart by where they are. Looked at is a detection that takes part in the first association and

- reaches more than one track, or shares its track with another detection; or
- reaches a track that was not looked at for half a second, so that galleries stay fresh.

A cascade matches by appearance before anything else, so it needs every detection's embedding.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy import ndarray

from tracker.config.tracking import TrackerConfig
from tracker.protocols import EmbedRows
from tracker.track.assignment import overlapping
from tracker.track.association import UsableDetections
from tracker.track.gallery import Galleries

__all__ = ["embed_where_needed", "usable_embeddings"]

FRESH_S = 0.5
"""Seconds for which an embedding is good enough while nobody else is near."""


def usable_embeddings(
    given: Float32[ndarray, "all d"] | None, rows: Int64[ndarray, " m"]
) -> Float32[ndarray, "m d"] | None:
    """The embeddings of these rows, zeros for every value that is no number."""
    return None if given is None else _finite(given.take(rows, axis=0))


def embed_where_needed(
    found: UsableDetections,
    predicted: Float64[ndarray, "4 n"],
    galleries: Galleries,
    config: TrackerConfig,
    embed_rows: EmbedRows,
    *,
    now: float,
) -> UsableDetections:
    """The detections with embeddings for those that need one, zeros for the others."""
    if config.cascade:
        needed = np.ones(len(found.scores), bool)
    else:
        needed = _in_doubt(found, predicted, galleries.stale(now - FRESH_S), config.high_score)
    cols = needed.nonzero()[0]
    if not len(cols):
        return found
    vectors = embed_rows(found.rows[cols])
    embeddings = np.zeros((len(needed), vectors.shape[1]), np.float32)
    embeddings[cols] = _finite(vectors)
    return replace(found, embeddings=embeddings)


def _in_doubt(
    found: UsableDetections, predicted: Float64[ndarray, "4 n"], stale: Bool[ndarray, " n"], high_score: float
) -> Bool[ndarray, " m"]:
    rows, cols = overlapping(predicted, found.boxes)
    high = found.scores >= high_score
    rows, cols = rows[high[cols]], cols[high[cols]]
    tracks = np.bincount(cols, minlength=len(high))
    rivals = np.bincount(rows, minlength=len(stale))
    needed: ndarray = tracks > 1
    needed[cols[(rivals[rows] > 1) | stale[rows]]] = True
    return needed


def _finite(embeddings: Float32[ndarray, "k d"]) -> Float32[ndarray, "k d"]:
    return embeddings if np.isfinite(embeddings).all() else np.nan_to_num(embeddings, nan=0.0, posinf=0.0, neginf=0.0)
