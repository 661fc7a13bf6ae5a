"""Which tracks look like one: every track of some recordings as one unit vector, ranked by one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Int64
from numpy import ndarray

from tracker.errors import ConfigError
from tracker.store.appearances import Views

__all__ = ["Match", "TrackIndex", "mean_vectors"]


class Match(NamedTuple):
    """A track that looks like the one asked for."""

    recording: int
    """Which of the index's recordings."""
    track: int
    similarity: float
    """Cosine of the two mean vectors, -1 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackIndex:
    """The tracks of some recordings and their mean vectors."""

    recordings: Int32[ndarray, " n"]
    tracks: Int64[ndarray, " n"]
    labels: tuple[str, ...]
    """The class of each."""
    vectors: Float32[ndarray, "n d"]

    @classmethod
    def of(cls, recordings: Sequence[tuple[Views, Sequence[str]]]) -> TrackIndex:
        """From the views of each recording and its labels. Raises ConfigError where networks differ."""
        parts = [(place, *mean_vectors(views), labels) for place, (views, labels) in enumerate(recordings)]
        parts = [part for part in parts if len(part[1])]
        if len({vectors.shape[1] for *_, vectors, _ in parts}) > 1:
            raise ConfigError("the recordings were described by different networks; describe them by the same one")
        if not parts:
            return cls(np.zeros(0, np.int32), np.zeros(0, np.int64), (), np.zeros((0, 1), np.float32))
        return cls(
            np.concatenate([np.full(len(tracks), place, np.int32) for place, tracks, *_ in parts]),
            np.concatenate([tracks for _, tracks, *_ in parts]),
            tuple(labels[class_id] for *_, classes, _, labels in parts for class_id in classes.tolist()),
            np.concatenate([vectors for *_, vectors, _ in parts]),
        )

    def __len__(self) -> int:
        return len(self.tracks)

    def like(self, recording: int, track: int, *, count: int) -> list[Match]:
        """The tracks of the same class that look most like one, best first; itself is left out.

        Raises ConfigError where it is not in the index.
        """
        (places,) = np.nonzero((self.recordings == recording) & (self.tracks == track))
        if not len(places):
            raise ConfigError(f"track {track} has no view that shows what it looks like; choose another one")
        similarity = self.vectors @ self.vectors[places[0]]
        label = self.labels[places[0]]
        similarity[places[0]] = -np.inf
        order = similarity.argsort()[::-1]
        found: list[Match] = []
        for place in order.tolist():
            if len(found) == count or similarity[place] == -np.inf:
                break
            if self.labels[place] == label:
                found.append(Match(int(self.recordings[place]), int(self.tracks[place]), float(similarity[place])))
        return found


def mean_vectors(views: Views) -> tuple[Int64[ndarray, " t"], Int32[ndarray, " t"], Float32[ndarray, "t d"]]:
    """Each track once, its class, and the mean of its views' vectors, of unit length."""
    tracks, firsts, places = np.unique(views.tracks, return_index=True, return_inverse=True)
    sums = np.zeros((len(tracks), views.vectors.shape[1]), np.float32)
    np.add.at(sums, places, views.vectors)
    return tracks, views.class_ids[firsts], sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
