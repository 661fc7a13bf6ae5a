"""The common form between formats: what a file says of one recording or image set, as columns.

Readers fill a Collector (collector.py); writers read the columns. Boxes are xyxy float64 in pixels with continuous
edges.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath, PureWindowsPath

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from numpy import ndarray

from tracker.errors import FormatError
from tracker.formats.core.content import Capability, Segmentation, Summary, TrackRow

__all__ = ["NOTHING_KNOWN", "Annotations", "ExternalInfo", "Frames", "Objects"]


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The images, one row each, ordered by number; those without objects too where a format gives them."""

    indices: Int64[ndarray, " f"]
    """Number of the decoded frame, from 0."""
    times: Float64[ndarray, " f"]
    """Time stamps in seconds, NaN where unknown."""
    widths: Int32[ndarray, " f"]
    """0 where unknown."""
    heights: Int32[ndarray, " f"]
    names: tuple[str, ...]
    """File names of single images, relative and with forward slashes; empty for frames of a video."""

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: Bool[ndarray, " f"] | Int64[ndarray, " k"]) -> Frames:
        """The chosen rows, in the order of `rows`."""
        names = tuple(self.names[row] for row in np.arange(len(self))[rows].tolist())
        return Frames(self.indices[rows], self.times[rows], self.widths[rows], self.heights[rows], names)


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """What is seen where, one row per object and frame, ordered by frame and track."""

    frames: Int64[ndarray, " n"]
    """Row of Frames."""
    track_ids: Int64[ndarray, " n"]
    """From 1; 0 for an object that belongs to no track."""
    class_ids: Int32[ndarray, " n"]
    boxes: Float64[ndarray, "n 4"]
    scores: Float64[ndarray, " n"]
    """NaN where there is none, as in hand-made annotations."""
    segmentations: tuple[Segmentation | None, ...]
    occluded: Bool[ndarray, " n"]
    keyframes: Bool[ndarray, " n"]
    """False where the box was interpolated between two others."""
    crowds: Bool[ndarray, " n"]
    """True for a region of many objects that are not told apart, as COCO's `iscrowd`."""

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: Bool[ndarray, " n"] | Int64[ndarray, " k"]) -> Objects:
        """The chosen rows, in the order of `rows`; `frames` stay rows of the same Frames."""
        chosen = np.arange(len(self))[rows].tolist() if self.segmentations else []
        return Objects(
            self.frames[rows],
            self.track_ids[rows],
            self.class_ids[rows],
            self.boxes[rows],
            self.scores[rows],
            tuple(self.segmentations[row] for row in chosen),
            self.occluded[rows],
            self.keyframes[rows],
            self.crowds[rows],
        )

    @classmethod
    def none(cls) -> Objects:
        """No objects at all."""
        nothing = np.empty(0)
        whole, half, truth = nothing.astype(np.int64), nothing.astype(np.int32), nothing.astype(bool)
        return cls(whole, whole, half, np.empty((0, 4)), nothing, (), truth, truth, truth)


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """Everything a file says of one recording or image set, all in memory."""

    source: str
    """Name of the video or folder, empty where unknown."""
    labels: tuple[str, ...]
    frames: Frames
    objects: Objects

    def __repr__(self) -> str:
        frames, objects, labels = len(self.frames), len(self.objects), len(self.labels)
        return f"<Annotations of {self.source or 'unnamed'}: {objects} objects, {frames} frames, {labels} classes>"

    def rows_by_frame(self) -> list[range]:
        """The rows of objects of each frame, in the frames' order."""
        edges = np.searchsorted(self.objects.frames, np.arange(len(self.frames) + 1))
        return [range(start, end) for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]

    def rows_by_track(self) -> dict[int, list[int]]:
        """The rows of each track in the frames' order, by ascending id; rows without a track are left out."""
        tracks: dict[int, list[int]] = {}
        for row, track_id in enumerate(self.objects.track_ids.tolist()):
            if track_id > 0:
                tracks.setdefault(track_id, []).append(row)
        return dict(sorted(tracks.items()))

    def summary(self) -> Summary:
        """What is known of the whole."""
        frames, objects = self.frames, self.objects
        sizes = list(zip(frames.widths.tolist(), frames.heights.tolist(), strict=True))
        times = frames.times[np.isfinite(frames.times)]
        facts = {
            Capability.TRACKS: bool((objects.track_ids > 0).any()),
            Capability.CLASSES: len(np.unique(objects.class_ids)) > 1,
            Capability.SCORES: bool(np.isfinite(objects.scores).any()),
            Capability.MASKS: any(isinstance(item, str) for item in objects.segmentations),
            Capability.POLYGONS: any(isinstance(item, tuple) for item in objects.segmentations),
            Capability.TIMES: len(times) > 0,
            Capability.OCCLUSION: bool(objects.occluded.any()),
            Capability.KEYFRAMES: not objects.keyframes.all(),
            Capability.UNTRACKED: bool((objects.track_ids == 0).any()),
            Capability.CROWDS: bool(objects.crowds.any()),
        }
        return Summary(
            first_frame=int(frames.indices[0]) if len(frames) else 0,
            last_frame=int(frames.indices[-1]) if len(frames) else -1,
            last_time=float(times[-1]) if len(times) else math.nan,
            first_size=sizes[0] if sizes else (0, 0),
            sizes=tuple(sorted(set(sizes))),
            are_images=any(frames.names),
            content=Capability(sum(fact.value for fact, holds in facts.items() if holds)),
        )

    def by_frames(self, *, objects: bool = True) -> Iterator[Annotations]:
        """All in one part."""
        yield self if objects else replace(self, objects=Objects.none())

    def by_tracks(self) -> Iterator[tuple[int, Iterator[TrackRow]]]:
        """Each track's id and rows; objects without a track last, as tracks of one row with ids of their own."""
        tracks = self.rows_by_track()
        loose = np.flatnonzero(self.objects.track_ids == 0).tolist()
        tracks |= {free: [row] for free, row in enumerate(loose, start=max(tracks, default=0) + 1)}
        for track_id, rows in tracks.items():
            yield track_id, map(self._track_row, rows)

    def track_classes(self) -> Iterator[tuple[int, int]]:
        """Each track's id and the class of its first row."""
        for track_id, rows in self.rows_by_track().items():
            yield track_id, int(self.objects.class_ids[rows[0]])

    def outlined_tracks(self) -> frozenset[int]:
        """The ids of the tracks with a mask or outline in any image."""
        pairs = zip(self.objects.track_ids.tolist(), self.objects.segmentations, strict=True)
        return frozenset(track_id for track_id, segmentation in pairs if segmentation is not None and track_id)

    def _track_row(self, row: int) -> TrackRow:
        frames, objects = self.frames, self.objects
        frame = int(objects.frames[row])
        return TrackRow(
            int(frames.indices[frame]),
            float(frames.times[frame]),
            (int(frames.widths[frame]), int(frames.heights[frame])),
            int(objects.class_ids[row]),
            objects.boxes[row].tolist(),
            objects.segmentations[row],
            bool(objects.occluded[row]),
            bool(objects.keyframes[row]),
        )

    def file_names(self, suffix: str) -> list[str]:
        """A file name for each frame: the image's own, or the video's with the frame's number; with that suffix.

        Raises FormatError where two would be the same.
        """
        stem = PureWindowsPath(self.source).stem or "frame"
        names = [
            str(PurePosixPath(name).with_suffix(suffix)) if name else f"{stem}_{index + 1:06d}{suffix}"
            for name, index in zip(self.frames.names, self.frames.indices.tolist(), strict=True)
        ]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise FormatError(f"{self.source or 'images'}: two images would share the file {twice}")
        return names


@dataclass(frozen=True, slots=True)
class ExternalInfo:
    """What the user gives beside the file, for formats that leave it out."""

    width: int = 0
    height: int = 0
    labels: tuple[str, ...] = ()
    source: str = ""
    """The video's file name."""
    frames: int = 0
    """How many the video has, 0 where unknown."""
    times: Sequence[float] = ()
    """The video's time stamps in seconds, one a frame; empty where unknown."""
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Width and height of single images by their names without suffix."""


NOTHING_KNOWN = ExternalInfo()
