"""Crops of people or things with their identity, cut from a video along its tracks.

Tracks come from a MOT ground truth or result file, or from a recording of ours.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float64, Int64, UInt8
from numpy import ndarray

from tracker.errors import FormatError
from tracker.evaluate.mot_files import read_rows
from tracker.geometry import clip
from tracker.protocols import FrameSource
from tracker.store import Origin, Recording
from tracker.types import Image
from tracker.video import open_source

__all__ = ["Crops", "TrackBoxes", "cut_crops", "join_crops", "read_tracks", "split_identities"]

SMALLEST = 16
"""Crops with a side below this many pixels tell nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Crops of one size, whose they are, and when they were seen."""

    images: UInt8[ndarray, "n 3 h w"]
    ids: Int64[ndarray, " n"]
    moments: Int64[ndarray, " n"]
    """Which stretch of the recording a crop is from; stands in for the camera when crops are searched."""

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: ndarray | slice) -> Crops:
        return Crops(self.images[rows], self.ids[rows], self.moments[rows])


@dataclass(frozen=True, slots=True, eq=False)
class TrackBoxes:
    """Boxes of tracks by frame, in pixels of the video they belong to."""

    frames: Int64[ndarray, " n"]
    """From 0."""
    ids: Int64[ndarray, " n"]
    boxes: Float64[ndarray, "n 4"]


def read_tracks(path: Path, *, video_width: int) -> TrackBoxes:
    """The tracks of a MOT text file or of a recording.

    Boxes of a ground truth that was made at another size are scaled to the video: a seqinfo.ini beside or above the
    file tells the width they were made for. Rows with score 0 (to be ignored) are left out, and a recording's boxes
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
        return TrackBoxes(seen.frames, seen.tracks, seen.boxes)


def cut_crops(
    video: Path,
    tracks: Path,
    *,
    size: tuple[int, int],
    every: int = 5,
    chunks: int = 4,
) -> Crops:
    """Every fifth box of each track, cut out and scaled to `size` (height, width).

    The video is cut into as many equal `chunks` as told. Raises FormatError when nothing can be cut.
    """
    source = open_source(video)
    try:
        found = read_tracks(tracks, video_width=source.info.width)
        wanted = _every_nth(found, every)
        images: list[ndarray] = []
        rows: list[int] = []
        for row, image in _boxes_in(source, found, wanted):
            x1, y1, x2, y2 = clip(found.boxes[row][None], image.shape[1], image.shape[0])[0].round().astype(int)
            if min(x2 - x1, y2 - y1) < SMALLEST:
                continue
            height, width = size
            crop = cv2.resize(image[y1:y2, x1:x2], (width, height), interpolation=cv2.INTER_LINEAR)
            images.append(crop.transpose(2, 0, 1))
            rows.append(row)
    finally:
        source.close()
    if not rows:
        raise FormatError(f"{tracks}: no box of {SMALLEST} pixels or more lies in a frame of {video}")
    moments = found.frames[rows] * chunks // (int(found.frames.max()) + 1)
    return Crops(np.stack(images), found.ids[rows], moments)


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
    return Crops(np.concatenate(images), np.concatenate(ids), np.concatenate(moments))


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
