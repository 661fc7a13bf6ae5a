"""What tracks looked like: the last few appearance vectors of each, compared only where motion allows a match."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy import ndarray

__all__ = ["Galleries"]


class Galleries:
    """A ring of the latest unit vectors for every track, in the order of the track table.

    Distances are 1 - cosine to the nearest vector of the ring (Wojke et al., ICIP 2017, eq. 2).
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._rings: Float32[ndarray, "p g d"] = np.empty((0, 0, 0), np.float32)
        self._slots: Int64[ndarray, " n"] = np.empty(0, np.int64)  # place of each track's ring
        self._unused: list[int] = []
        self._counts: Int64[ndarray, " n"] = np.empty(0, np.int64)
        self._latest: Float64[ndarray, " n"] = np.empty(0)  # when each track was last looked at

    def __len__(self) -> int:
        return len(self._slots)

    def keep(self, alive: Bool[ndarray, " n"]) -> None:
        """Drop the galleries of tracks that are not alive."""
        self._unused += self._slots[~alive].tolist()
        self._slots, self._counts, self._latest = self._slots[alive], self._counts[alive], self._latest[alive]

    def append(self, count: int) -> None:
        """Add empty galleries for new tracks."""
        missing = count - len(self._unused)
        if missing > 0:
            held = len(self._rings)
            more = max(missing, held)
            self._unused += range(held + more - 1, held - 1, -1)
            self._rings = np.concatenate([self._rings, np.zeros((more, *self._rings.shape[1:]), np.float32)])
        taken = [self._unused.pop() for _ in range(count)]
        self._slots = np.concatenate([self._slots, np.array(taken, np.int64)])
        self._counts = np.concatenate([self._counts, np.zeros(count, np.int64)])
        self._latest = np.concatenate([self._latest, np.full(count, -np.inf)])

    def add(self, rows: Int64[ndarray, " k"], embeddings: Float32[ndarray, "k d"], now: float) -> None:
        """Remember one more embedding of each of these tracks, forgetting the oldest where the ring is full.

        An embedding of zeros is none: nothing is remembered of it.
        """
        taken = np.asarray(embeddings.any(axis=1))
        if not taken.all():
            rows, embeddings = rows[taken], embeddings[taken]
        if len(rows) == 0:
            return
        self._latest[rows] = now
        counts = self._counts[rows]
        self._make_room(int(counts.max()) + 1, embeddings.shape[1])
        self._rings[self._slots[rows], counts % self.budget] = embeddings
        self._counts[rows] = counts + 1

    def comparable(self, rows: ndarray, embeddings: Float32[ndarray, "m d"], cols: ndarray) -> Bool[ndarray, " k"]:
        """Which pairs have an embedding on both sides."""
        both: ndarray = (self._counts[rows] > 0) & np.asarray(embeddings.any(axis=1))[cols]
        return both

    def stale(self, moment: float) -> Bool[ndarray, " n"]:
        """Which tracks were last looked at before that moment, or never."""
        return self._latest < moment

    def _make_room(self, length: int, width: int) -> None:
        places, held, held_width = self._rings.shape
        if held_width not in (0, width):
            raise ValueError(f"appearance vectors: expected {held_width} values each, found {width}")
        if held < min(length, self.budget) or held_width != width:
            longer = min(self.budget, max(length, 2 * held, 4))
            rings = np.zeros((places, longer, width), np.float32)
            rings[:, :held, :held_width] = self._rings
            self._rings = rings

    def latest_distances(
        self, rows: ndarray, embeddings: Float32[ndarray, "m d"], cols: ndarray
    ) -> Float64[ndarray, " k"]:
        """Distance of each pair's embedding to the track's latest one alone: never less than `distances`."""
        latest = self._rings[self._slots[rows], (self._counts[rows] - 1) % self.budget]
        cosine: ndarray = np.einsum("kd,kd->k", latest, embeddings[cols])
        return _distance(cosine, self._counts[rows])

    def distances(self, rows: ndarray, embeddings: Float32[ndarray, "m d"], cols: ndarray) -> Float64[ndarray, " k"]:
        """Distance of each pair's embedding to the nearest one in the track's gallery; 1 while it is empty."""
        cosine = np.full(len(rows), -np.inf)
        order = rows.argsort(kind="stable")
        sorted_rows = rows[order]
        cuts = np.flatnonzero(np.diff(sorted_rows)) + 1
        for members in np.split(order, cuts):
            if len(members) == 0:
                continue
            row = rows[members[0]]
            filled = min(int(self._counts[row]), self.budget)
            if filled:
                cosine[members] = (embeddings[cols[members]] @ self._rings[self._slots[row], :filled].T).max(axis=1)
        return _distance(cosine, self._counts[rows])

    def state(self) -> dict[str, Any]:
        """Copies of the rings."""
        return {"rings": self._rings[self._slots], "counts": self._counts.copy(), "latest": self._latest.copy()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the rings that `state` gave."""
        self._rings = np.array(state["rings"], np.float32)
        self._counts = np.array(state["counts"], np.int64)
        self._latest = np.array(state["latest"], np.float64)
        self._slots, self._unused = np.arange(len(self._counts)), []


def _distance(cosine: ndarray, counts: Int64[ndarray, " k"]) -> Float64[ndarray, " k"]:
    distance: ndarray = np.where(counts > 0, 1.0 - cosine.astype(np.float64), 1.0)
    return distance
