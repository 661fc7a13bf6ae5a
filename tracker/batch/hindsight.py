"""A recording's rows after refinement, with their masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from tracker.store import Observations as Rows
from tracker.store import Origin, Recording
from tracker.track.refine import Observations, RefineConfig, refine

__all__ = ["RefinedRows", "refined_rows"]

CHUNK_FRAMES = 512


class RefinedRows:
    """The rows with hindsight, some frames in each part; to be gone through while the recording is as it was.

    Masks are looked up in the recording part by part.
    """

    def __init__(
        self, recording: Recording, rows: Observations, frames: Int64[ndarray, " f"], before: Int64[ndarray, " n"]
    ) -> None:
        self._recording, self._rows, self._frames = recording, rows, frames
        self._before = before
        """The track each row belonged to; 0 for one put in."""
        self._has_masks = recording.has_masks()

    def __iter__(self) -> Iterator[Rows]:
        rows = self._rows
        for start in range(0, len(self._frames), CHUNK_FRAMES):
            here = slice(*rows.frames.searchsorted((start, start + CHUNK_FRAMES)).tolist())
            if here.stop > here.start:
                yield self._stored(here)

    def _stored(self, here: slice) -> Rows:
        part = self._rows[np.arange(here.start, here.stop)]
        indices, filled = self._frames[part.frames], part.filled
        masks = None
        if self._has_masks:
            known = self._recording.masks_in(int(indices[0]), int(indices[-1]))
            keys = zip(indices.tolist(), self._before[here].tolist(), strict=True)
            masks = [known.get(key) for key in keys]
        return Rows.rounded(
            indices,
            tracks=part.ids,
            class_ids=part.class_ids,
            scores=np.minimum(part.scores, 1.0),
            boxes=part.boxes,
            origins=Origin.SEEN if filled is None else np.where(filled, Origin.FILLED, Origin.SEEN),
            masks=masks,
        )


def refined_rows(recording: Recording, config: RefineConfig | None = None) -> tuple[RefinedRows, str]:
    """The rows with hindsight, and what was changed, in words.

    Rows of tracks that were not confirmed in their frame take part, so that an object's first moments are kept.
    """
    indices, times = recording.frame_times()
    rows = _recorded(recording, indices)
    refined = refine(rows, times, config)
    sources = refined.sources
    before = np.where(sources >= 0, rows.ids[sources] if len(rows) else 0, 0)
    return RefinedRows(recording, refined.observations, indices, before), str(refined.account)


def _recorded(recording: Recording, indices: Int64[ndarray, " f"]) -> Observations:
    """All rows in order, tentative ones too."""
    count = recording.observation_count() + recording.tentative_count()
    frames, tracks, class_ids = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int32)
    boxes, scores = np.empty((count, 4), np.float32), np.empty(count, np.float32)
    at = 0
    for start in range(0, len(indices), CHUNK_FRAMES):
        span = int(indices[start]), int(indices[min(start + CHUNK_FRAMES, len(indices)) - 1])
        parts = [recording.observations_in(*span), recording.tentative(*span)]
        numbers = [np.concatenate([getattr(part, name) for part in parts]) for name in ("frames", "tracks")]
        order = np.lexsort(numbers[::-1])
        here = slice(at, at + len(order))
        frames[here], tracks[here] = indices.searchsorted(numbers[0][order]), numbers[1][order]
        for column, name in ((class_ids, "class_ids"), (boxes, "boxes"), (scores, "scores")):
            column[here] = np.concatenate([getattr(part, name) for part in parts])[order]
        at = here.stop
    return Observations(frames, tracks, boxes, scores, class_ids)
