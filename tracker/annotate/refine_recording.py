"""A recording's rows after refinement, with their masks, however many they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from tracker.store import Observations as Rows
from tracker.store import Origin, Recording, Scratch
from tracker.store.corrections import join_rows
from tracker.track.refine.refinement import RefineConfig, Refinement
from tracker.track.rows import Observations

__all__ = ["RefinedRows"]

FRAMES_AT_ONCE = 64


class RefinedRows:
    """The rows with hindsight, some frames in each part; to be gone through while the recording is as it was.

    Rows of tracks that were not confirmed in their frame take part, so that an object's first moments are kept.
    They are worked out when this is made and wait on disk; masks are looked up in the recording part by part. The rows
    of `untouched` tracks stay as they are.
    """

    def __init__(
        self, recording: Recording, config: RefineConfig | None = None, *, untouched: Collection[int] = ()
    ) -> None:
        self._recording = recording
        self._untouched = sorted(untouched)
        indices, times = recording.frame_times()
        self._scratch = Scratch(recording.path, without=self._untouched)
        try:
            refinement = Refinement(_ByPlace(self._scratch, indices), times, config)
            own, all_ids = self._scratch.highest_track(), max(recording.highest_track, self._scratch.highest_track())
            for part in refinement.parts():
                rows = part.rows
                ids = np.where(rows.ids > own, rows.ids + (all_ids - own), rows.ids)  # what was cut off is new
                stored = Rows.rounded(
                    indices[rows.frames],
                    tracks=ids,
                    class_ids=rows.class_ids,
                    scores=np.minimum(rows.scores, 1.0),
                    boxes=rows.boxes,
                    origins=np.where(part.before > 0, Origin.DETECTED, Origin.INTERPOLATED),
                )
                self._scratch.add(stored, part.before)
        except BaseException:
            self.close()
            raise
        self.account = str(refinement.account)
        """What was changed, in words."""

    def close(self) -> None:
        """Give the room on disk back; safe to call twice."""
        self._scratch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Rows]:
        for frames, _ in self._recording.frame_chunks(FRAMES_AT_ONCE):
            first, last = int(frames[0]), int(frames[-1])
            rows, before = self._scratch.added_in(first, last)
            if self._untouched:
                there = self._recording.observations_in(first, last)
                there = there[np.isin(there.tracks, self._untouched)]
                rows, before = join_rows([rows, there]), np.concatenate([before, there.tracks])
                order = np.lexsort((rows.tracks, rows.frames))
                rows, before = rows[order], before[order]
            if len(rows):
                masks = self._recording.masks_in(first, last)
                keys = zip(rows.frames.tolist(), before.tolist(), strict=True)
                yield replace(rows, masks=tuple(masks.get(key) for key in keys) if masks else None)


class _ByPlace:
    """The rows put aside as refinement wants them: frames are places in the recording, from 0."""

    def __init__(self, scratch: Scratch, indices: Int64[ndarray, " f"]) -> None:
        self._scratch, self._indices = scratch, indices

    def by_track(self) -> Iterator[Observations]:
        """All rows ordered by track, then frame."""
        yield from map(self._seen, self._scratch.by_track())

    def of(self, track: int, first: int, last: int) -> Observations:
        """The rows of one track from place `first` to `last`, both included."""
        return self._seen(self._scratch.of(track, int(self._indices[first]), int(self._indices[last])))

    def _seen(self, rows: Rows) -> Observations:
        places = self._indices.searchsorted(rows.frames)
        boxes, scores = rows.boxes.astype(np.float32), rows.scores.astype(np.float32)
        return Observations(places, rows.tracks, boxes, scores, rows.class_ids)
