"""Who was seen where in a recording: in memory, or wherever else rows can be found by track."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64
from numpy import ndarray

from tracker.types import Detections, Tracks

__all__ = ["Observations", "RowsInMemory", "TrackedRows"]

ROWS_AT_ONCE = 65536


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Who was seen where in a recording, one row per object and frame, ordered by frame, then id."""

    frames: Int64[ndarray, " n"]
    """Place of the frame in the recording, from 0."""
    ids: Int64[ndarray, " n"]
    boxes: Float32[ndarray, "n 4"]
    scores: Float32[ndarray, " n"]
    class_ids: Int32[ndarray, " n"]
    embeddings: Float32[ndarray, "n d"] | None = None
    filled: Bool[ndarray, " n"] | None = None
    """Rows put in where the object was not detected; None for none."""

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: ndarray) -> Observations:
        """The chosen rows."""
        looks = None if self.embeddings is None else self.embeddings[rows]
        filled = None if self.filled is None else self.filled[rows]
        return Observations(
            self.frames[rows], self.ids[rows], self.boxes[rows], self.scores[rows], self.class_ids[rows], looks, filled
        )

    @classmethod
    def from_tracks(cls, tracks: Sequence[Tracks], detections: Sequence[Detections] | None = None) -> Observations:
        """What a tracker gave, frame by frame: every row seen in its frame, tentative ones too.

        Tentative rows matter: hindsight keeps the first moments of an object that was confirmed later. With
        `detections` the boxes are the detections themselves, which smooth better than what a filter made of them,
        and their embeddings come along.
        """
        last_seen = [one[one.detection_rows >= 0] for one in tracks]
        frames = np.concatenate([np.empty(0, np.int64), *(np.full(len(one), at) for at, one in enumerate(last_seen))])
        boxes = [one.boxes for one in last_seen]
        looks = None
        if detections is not None:
            boxes = [found.boxes[one.detection_rows] for found, one in zip(detections, last_seen, strict=True)]
            described = [found.embeddings for found in detections if len(found)]
            if described and all(embed_rows is not None for embed_rows in described):
                looks = np.concatenate(
                    [
                        found.embeddings[one.detection_rows]
                        for found, one in zip(detections, last_seen, strict=True)
                        if found.embeddings is not None
                    ]
                )
        return cls(
            frames.astype(np.int64),
            np.concatenate([np.empty(0, np.int64), *(one.ids for one in last_seen)]),
            np.concatenate([np.empty((0, 4), np.float32), *boxes]),
            np.concatenate([np.empty(0, np.float32), *(one.scores for one in last_seen)]),
            np.concatenate([np.empty(0, np.int32), *(one.class_ids for one in last_seen)]),
            looks,
        )

    @classmethod
    def joined(cls, parts: Sequence[Observations]) -> Observations:
        """The rows of all parts one after the other, without embeddings."""
        filled = [part.filled for part in parts if part.filled is not None]
        return cls(
            np.concatenate([np.empty(0, np.int64), *(part.frames for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.ids for part in parts)]),
            np.concatenate([np.empty((0, 4), np.float32), *(part.boxes for part in parts)]),
            np.concatenate([np.empty(0, np.float32), *(part.scores for part in parts)]),
            np.concatenate([np.empty(0, np.int32), *(part.class_ids for part in parts)]),
            filled=np.concatenate(filled) if filled else None,
        )

    def mot_lines(self) -> Iterator[str]:
        """MOT result rows; frames count from 1 there."""
        rows = zip(self.frames.tolist(), self.ids.tolist(), self.boxes.tolist(), self.scores.tolist(), strict=True)
        for frame, track, (x1, y1, x2, y2), score in rows:
            yield f"{frame + 1},{track},{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f},{score:.4f},-1,-1,-1\n"


class TrackedRows(Protocol):
    """Rows of any number of tracks that need not be in memory."""

    def by_track(self) -> Iterator[Observations]:
        """All rows ordered by track, then frame; some at a time, long tracks in several parts."""

    def of(self, track: int, first: int, last: int) -> Observations:
        """The rows of one track from frame `first` to `last`, both included, in order, without embeddings."""


class RowsInMemory:
    """TrackedRows of observations."""

    def __init__(self, observations: Observations) -> None:
        self._rows = observations[np.lexsort((observations.frames, observations.ids))]

    def by_track(self) -> Iterator[Observations]:
        """All rows ordered by track, then frame."""
        for start in range(0, len(self._rows), ROWS_AT_ONCE):
            yield self._rows[np.arange(start, min(start + ROWS_AT_ONCE, len(self._rows)))]

    def of(self, track: int, first: int, last: int) -> Observations:
        """The rows of one track in those frames."""
        start, stop = self._rows.ids.searchsorted((track, track + 1))
        low, high = start + self._rows.frames[start:stop].searchsorted((first, last + 1))
        rows = np.arange(low, high)
        columns = self._rows.frames, self._rows.ids, self._rows.boxes, self._rows.scores, self._rows.class_ids
        return Observations(*(column[rows] for column in columns))
