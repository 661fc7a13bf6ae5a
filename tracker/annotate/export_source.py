"""A recording of any length as the writers of formats want it: part by part, straight from the store.

Boxes that were smoothed or corrected keep the mask that was seen. What of it lies outside the box is cut off for
formats whose readers take box and mask for one object.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from tracker.formats.core.annotations import Annotations, Frames, Objects
from tracker.formats.core.content import Capability, Summary, TrackRow
from tracker.formats.core.rle import clip_rle
from tracker.observations import Origin
from tracker.store import Chunk, ImageEntry, Recording

__all__ = ["FRAMES_AT_ONCE", "RecordedParts"]

FRAMES_AT_ONCE = 64


class RecordedParts:
    """The recording's rows as annotations; inside its `snapshot` each way through them gives the same.

    With `clip_masks` no mask reaches out of its box.
    """

    def __init__(self, recording: Recording, *, clip_masks: bool = False) -> None:
        self._recording = recording
        self._clip_masks = clip_masks
        self._size = recording.info.width, recording.info.height
        self.source = str(recording.info.source.get("name", ""))
        self.labels = recording.info.labels

    def summary(self) -> Summary:
        """What is known of the whole."""
        recording = self._recording
        first, last = recording.first_frame, recording.last_frame
        images = recording.images()
        has_frames, has_rows = last >= 0, recording.observation_count() > 0
        facts = {
            Capability.TRACKS: has_rows,
            Capability.SCORES: has_rows,
            Capability.CLASSES: recording.class_count() > 1,
            Capability.MASKS: recording.has_masks(),
            Capability.TIMES: has_frames,
            Capability.KEYFRAMES: recording.has_interpolated(),
        }
        return Summary(
            first_frame=first,
            last_frame=last,
            last_time=recording.time_of(last) if has_frames else math.nan,
            first_size=self._size_of(images.get(first)) if has_frames else (0, 0),
            sizes=tuple(sorted({entry[1:] for entry in images.values()} or {self._size})) if has_frames else (),
            are_images=bool(images),
            content=Capability(sum(fact.value for fact, holds in facts.items() if holds)),
        )

    def by_frames(self, *, objects: bool = True) -> Iterator[Annotations]:
        """Some frames at a time."""
        if objects:
            yield from map(self._part, self._recording.chunks(frames=FRAMES_AT_ONCE, masks=True))
        else:
            for frames, times in self._recording.frame_chunks(FRAMES_AT_ONCE):
                yield Annotations(self.source, self.labels, self._frames(frames, times), Objects.none())

    def by_tracks(self) -> Iterator[tuple[int, Iterator[TrackRow]]]:
        """Each track's id and rows, by ascending id."""
        for track_id, rows in groupby(self._track_rows(), key=itemgetter(0)):
            yield track_id, map(itemgetter(1), rows)

    def track_classes(self) -> Iterator[tuple[int, int]]:
        """Each track's id and the class of its first row, by ascending id."""
        return self._recording.first_classes()

    def outlined_tracks(self) -> frozenset[int]:
        """The ids of the tracks with a mask in any frame."""
        return self._recording.masked_tracks()

    def _frames(self, indices: Int64[ndarray, " f"], times: Float64[ndarray, " f"]) -> Frames:
        found = self._recording.images(int(indices[0]), int(indices[-1]))
        images = [found.get(index) for index in indices.tolist()]
        widths, heights = np.array([self._size_of(entry) for entry in images], np.int32).T
        return Frames(indices, times, widths, heights, tuple(entry.name if entry else "" for entry in images))

    def _size_of(self, entry: ImageEntry | None) -> tuple[int, int]:
        return (entry.width, entry.height) if entry else self._size

    def _part(self, stretch: Chunk) -> Annotations:
        rows, frames = stretch.observations, self._frames(stretch.frames, stretch.times)
        places = stretch.frames.searchsorted(rows.frames).astype(np.int64)
        sizes = zip(frames.widths[places].tolist(), frames.heights[places].tolist(), strict=True)
        masks = map(self._mask, rows.masks or [None] * len(rows), rows.boxes.tolist(), sizes)
        objects = Objects(
            frames=places,
            track_ids=rows.tracks,
            class_ids=rows.class_ids,
            boxes=rows.boxes,
            scores=rows.scores,
            segmentations=tuple(masks),
            occluded=np.zeros(len(rows), bool),
            keyframes=rows.origins != Origin.INTERPOLATED,
            crowds=np.zeros(len(rows), bool),
        )
        return Annotations(self.source, self.labels, frames, objects)

    def _track_rows(self) -> Iterator[tuple[int, TrackRow]]:
        images = self._recording.images()
        for rows, times in self._recording.by_track():
            columns = zip(
                rows.tracks.tolist(),
                rows.frames.tolist(),
                times.tolist(),
                rows.class_ids.tolist(),
                rows.boxes.tolist(),
                rows.masks or [None] * len(rows),
                rows.origins.tolist(),
                strict=True,
            )
            for track, frame, time, class_id, box, mask, origin in columns:
                size = self._size_of(images.get(frame))
                mask = self._mask(mask, box, size)
                yield track, TrackRow(frame, time, size, class_id, box, mask, False, origin != Origin.INTERPOLATED)

    def _mask(self, mask: str | None, box: list[float], size: tuple[int, int]) -> str | None:
        if mask is None or not self._clip_masks:
            return mask
        return clip_rle(mask, box, width=size[0], height=size[1])
