"""Rows that can be had track by track: in memory, or wherever else they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from tracker.observations import Observations

__all__ = ["RowsInMemory", "TrackedRows"]

ROWS_AT_ONCE = 65536


class TrackedRows(Protocol):
    """Rows of any number of tracks that need not be in memory."""

    def by_track(self) -> Iterator[Observations]:
        """All rows ordered by track, then frame; some at a time, long tracks in several parts."""

    def of(self, track: int, first: int, last: int) -> Observations:
        """The rows of one track from frame `first` to `last`, both included, in order; embeddings are not needed."""

    def reported(self) -> tuple[Int64[ndarray, " t"], Int64[ndarray, " t"]]:
        """The ids of the tracks that the tracker itself reported, in order, and the first frame it reported each in."""

    def between(self, first: int, last: int) -> Observations:
        """What the tracker reported from frame `first` to `last`, both included; embeddings are not needed."""


class RowsInMemory:
    """TrackedRows of observations."""

    def __init__(self, observations: Observations) -> None:
        self._rows = observations[np.lexsort((observations.frames, observations.tracks))]
        self._without_embeddings = rows = replace(self._rows, embeddings=None)
        confirmed = rows if rows.confirmed is None else rows[rows.confirmed]
        self._confirmed = confirmed[confirmed.frames.argsort(kind="stable")]

    def by_track(self) -> Iterator[Observations]:
        """All rows ordered by track, then frame."""
        for start in range(0, len(self._rows), ROWS_AT_ONCE):
            yield self._rows[start : start + ROWS_AT_ONCE]

    def of(self, track: int, first: int, last: int) -> Observations:
        """The rows of one track in those frames."""
        start, stop = self._rows.tracks.searchsorted((track, track + 1))
        low, high = start + self._rows.frames[start:stop].searchsorted((first, last + 1))
        return self._without_embeddings[low:high]

    def reported(self) -> tuple[Int64[ndarray, " t"], Int64[ndarray, " t"]]:
        """The tracks that were confirmed in at least one row, and the frame of the first such row."""
        tracks, places = np.unique(self._confirmed.tracks, return_index=True)
        return tracks, self._confirmed.frames[places]

    def between(self, first: int, last: int) -> Observations:
        """The confirmed rows of those frames."""
        low, high = self._confirmed.frames.searchsorted((first, last + 1))
        return self._confirmed[low:high]
