"""What the tracks of a recording look like, by a re-identification network shown some views of each in the video.

Views are chosen for what they show: one for each part of the track's life, detected and not filled in, large, whole
inside the image and behind nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from tracker.annotate.media_info import recorded_source
from tracker.annotate.recordings import fingerprint
from tracker.config import TrackerConfig
from tracker.errors import SourceError
from tracker.factory import Settings, make_embedder, reid_network
from tracker.observations import Observations, Origin
from tracker.protocols import Embed
from tracker.store import Recording
from tracker.store.appearances import View, Views, read_views, write_views
from tracker.types import Image
from tracker.video import open_source

__all__ = ["VIEWS", "ViewsProgress", "choose_views", "describe_tracks", "open_network"]

ViewsProgress: TypeAlias = Callable[[int, int], None]
"""Called with frames done, and all."""
VIEWS = 4
"""Of each track."""
FRAMES_AT_ONCE = 256
THUMBNAIL = (96, 128)
"""Largest width and height in pixels."""
JPEG_QUALITY = 80
REPORT_EVERY = 32


@dataclass(frozen=True, slots=True)
class _Choice:
    worth: float
    track: int
    frame: int
    box: tuple[float, float, float, float]


def open_network(reid_model: str = "") -> tuple[str, Embed]:
    """What a network is called in recordings, by its content, and the network; the program's own where none is named.

    Raises CheckpointError.
    """
    config = TrackerConfig(appearance="reid", reid_model=reid_model)
    path = reid_network(config)
    embed = make_embedder(Settings(tracker=config))
    assert embed is not None
    return f"{path.stem} {fingerprint(path)[1][:12]}", embed


def describe_tracks(
    path: Path,
    network: str,
    embed: Embed,
    *,
    video: Path | None = None,
    report: ViewsProgress | None = None,
) -> Views:
    """The views of all tracks of a recording; those that it lacks are made from its video and kept in it.

    `network` names what `embed` is: views of another one are replaced. Raises SourceError where the video is needed
    and not there, or another one.
    """
    with Recording(path) as recording:
        views = read_views(recording, network)
        chosen = choose_views(recording, without=set(views.tracks.tolist()))
        if not chosen:
            return views
        source = recorded_source(recording, video)
        write_views(path, network, _described(source, chosen, embed, report))
        return read_views(recording, network)


def choose_views(recording: Recording, *, without: set[int]) -> Mapping[int, list[_Choice]]:
    """Where each track is seen well, by frame; tracks that are in `without` are left out."""
    spans = {
        track.track_id: (track.first_frame, track.last_frame)
        for track in recording.tracks()
        if track.track_id not in without
    }
    best: dict[tuple[int, int], _Choice] = {}
    size = recording.info.width, recording.info.height
    for chunk in recording.chunks(frames=FRAMES_AT_ONCE) if spans else ():
        for frame, _, rows in chunk.by_frame():
            worths = _worth(rows, *size)
            for row in np.flatnonzero(worths > 0).tolist():
                track, worth = int(rows.tracks[row]), float(worths[row])
                first, last = spans.get(track, (0, -1))
                if last < first:
                    continue
                key = track, (frame - first) * VIEWS // (last - first + 1)
                if key not in best or worth > best[key].worth:
                    best[key] = _Choice(worth, track, frame, tuple(rows.boxes[row].tolist()))
    by_frame = defaultdict(list)
    for choice in best.values():
        by_frame[choice.frame].append(choice)
    return by_frame


def _worth(rows: Observations, width: int, height: int) -> Float64[ndarray, " n"]:
    """How much a box shows: its area times how much of it nobody stands before and the image holds; 0 if filled in."""
    if not len(rows):
        return np.zeros(0)
    x1, y1, x2, y2 = rows.boxes.T
    area = np.maximum((x2 - x1) * (y2 - y1), 1e-6)
    inside = np.clip(np.minimum(x2, width) - np.maximum(x1, 0), 0, None)
    inside = inside * np.clip(np.minimum(y2, height) - np.maximum(y1, 0), 0, None) / area
    wide = np.clip(np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1), 0, None)
    high = np.clip(np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1), 0, None)
    in_front: Bool[ndarray, "n n"] = y2 > y2[:, None]
    covered = np.minimum((wide * high * in_front).max(axis=1) / area, 1.0)
    worth: ndarray = area * (1 - covered) ** 2 * inside**2 * rows.scores * (rows.origins != Origin.INTERPOLATED)
    return worth


def _described(
    source_path: Path, chosen: Mapping[int, list[_Choice]], embed: Embed, report: ViewsProgress | None
) -> Iterator[View]:
    """The views, in the order of the video."""
    source, last = open_source(source_path), max(chosen)
    left = set(chosen)
    try:
        for frame in source:
            if report is not None and frame.index % REPORT_EVERY == 0:
                report(min(frame.index, last), last)
            choices = chosen.get(frame.index, [])
            if choices:
                left.discard(frame.index)
                boxes = np.array([choice.box for choice in choices], np.float32)
                for choice, vector in zip(choices, embed(frame.image, boxes), strict=True):
                    if np.any(vector):
                        yield View(choice.frame, choice.box, vector, _thumbnail(frame.image, choice.box))
            if not left:
                break
    finally:
        source.close()
    if left:
        raise SourceError(f"{source_path}: frame {min(left)} is recorded, but does not decode any more")


def _thumbnail(image: Image, box: tuple[float, float, float, float]) -> bytes:
    """The part of the image under a box as a small JPEG."""
    height, width = image.shape[:2]
    left, top = max(int(box[0]), 0), max(int(box[1]), 0)
    crop = image[top : max(min(round(box[3]), height), top + 1), left : max(min(round(box[2]), width), left + 1)]
    scale = min(THUMBNAIL[0] / crop.shape[1], THUMBNAIL[1] / crop.shape[0])
    size = max(round(crop.shape[1] * scale), 1), max(round(crop.shape[0] * scale), 1)
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    _, encoded = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return bytes(encoded.tobytes())
