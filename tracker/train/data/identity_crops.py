"""Crops of people or things with their identity, cut from a video along its tracks, or from single images.

Tracks come from a MOT ground truth or result file, or from a recording of ours. Each object of a single image is an
identity of its own.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8
from numpy import ndarray

from tracker.detect.reid_embedder import cut_out
from tracker.errors import FormatError
from tracker.evaluate.ground_truth import DataSet
from tracker.evaluate.mot_files import read_rows
from tracker.geometry import clip
from tracker.observations import Origin
from tracker.protocols import Embed, FrameSource
from tracker.store import Recording
from tracker.types import Image
from tracker.video import open_source

__all__ = [
    "Crops",
    "Teacher",
    "TrackBoxes",
    "crops_of_images",
    "cut_crops",
    "join_crops",
    "read_tracks",
    "split_identities",
]

SMALLEST = 16
"""Crops with a side below this many pixels tell nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Crops of one size, whose they are, and when they were seen."""

    images: UInt8[ndarray, "n 3 h w"]
    ids: Int64[ndarray, " n"]
    moments: Int64[ndarray, " n"]
    """Which stretch of the recording a crop is from; stands in for the camera when crops are searched."""
    taught: Float32[ndarray, "n d"] | None = None
    """What a teacher says of each, zeros where it was not asked."""

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: ndarray | slice) -> Crops:
        taught = None if self.taught is None else self.taught[rows]
        return Crops(self.images[rows], self.ids[rows], self.moments[rows], taught)


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A network whose vectors are learned, and what it knows."""

    embed: Embed
    classes: tuple[str, ...] = ()
    """Labels of what it is asked about; none for all. Things of unknown class are asked about."""

    def ask(self, image: Image, boxes: Float64[ndarray, "n 4"], labels: Sequence[str]) -> Float32[ndarray, "n d"]:
        """Its vectors, zeros where it is not asked."""
        vectors = self.embed(image, boxes.astype(np.float32))
        if self.classes:
            vectors[[bool(label) and label not in self.classes for label in labels]] = 0
        return vectors


@dataclass(frozen=True, slots=True, eq=False)
class TrackBoxes:
    """Boxes of tracks by frame, in pixels of the video they belong to."""

    frames: Int64[ndarray, " n"]
    """From 0."""
    ids: Int64[ndarray, " n"]
    boxes: Float64[ndarray, "n 4"]
    labels: tuple[str, ...] = ()
    """Class of each; none where the file does not tell."""


def read_tracks(path: Path, *, video_width: int) -> TrackBoxes:
    """The tracks of a MOT text file or of a recording.

    Boxes of a ground truth that was made at another size are scaled to the video: a seqinfo.ini beside or above the
    file gives the width they were made for. Rows with score 0 (to be ignored) are left out, and a recording's boxes
    that were filled in: what hid the object is seen there.
    """
    if path.suffix == ".txt":
        rows = read_rows(path)
        kept = (rows.scores != 0) & (rows.ids > 0)
        scale = video_width / (_stated_width(path) or video_width)
        return TrackBoxes(rows.frames[kept] - 1, rows.ids[kept], rows.boxes[kept] * scale)
    with Recording(path) as recording:
        indices, _ = recording.frame_times()
        recorded = recording.observations_in(0, int(indices.max(initial=0)))
        seen = recorded[recorded.origins != Origin.INTERPOLATED]
        labels = tuple(recording.info.labels[class_id] for class_id in seen.class_ids.tolist())
        return TrackBoxes(seen.frames, seen.tracks, seen.boxes, labels)


def cut_crops(
    video: Path,
    tracks: Path,
    *,
    size: tuple[int, int],
    every: int = 5,
    chunks: int = 4,
    teacher: Teacher | None = None,
) -> Crops:
    """Every fifth box of each track, cut out and scaled to `size` (height, width).

    The video is cut into as many equal `chunks` as given. Raises FormatError when nothing can be cut.
    """
    source = open_source(video)
    try:
        found = read_tracks(tracks, video_width=source.info.width)
        wanted = _every_nth(found, every)
        cutting = _Cutting(size, teacher)
        rows: list[int] = []
        for row, image in _boxes_in(source, found, wanted):
            if cutting.add(image, found.boxes[row], found.labels[row] if found.labels else ""):
                rows.append(row)
    finally:
        source.close()
    if not rows:
        raise FormatError(f"{tracks}: no box of {SMALLEST} pixels or more lies in a frame of {video}")
    moments = found.frames[rows] * chunks // (int(found.frames.max()) + 1)
    return cutting.crops(found.ids[rows], moments)


def crops_of_images(data: DataSet, *, size: tuple[int, int], teacher: Teacher | None = None) -> Crops:
    """Every labelled object of single images, each an identity of its own. Raises FormatError where there is none."""
    cutting = _Cutting(size, teacher)
    count = 0
    for sample in data.samples:
        image = sample.read()
        for box, class_id in zip(sample.boxes.astype(np.float64), sample.class_ids.tolist(), strict=True):
            count += cutting.add(image, box, data.names[class_id])
    if not count:
        raise FormatError(
            f"no object of {SMALLEST} pixels or more in {len(data.samples)} images: nothing to learn from"
        )
    return cutting.crops(np.arange(count), np.zeros(count, np.int64))


class _Cutting:
    """Crops as they are cut, and what a teacher says of them."""

    def __init__(self, size: tuple[int, int], teacher: Teacher | None) -> None:
        self._size, self._teacher = size, teacher
        self._images: list[ndarray] = []
        self._taught: list[ndarray] = []

    def add(self, image: Image, box: Float64[ndarray, " 4"], label: str) -> bool:
        """Cut one box out; False where it is too small."""
        x1, y1, x2, y2 = clip(box[None], image.shape[1], image.shape[0])[0].round()
        crop = cut_out(image, box, self._size[::-1])
        if crop is None or min(x2 - x1, y2 - y1) < SMALLEST:
            return False
        self._images.append(crop.transpose(2, 0, 1))
        if self._teacher is not None:
            self._taught.append(self._teacher.ask(image, box[None], [label])[0])
        return True

    def crops(self, ids: Int64[ndarray, " n"], moments: Int64[ndarray, " n"]) -> Crops:
        """All that was cut."""
        return Crops(np.stack(self._images), ids, moments, np.stack(self._taught) if self._taught else None)


def join_crops(parts: Sequence[Crops]) -> Crops:
    """Crops of several videos, whose identities and stretches have nothing in common."""
    images, ids, moments = [], [], []
    next_id = next_moment = 0
    for part in parts:
        known, numbers = np.unique(part.ids, return_inverse=True)
        images.append(part.images)
        ids.append(numbers + next_id)
        moments.append(part.moments + next_moment)
        next_id += len(known)
        next_moment += int(part.moments.max()) + 1
    taught = [part.taught for part in parts if part.taught is not None]
    classes = np.concatenate(taught) if len(taught) == len(parts) else None
    return Crops(np.concatenate(images), np.concatenate(ids), np.concatenate(moments), classes)


def split_identities(crops: Crops, share: float, *, seed: int) -> tuple[Crops, Crops]:
    """(training, validation): a share of the identities set aside with all their crops.

    Validation takes identities seen in at least two stretches first, since only they can be found again.
    """
    known = np.unique(crops.ids)
    np.random.default_rng(seed).shuffle(known)
    returning = [identity for identity in known if len(np.unique(crops.moments[crops.ids == identity])) > 1]
    others = [identity for identity in known if identity not in set(returning)]
    aside = (returning + others)[: round(share * len(known))]
    held_out = np.isin(crops.ids, aside)
    return crops[~held_out], crops[held_out]


def _boxes_in(source: FrameSource, found: TrackBoxes, wanted: Int64[ndarray, " k"]) -> Iterator[tuple[int, Image]]:
    """Each wanted row with the frame it lies in, in the order of the frames."""
    order = wanted[np.argsort(found.frames[wanted], kind="stable")]
    place = 0
    for frame in source:
        while place < len(order) and found.frames[order[place]] < frame.index:
            place += 1
        while place < len(order) and found.frames[order[place]] == frame.index:
            yield int(order[place]), frame.image
            place += 1
        if place == len(order):
            return


def _every_nth(found: TrackBoxes, every: int) -> Int64[ndarray, " k"]:
    """Rows: of each track, in the order of its frames, the first and every n-th after it."""
    chosen = []
    for identity in np.unique(found.ids):
        rows = np.flatnonzero(found.ids == identity)
        chosen.append(rows[np.argsort(found.frames[rows], kind="stable")][::every])
    return np.concatenate(chosen) if chosen else np.empty(0, np.int64)


def _stated_width(tracks: Path) -> int | None:
    for folder in (tracks.parent, tracks.parent.parent):
        info = folder / "seqinfo.ini"
        if info.is_file():
            parser = configparser.ConfigParser()
            try:
                parser.read(info, encoding="utf-8-sig")
                return parser.getint("Sequence", "imWidth", fallback=0) or None
            except (configparser.Error, ValueError, UnicodeDecodeError) as error:
                raise FormatError(f"{info}: not a seqinfo.ini: {error}") from error
    return None
