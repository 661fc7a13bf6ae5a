"""A recording's rows after refinement, with their masks, however many they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from tracker.observations import Observations
from tracker.protocols import Closing
from tracker.store import Recording, Scratch
from tracker.track.refine.refinement import RefineConfig, Refinement

__all__ = ["RefinedRows"]

FRAMES_AT_ONCE = 64


class RefinedRows(Closing):
    """The refined rows, some frames in each chunk; to be gone through while the recording is as it was.

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
            refinement = Refinement(_ByPosition(recording, self._scratch, indices), times, config)
            own, all_ids = self._scratch.highest_track(), max(recording.highest_track, self._scratch.highest_track())
            for part in refinement.parts():
                rows = part.rows
                ids = np.where(rows.tracks > own, rows.tracks + (all_ids - own), rows.tracks)  # what was cut off is new
                stored = Observations.rounded(
                    indices[rows.frames],
                    tracks=ids,
                    class_ids=rows.class_ids,
                    scores=np.minimum(rows.scores, 1.0),
                    boxes=rows.boxes,
                    origins=rows.origins,
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

    def __iter__(self) -> Iterator[Observations]:
        for frames, _ in self._recording.frame_chunks(FRAMES_AT_ONCE):
            first, last = int(frames[0]), int(frames[-1])
            rows, before = self._scratch.added_in(first, last)
            if self._untouched:
                there = self._recording.observations_in(first, last)
                there = there[np.isin(there.tracks, self._untouched)]
                rows, before = Observations.joined([rows, there]), np.concatenate([before, there.tracks])
                order = np.lexsort((rows.tracks, rows.frames))
                rows, before = rows[order], before[order]
            if len(rows):
                masks = self._recording.masks_in(first, last)
                keys = zip(rows.frames.tolist(), before.tolist(), strict=True)
                yield replace(rows, masks=tuple(masks.get(key) for key in keys) if masks else None)


class _ByPosition:
    """The rows put aside as refinement wants them: frames count from 0 without gaps, as the time stamps do."""

    def __init__(self, recording: Recording, scratch: Scratch, indices: Int64[ndarray, " f"]) -> None:
        self._recording, self._scratch, self._indices = recording, scratch, indices

    def by_track(self) -> Iterator[Observations]:
        """All rows ordered by track, then frame."""
        yield from map(self._by_position, self._scratch.by_track())

    def of(self, track: int, first: int, last: int) -> Observations:
        """The rows of one track from position `first` to `last`, both included."""
        return self._by_position(self._scratch.of(track, int(self._indices[first]), int(self._indices[last])))

    def reported(self) -> tuple[Int64[ndarray, " t"], Int64[ndarray, " t"]]:
        """The tracks that were confirmed in any frame, in order, and the position of the first such frame of each."""
        tracks, frames = self._scratch.reported()
        return tracks, self._indices.searchsorted(frames)

    def between(self, first: int, last: int) -> Observations:
        """The recording's confirmed rows from position `first` to `last`, both included."""
        return self._by_position(self._recording.observations_in(int(self._indices[first]), int(self._indices[last])))

    def _by_position(self, rows: Observations) -> Observations:
        return replace(rows, frames=self._indices.searchsorted(rows.frames))
