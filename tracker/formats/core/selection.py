"""Some of the images of annotations, as annotations of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from tracker.formats.core.annotations import Annotations
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.content import Summary, TrackRow

__all__ = ["SelectedFrames"]


class SelectedFrames:
    """The images of those numbers with their objects; tracks without any are left out."""

    def __init__(self, annotations: AnnotationParts, indices: Int64[ndarray, " f"]) -> None:
        self._annotations = annotations
        self._indices = indices
        self._chosen = frozenset(indices.tolist())
        self.source = annotations.source
        self.labels = annotations.labels

    def summary(self) -> Summary:
        """What is known of the whole; sizes and content are those of all images."""
        first, last = (int(self._indices[0]), int(self._indices[-1])) if len(self._indices) else (0, -1)
        whole = self._annotations.summary()
        last_time = whole.last_time if last == whole.last_frame else math.nan
        return replace(whole, first_frame=first, last_frame=last, last_time=last_time)

    def by_frames(self, *, objects: bool = True) -> Iterator[Annotations]:
        """Some images at a time."""
        for part in self._annotations.by_frames(objects=objects):
            selected = np.isin(part.frames.indices, self._indices)
            if selected.any():
                yield part if selected.all() else _select(part, selected)

    def by_tracks(self) -> Iterator[tuple[int, Iterator[TrackRow]]]:
        """Each track's id and rows."""
        for track_id, rows in self._annotations.by_tracks():
            inside = (row for row in rows if row.frame in self._chosen)
            first = next(inside, None)
            if first is not None:
                yield track_id, chain([first], inside)

    def track_classes(self) -> Iterator[tuple[int, int]]:
        """Each track's id and the class of its first row, by ascending id."""
        classes: dict[int, int] = {}
        for part in self.by_frames():
            objects = part.objects
            for track_id, class_id in zip(objects.track_ids.tolist(), objects.class_ids.tolist(), strict=True):
                if track_id:
                    classes.setdefault(track_id, class_id)
        yield from sorted(classes.items())

    def outlined_tracks(self) -> frozenset[int]:
        """The ids of the tracks with a mask or outline in any image, in or outside this selection."""
        return self._annotations.outlined_tracks()


def _select(annotations: Annotations, selected: Bool[ndarray, " f"]) -> Annotations:
    """The annotations of some of their frames."""
    frames, objects = annotations.frames, annotations.objects
    position = np.cumsum(selected) - 1
    chosen = objects[selected[objects.frames]]
    return replace(annotations, frames=frames[selected], objects=replace(chosen, frames=position[chosen.frames]))
