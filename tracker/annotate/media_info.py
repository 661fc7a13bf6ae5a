"""What annotations made elsewhere are about: the frames of a video, or the images of a folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from tracker.annotate.recordings import fingerprint, printable
from tracker.errors import FormatError, SourceError
from tracker.formats.core.annotations import Annotations, ExternalInfo
from tracker.formats.core.frame_matching import NUMBERED_BY_PLACE, place_in_folder, place_in_video
from tracker.protocols import FrameSource
from tracker.store import ImageEntry, Recording
from tracker.video import open_source

__all__ = ["Footage", "look_at"]


@dataclass(frozen=True, slots=True)
class Footage:
    """A video or folder of images at a glance."""

    name: str
    width: int
    """Of the video, or of the first image."""
    height: int
    times: Mapping[int, float]
    """The time stamp of each frame."""
    images: Mapping[int, ImageEntry]
    """The image of each frame; empty for a video."""

    def known(self, labels: tuple[str, ...]) -> ExternalInfo:
        """What a reader may want to know of it."""
        sizes = {PurePosixPath(name).stem: (width, height) for name, width, height in self.images.values()}
        width, height = (self.width, self.height) if len(set(sizes.values())) < 2 else (0, 0)
        frames = max(self.times, default=-1) + 1
        times = tuple(self.times.values()) if not self.images and len(self.times) == frames else ()
        return ExternalInfo(width, height, labels, source=self.name, frames=frames, times=times, sizes=sizes)

    def size_of(self, frame: int) -> tuple[int, int]:
        """Width and height of a frame."""
        entry = self.images.get(frame)
        return (self.width, self.height) if entry is None else entry[1:]

    def place(self, annotations: Annotations, path: Path, form: str) -> Annotations:
        """What was read of `path` in that format, at the frames that are meant, with their times and sizes.

        Raises FormatError where it is unclear which frames these are.
        """
        if self.images:
            images = {frame: entry.name for frame, entry in self.images.items()}
            annotations = place_in_folder(annotations, path, images)
        elif form in NUMBERED_BY_PLACE:
            annotations = place_in_video(annotations, path, self.name, max(self.times, default=-1) + 1)
        frames = annotations.frames
        indices = frames.indices.tolist()
        known = zip(indices, frames.times.tolist(), strict=True)
        times = [self.times.get(index, math.nan) if math.isnan(time) else time for index, time in known]
        widths, heights = np.array([self.size_of(index) for index in indices], np.int32).reshape(-1, 2).T
        frames = replace(
            frames,
            times=np.array(times, np.float64),
            widths=np.where(frames.widths == 0, widths, frames.widths).astype(np.int32),
            heights=np.where(frames.heights == 0, heights, frames.heights).astype(np.int32),
        )
        return replace(annotations, frames=frames)

    def check(self, annotations: Annotations, path: Path) -> None:
        """Raise FormatError where what was read of `path` cannot be about these images."""
        frames = annotations.frames
        for index, width, height in zip(
            frames.indices.tolist(), frames.widths.tolist(), frames.heights.tolist(), strict=True
        ):
            if index not in self.times:
                raise FormatError(f"{path}: mentions frame {index}, but {self.name} has frames 0 to {max(self.times)}")
            if (width, height) != self.size_of(index):
                own_width, own_height = self.size_of(index)
                name = self.images[index].name if self.images else self.name
                raise FormatError(
                    f"{path}: is about images of {width} x {height}, but {name} is {own_width} x {own_height}"
                )


def look_at(path: Path | str) -> Footage:
    """Name, size, times and images. Raises SourceError for live input and for what cannot be read."""
    source = open_source(path)
    try:
        if source.live:
            raise SourceError(f"{source.name}: expected a file or a folder of images, found live input")
        info, name = source.info, Path(source.name).name
        if source.seekable:
            return Footage(name, info.width, info.height, dict(enumerate(source.times().tolist())), {})
        times, images = {}, {}
        for frame in source:
            height, width = frame.image.shape[:2]
            times[frame.index] = frame.time
            if source.paths:
                images[frame.index] = ImageEntry(printable(frame.source), width, height)
        return Footage(name, info.width, info.height, times, images)
    finally:
        source.close()


def recorded_source(recording: Recording, video: Path | None) -> Path:
    """The video or folder of images that was recorded, where it was, or where it is said to be now.

    Raises SourceError where there is none, or another one.
    """
    path = video or Path(str(recording.info.source.get("path", "")))
    if not path.exists():
        beside = recording.path.with_name(path.name)
        if video is not None or not beside.exists():
            raise SourceError(f"{path}: the recorded video is not there any more; --video FILE says where it is")
        path = beside
    if fingerprint(path)[1] != recording.info.source.get("digest"):
        raise SourceError(f"{path}: not the file that was recorded in {recording.path}; --video FILE says where it is")
    return path


def open_recorded(recording: Recording, video: Path | None = None) -> FrameSource:
    """What was recorded, opened. Raises SourceError where it is not there, or is another one."""
    return open_source(recorded_source(recording, video))
