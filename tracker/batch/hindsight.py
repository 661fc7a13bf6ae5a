"""A recording's rows after refinement, with their masks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from tracker.store import Observations as Rows
from tracker.store import Origin, Recording
from tracker.track.refine import Observations, RefineConfig, Refined, refine

__all__ = ["RefinedRows", "refined_rows"]

CHUNK_FRAMES = 512

Masks: TypeAlias = dict[tuple[int, int], str]
"""By frame and track."""


class RefinedRows:
    """The rows with hindsight, some frames in each part; to be gone through more than once."""

    def __init__(self, rows: Observations, frames: Int64[ndarray, " f"], masks: Masks) -> None:
        self._rows, self._frames, self._masks = rows, frames, masks

    def __iter__(self) -> Iterator[Rows]:
        rows = self._rows
        for start in range(0, len(self._frames), CHUNK_FRAMES):
            part = rows[np.arange(*rows.frames.searchsorted((start, start + CHUNK_FRAMES)))]
            if len(part):
                yield self._stored(part)

    def _stored(self, part: Observations) -> Rows:
        indices, filled = self._frames[part.frames], part.filled
        masks = None
        if self._masks:
            keys = zip(indices.tolist(), part.ids.tolist(), strict=True)
            masks = [self._masks.get(key) for key in keys]
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
    rows, masks = _recorded(recording, indices)
    refined = refine(rows, times, config)
    return RefinedRows(refined.observations, indices, _renamed(masks, rows, refined, indices)), str(refined.account)


def _renamed(masks: Masks, before: Observations, refined: Refined, indices: Int64[ndarray, " f"]) -> Masks:
    """The masks by frame and the track their row belongs to now."""
    if not masks:
        return {}
    seen = refined.sources >= 0
    after, sources = refined.observations, refined.sources[seen]
    columns = (indices[after.frames[seen]], before.ids[sources], after.ids[seen])
    return {
        (frame, track): masks[frame, old]
        for frame, old, track in zip(*(column.tolist() for column in columns), strict=True)
        if (frame, old) in masks
    }


def _recorded(recording: Recording, indices: Int64[ndarray, " f"]) -> tuple[Observations, Masks]:
    """All rows in order, tentative ones too, and their masks by frame and track."""
    tentative = recording.tentative(masks=True)
    count = recording.observation_count() + len(tentative)
    numbers, boxes = np.empty((3, count), np.int64), np.empty((count, 4), np.float32)
    scores = np.empty(count, np.float32)
    masks: Masks = {}
    stretches = (stretch.observations for stretch in recording.stretches(frames=CHUNK_FRAMES, masks=True))
    at = 0
    for part in itertools.chain([tentative], stretches):
        here = slice(at, at + len(part))
        numbers[:, here] = indices.searchsorted(part.frames), part.tracks, part.class_ids
        boxes[here], scores[here] = part.boxes, part.scores
        masks |= {(frame, track): mask for frame, track, mask in part.stored_masks()}
        at = here.stop
    order = np.lexsort((numbers[1], numbers[0]))
    frames, tracks, class_ids = numbers[:, order]
    return Observations(frames, tracks, boxes[order], scores[order], class_ids.astype(np.int32)), masks
